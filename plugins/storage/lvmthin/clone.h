/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clone.h: source_probe and sources_clone of the storage contract, for disks of guests that
 * are thin volumes in this thin pool.
 */
#pragma once

#include "record.h"

int clone_probe (void *instance, const struct guardd_call *call, const char *path, const char *format,
                 struct guardd_source_info *info);
int clone_sources (void *instance, const struct guardd_call *call, const struct guardd_image_spec *specs,
                   const char *const *paths, size_t n, void **writers);
/* What image_seal() does for one: nothing was read, thin_delta says what may differ from the parent. */
int clone_seal (Record *record, const struct guardd_call *call, struct guardd_image_info *info);
