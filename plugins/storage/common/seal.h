/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seal.h: the end of writing an overlay: index and metadata from its entries.
 */
#pragma once

#include "index.h"

typedef struct {
  int dir_fd;
  const char *path; /* of the directory, for messages */
  const char *data_name, *index_name;
  int data_fd;       /* the overlay, its data clusters written from cluster 1 on */
  IndexFacts *facts; /* of an overlay */
  GArray *entries;   /* IndexEntry; sorted here */
} Seal;

/* Writes index and metadata, makes both durable.  info: stored_bytes, changed_blocks, index_hash are set. */
int seal_overlay (const Seal *seal, const struct guardd_call *call, struct guardd_image_info *info);

/* What the entries of an index make of a qcow2 file: n_data and l2_tables for overlay_layout(). */
int seal_count (Index *index, const struct guardd_call *call, guint64 *n_data, guint64 *l2_tables);

/* Reads an index from its first entry, as OverlaySource. */
typedef struct {
  Index *index;
  const struct guardd_call *call;
  guint64 next;
} IndexWalk;
int index_walk_next (void *walk, IndexEntry *entry);
