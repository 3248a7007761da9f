/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volume.h: the names of btrfs subvolumes, "btrfsvol:/dev/sda2/home".
 *
 * /dev/sda is the first disk that libguestfs was given, whichever its kernel has found first. libguestfs 1.48
 * does not translate the device in the name of a subvolume ("btrfsvol:/dev/sdb2/home"; later ones do), so it
 * would be another from list to list, and of another disk when it is mounted.  Pure.
 */
#pragma once

#include <stdbool.h>

bool volume_is (const char *name);
/* The name with its device as it should be: whole, that of the filesystem which `listed` is a subvolume of,
 * "" for none.  What is not translated (volumes of LVM, md) stays.  To be freed; NULL: no memory. */
char *volume_name (const char *listed, const char *whole);
