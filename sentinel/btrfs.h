/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs.h: the trees of a btrfs.  Format: btrfs documentation, "On-disk Format".
 */
#pragma once

#include "view.h"

#include <guardd/observation.h>

#define BTRFS_SUPER_SIZE 4096u

enum btrfs_trees {
  BTRFS_TREES_UNKNOWN, /* several devices, or not enough could be read */
  BTRFS_TREES_FINE,
  BTRFS_TREES_ONE_COPY, /* of a node that has two, one is no node */
  BTRFS_TREES_BROKEN    /* a node is in no copy what its parent says */
};

/* Follows the superblock to the chunk tree, the tree of roots, every tree's root and some of the nodes below
 * it.  What a superblock refers to is never written over before the next superblock is on the disk. */
enum btrfs_trees btrfs_look_at_trees (const struct view *view, const uint8_t super[BTRFS_SUPER_SIZE]);

#define BTRFS_SUPER_AT 65536u /* its first place */

/* The superblock that is at a place.  False: there is none. */
bool btrfs_read_super (const struct view *view, uint64_t at, uint8_t super[BTRFS_SUPER_SIZE]);

/* Adds to seen->changed, as kept, what files were overwritten with since the snapshot before.  btrfs writes
 * nothing in place: blocks do not show it, but a file's extents do, of the same file at the same offset.  Of
 * a sample both contents are read.  Extents that are compressed are told by how much that saved. */
void btrfs_add_changes (struct guardd_observation *seen, const struct view *now, const struct view *before);
