/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ext-place.h: blocks of an ext filesystem that were there before and now: free, kept, metadata. */
#pragma once

#include "ext.h"

#include <guardd/observation.h>

struct ext_side {
  struct ext fs;
  uint8_t *bitmap; /* of bitmap_group */
  uint32_t bitmap_group;
  bool uninit; /* that group has none: its blocks are free */
};

struct ext_place {
  struct ext_side now, before;
};

/* False: they are not the same filesystem, or cannot be read; there is nothing to close then. */
bool ext_place_open (struct ext_place *place, const struct view *now, const struct view *before);
void ext_place_close (struct ext_place *place);
/* Of the block at `offset`, bytes from the filesystem's start. */
enum guardd_change_place ext_place_of (struct ext_place *place, uint64_t offset);
