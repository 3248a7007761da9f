/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * delta.h: where two thin volumes of a pool differ, by thin_delta(8) of thin-provisioning-tools, which reads
 * the pool's metadata and none of its data.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
  guint64 first, count; /* chunks of the pool */
} DeltaExtent;

/* from, to: thin ids.  GArray of DeltaExtent, ascending; NULL on failure. */
GArray *delta_find (const char *vg, const char *pool, guint64 from, guint64 to, GError **error);
