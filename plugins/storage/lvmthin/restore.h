/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restore.h: source_restore of the storage contract: a disk is replaced by a clone of an image, and kept.
 */
#pragma once

#include "instance.h"

int restore_source (void *instance, const struct guardd_call *call, const char *path, const char *directory,
                    const char *disk, const char *evidence);
/* Removes the disk that a rollback has kept with this image, if it has. */
int restore_remove_kept (ThinInstance *instance, const struct guardd_call *call, const ImageName *name);
