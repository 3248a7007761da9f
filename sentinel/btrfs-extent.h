/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs-extent.h: a part of a file, and where its bytes lie.
 */
#pragma once

#include "btrfs-nodes.h"

struct btrfs_extent {
  uint64_t offset, length; /* in the file, bytes; together less than 2^64 */
  uint64_t logical;        /* of its first byte; where it is compressed, of all that was compressed with it */
  uint64_t generation;
  bool compressed;
  uint64_t unpacked, packed; /* bytes of all that was compressed with it, and what became of them */
};

/* The i-th item of a leaf.  False: it is none, or nothing on the disk is its own (in the leaf, a hole, not
 * written yet). */
bool btrfs_read_extent (const struct btrfs_volume *volume, const uint8_t *leaf, uint32_t i,
                        struct btrfs_extent *extent);
/* The extent without what is before a byte of the file, which is one of its own, or its end. */
struct btrfs_extent btrfs_extent_from (struct btrfs_extent extent, uint64_t at);
