/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chain.h: an image and everything below it, down to its base, opened for reading.
 *
 * What is opened stays as it is, whatever maintenance renames or removes: indexes are mapped, data files
 * open.
 */
#pragma once

#include "instance.h"

#define CHAIN_DEPTH_MAX 512u

typedef struct {
  ImageName *name;
  Index *index;
  int fd; /* of the data file; -1: the plugin has it elsewhere */
} Level;

typedef struct {
  Level *levels; /* newest first */
  guint n_levels;
  guint64 size;  /* of the disk, as the newest has it */
  gint *readers; /* counted there until it is closed; NULL: not counted */
} Chain;

/* What a block is, and where it was found. level NULL: nowhere, zero.  An entry may have no hash (index.h).
 */
typedef struct {
  const Level *level;
  IndexEntry entry;
} Slot;

Chain *chain_open (const Instance *instance, const struct guardd_call *call, const char *directory,
                   const char *disk);
void chain_close (Chain *chain); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Chain, chain_close)

/* slots: n of them, for blocks first … first + n - 1. */
int chain_lookup (Chain *chain, const struct guardd_call *call, guint64 first, guint64 n, Slot *slots);
/* The first block >= from that any level says something of; G_MAXUINT64: none.  which: one flag per level,
 * only those with true are asked; NULL: all. */
int chain_next (Chain *chain, const struct guardd_call *call, const bool *which, guint64 from,
                guint64 *block);
bool slot_is_zero (const Slot *slot);
/* Which blocks differ, and what they are, as image_blocks, image_next_data and image_diff of the contract
 * have it. */
int chain_range_check (const Chain *chain, const struct guardd_call *call, guint64 at, guint64 n,
                       guint64 limit);
int chain_blocks (Chain *chain, const struct guardd_call *call, guint64 first, guint64 count,
                  struct guardd_block *blocks);
int chain_next_data (Chain *chain, const struct guardd_call *call, guint64 from, guint64 *first,
                     guint64 *count);
/* resolve: makes the kind of a block of `to` right that has no hash; NULL: every one has. */
typedef int (*ChainResolve) (void *opaque, const struct guardd_call *call, struct guardd_block *block);
typedef struct {
  Chain *from, *to;
  ChainResolve resolve;
  void *resolve_opaque;
  int (*each) (void *opaque, const struct guardd_block *block);
  void *opaque;
} ChainDiff;
int chain_diff (const ChainDiff *diff, const struct guardd_call *call);

/* GUARDD_BLOCK_SIZE bytes, checked against the block's hash. */
int slot_read (const Slot *slot, const struct guardd_call *call, guint8 *data);

/* One level by itself. */
int level_open (const Instance *instance, const struct guardd_call *call, const char *directory,
                const char *disk, Level *level);
void level_close (Level *level);
