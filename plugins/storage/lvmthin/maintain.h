/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * maintain.h: removal and recovery.  Merging is common/'s, and touches indexes alone.
 */
#pragma once

#include "instance.h"

int thin_remove (void *instance, const struct guardd_call *call, const char *directory, const char *disk);
int thin_recover (void *instance, const struct guardd_call *call, const char *domain,
                  const struct guardd_member *members, size_t n_members);
