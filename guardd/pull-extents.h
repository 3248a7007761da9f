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

/* After a full read against a parent (else nothing is done): what the parent has and lies in no extent is
 * zero now. */
bool pull_zero_gone (const PullRequest *request, const GArray *extents, PullResult *result, GError **error);
