/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs.h: the trees of a btrfs.  Format: btrfs documentation, "On-disk Format".
 */
#pragma once

#include "view.h"

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
