/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs-nodes.h: the nodes of a btrfs' trees, and where its chunks lie.  Of a filesystem on one device, with
 * chunks of one stripe or of two that hold the same: others are left out, and what lies in them is not known.
 */
#pragma once

#include "btrfs.h"

#define BTRFS_NODE_MAX 65536u
#define BTRFS_CHUNKS_MAX 8192u
#define BTRFS_DEPTH_MAX 8u

#define BTRFS_HEADER 101u
#define BTRFS_ITEM 25u
#define BTRFS_POINTER 33u
#define BTRFS_KEY_SIZE 17u

#define BTRFS_KEY_EXTENT_DATA 108u
#define BTRFS_KEY_ROOT_ITEM 132u
#define BTRFS_KEY_CHUNK_ITEM 228u

struct btrfs_chunk {
  uint64_t logical, length, at[2];
  uint32_t copies;
};

struct btrfs_volume {
  const struct view *view;
  uint8_t super[BTRFS_SUPER_SIZE];
  const uint8_t *uuid; /* what nodes bear */
  uint64_t device, generation;
  uint32_t node_size, n_chunks;
  bool quick;    /* set after opening: any copy of a node will do, and the three below are left alone */
  bool unknown;  /* something could not be read */
  bool one_copy; /* of a node that has two, one is no node */
  bool broken;   /* a node is in no copy what its parent says */
  struct btrfs_chunk chunks[BTRFS_CHUNKS_MAX];
};

struct btrfs_key {
  uint64_t object, offset;
  uint8_t type;
};

/* What a parent says of a node. */
struct btrfs_pointer {
  uint64_t logical, generation; /* generation 0: not known */
  uint8_t level;
};

/* A subvolume's, or another tree's. */
struct btrfs_root {
  uint64_t tree;
  struct btrfs_pointer node;
};

/* Takes the superblock, and reads the chunk tree.  False: several devices, a form that is not known, or not
 * enough could be read.  There is nothing to close; the view must outlive it. */
bool btrfs_open (struct btrfs_volume *volume, const struct view *view, const uint8_t super[BTRFS_SUPER_SIZE]);
/* Of what lies at a logical address, the first copy; UINT64_MAX: not known.  *length: how much from there on.
 */
uint64_t btrfs_locate (const struct btrfs_volume *volume, uint64_t logical, uint64_t *length);
/* The first `length` bytes of a node, from the copy that is one.  False: there is none, or it is not known.
 */
bool btrfs_read_node (struct btrfs_volume *volume, struct btrfs_pointer to, uint8_t *node, uint32_t length);
uint32_t btrfs_entries (const struct btrfs_volume *volume, const uint8_t *node);
/* Of an entry, in a node of either kind. */
struct btrfs_key btrfs_key (const uint8_t *node, uint32_t i);
int btrfs_key_compare (struct btrfs_key a, struct btrfs_key b);
struct btrfs_pointer btrfs_child (const uint8_t *node, uint32_t i);
/* The data of an item of a leaf with so many bytes at least; NULL: it has no place in the node. */
const uint8_t *btrfs_item (const struct btrfs_volume *volume, const uint8_t *leaf, uint32_t i, uint32_t least,
                           uint32_t *size);
/* What one subvolume may have of what is left for all. */
static inline uint32_t
btrfs_share (uint32_t left)
{
  return left / 2 + left % 2;
}
/* Every leaf below a node that was written after generation `since`, until *nodes of both kinds were read. */
void btrfs_each_leaf (struct btrfs_volume *volume, struct btrfs_pointer to, uint64_t since, uint32_t *nodes,
                      void (*leaf) (struct btrfs_volume *volume, const uint8_t *node, void *opaque),
                      void *opaque);
/* Every tree that has a root but those that come and go; one without references is being removed. */
void btrfs_each_root (struct btrfs_volume *volume,
                      void (*root) (struct btrfs_volume *volume, const struct btrfs_root *root, void *opaque),
                      void *opaque);
