/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pull-extents.h: which stretches of a disk are to be read.
 */
#pragma once

#include "pull.h"

typedef struct {
  guint64 start, end; /* bytes, whole blocks */
} PullExtent;

/* extents: GArray of PullExtent.  Rounds to whole blocks; joins with the one added before. */
void pull_extents_add (GArray *extents, guint64 offset, guint64 length);
/* Added in any order: sorts, and joins what touches. */
void pull_extents_sort (GArray *extents);
/* Both sorted; zero: any bytes.  Takes the whole blocks of a disk of `size` bytes that are zero out of
 * *extents; returned: those, to be freed by g_array_unref(). */
GArray *pull_extents_take (GArray **extents, const GArray *zero, guint64 size);

/* Where the parent has data and the disk is zero now, zeros are written.  That is, after a full read against
 * a parent, what lies in no extent; after one by a bitmap, what lies in `zero` (NULL: nothing). */
bool pull_zero_gone (const PullRequest *request, const GArray *extents, const GArray *zero,
                     PullResult *result, GError **error);
