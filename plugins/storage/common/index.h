/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * index.h: the table beside an image that says which blocks it holds (vda.idx).
 *
 * All numbers little endian:
 *
 *      0  header, 256 bytes (IndexHeader)
 *    256  entries, 48 bytes each, ascending by block, no block twice
 *      …  table: SHA-256 of every 1024 entries
 *
 * The header has the hash of the table and one of itself, and a chunk of entries is checked against the
 * table when it is first looked at: a damaged index is an error wherever the damage is, and opening
 * one costs nothing in proportion to its length but the table.
 * What an image's index_hash is: SHA-256 of the whole file, so sha256sum(1) shows it.
 */
#pragma once

#include "fail.h"

#include <string.h>

#define INDEX_MAGIC "GUARDIDX"
#define INDEX_VERSION 1u
#define INDEX_CHUNK 1024u /* entries under one hash of the table */
#define INDEX_BASE 1u   /* flags: the file beside is a raw image, offset = block * 64 KiB, no zero entries */
#define INDEX_UNREAD 2u /* of a base: a block without an entry is not zero, but nobody has read it */
#define INDEX_BACKING_MAX 96
#define INDEX_IDENTITY_SIZE 24

typedef struct {
  char magic[8];
  guint32 version, block_size;
  guint64 size;  /* of the disk, bytes, exact */
  guint64 count; /* entries */
  guint32 flags;
  guint32 level;                   /* 0: one step; 1, 2: consolidated (maintain.h) */
  char backing[INDEX_BACKING_MAX]; /* as in the overlay: "../00000041/vda.qcow2"; "" for a base; NUL-padded */
  guint8 base_hash[GUARDD_HASH_SIZE]; /* index_hash of the base that this overlay stands on; else zero */
  guint8 table_hash[GUARDD_HASH_SIZE];
  guint8 identity[INDEX_IDENTITY_SIZE]; /* of the volume that has the data, where that is no file beside */
  guint8 header_hash[GUARDD_HASH_SIZE]; /* SHA-256 of everything before */
} IndexHeader;
G_STATIC_ASSERT (sizeof (IndexHeader) == 256);

typedef struct {
  guint64 block;
  guint64 offset; /* in the file beside; 0 in an overlay: the block is zero */
  guint8 hash[GUARDD_HASH_SIZE];
} IndexEntry;
G_STATIC_ASSERT (sizeof (IndexEntry) == 48);

/* --- in memory, host byte order --- */
typedef struct {
  guint64 size;
  guint32 level;
  bool base, unread;
  guint8 identity[INDEX_IDENTITY_SIZE];
  char backing[INDEX_BACKING_MAX];
  guint8 base_hash[GUARDD_HASH_SIZE];
} IndexFacts;

/* Sorts the entries, writes the file `name` in dir_fd anew (0600) and gives its hash.  path: of the
 * directory, for messages.  entries are in host order.  The descriptor, to be given to index_sync() and
 * closed; or -1. */
int index_begin (const struct guardd_call *call, int dir_fd, const char *path, const char *name,
                 const IndexFacts *facts, GArray *entries, guint8 *hash);
int index_sync (const struct guardd_call *call, int fd, const char *path, const char *name);
/* Both. */
int index_write (const struct guardd_call *call, int dir_fd, const char *path, const char *name,
                 const IndexFacts *facts, GArray *entries, guint8 *hash);

/* --- reading --- */
typedef struct Index Index;

/* Maps and checks header and table.  One thread at a time. */
Index *index_open (const struct guardd_call *call, int dir_fd, const char *path, const char *name);
void index_close (Index *index); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Index, index_close)

const IndexFacts *index_facts (const Index *index);
guint64 index_count (const Index *index);
bool index_is_same (const Index *a, const Index *b); /* the very same file */
const char *index_path (const Index *index);

/* Entry n < count in host order.  False: damaged, and the call is told. */
bool index_get (Index *index, const struct guardd_call *call, guint64 n, IndexEntry *entry);
/* The number of the first entry whose block is >= block. */
bool index_find (Index *index, const struct guardd_call *call, guint64 block, guint64 *n);
/* SHA-256 of the file. */
void index_hash (const Index *index, guint8 *hash);
/* Looks at everything: order, ranges, kinds. data_size: length of the file beside. */
int index_check (Index *index, const struct guardd_call *call, guint64 data_size);

static inline bool
index_entry_is_zero (const IndexFacts *facts, const IndexEntry *entry)
{
  return !facts->base && entry->offset == 0;
}
/* Data of which nobody has computed the hash: of a clone. */
static inline bool
index_hash_is_known (const guint8 *hash)
{
  static const guint8 none[GUARDD_HASH_SIZE];
  return memcmp (hash, none, sizeof none) != 0;
}
static inline guint64
index_blocks (guint64 size)
{
  return size / GUARDD_BLOCK_SIZE + (size % GUARDD_BLOCK_SIZE != 0);
}
