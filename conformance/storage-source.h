/* SPDX-License-Identifier: GPL-2.0-or-later */
/* storage-source.h: does a storage clone disks of guests as its contract says? */
#pragma once

#include "check.h"

#include <guardd/storage.h>

/* sources: paths of disks, NULL-terminated, that are overwritten; none: only what needs none is checked.
 * pool: the directory that instance has. */
void check_sources (const struct guardd_storage_ops *ops, void *instance, const char *pool,
                    const char *const *sources);
