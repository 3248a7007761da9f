/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs-content.h: what a part of a file turned into that lies elsewhere than before.
 */
#pragma once

#include "btrfs-extent.h"

#include <guardd/observation.h>

struct btrfs_part {
  uint64_t length;
  struct btrfs_extent is, was; /* both from the part's start */
};

/* Of the 4096 bytes at `at`, a byte of the part; where it is compressed, of all of it. GUARDD_CHANGE_CLASSES:
 * they are the same as before, or cannot be read. */
enum guardd_change_class btrfs_part_classify (const struct btrfs_volume *now,
                                              const struct btrfs_volume *before,
                                              const struct btrfs_part *part, uint64_t at);
