/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * names.h: names as LVM allows them (lvm(8), "VALID NAMES").  What passes here can stand in a command line
 * for lvm2_run() without quotes: no space, no quote, no slash, no leading dash; a tag only after --addtag=.
 */
#pragma once

#include <stdbool.h>

/* Device-mapper's limit on VG and LV names together, with dashes doubled, is 127 characters. */
#define LVM_NAME_MAX 127

bool lvm_name_is_valid (const char *name);           /* of a VG or an LV */
bool lvm_names_fit (const char *vg, const char *lv); /* their device's name is not too long */
bool lvm_tag_is_valid (const char *tag);
