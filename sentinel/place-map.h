/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * place-map.h: a filesystem's own maps of what is in use, in an earlier snapshot and now.  One file a kind.
 */
#pragma once

#include "view.h"

#include <guardd/observation.h>

struct place_map {
  /* Of the block at `offset`, bytes from the filesystem's start. */
  enum guardd_change_place (*of) (struct place_map *map, uint64_t offset);
  void (*close) (struct place_map *map);
};

/* NULL: it is not the same filesystem in both, or one cannot be read.  The views must outlive the map. */
struct place_map *ext_place_open (const struct view *now, const struct view *before);
struct place_map *xfs_place_open (const struct view *now, const struct view *before);
struct place_map *ntfs_place_open (const struct view *now, const struct view *before);
