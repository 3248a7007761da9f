/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * place-map.h: a filesystem's own maps of what is in use, in an earlier snapshot and now.  One file a kind.
 */
#pragma once

#include "view.h"

#include <guardd/observation.h>

#define PLACE_PIECE 4096u /* bytes */
#define PLACE_SAMPLE_MAX 64u

struct place_sample {
  uint64_t bytes; /* of all */
  uint32_t n;
  uint64_t at[PLACE_SAMPLE_MAX]; /* some blocks of it, bytes from the filesystem's start */
};

/* What was in use before and is free now, or was in between. */
struct place_freed {
  uint64_t inodes;                 /* files and directories that are gone */
  uint64_t new_inodes;             /* that came */
  struct place_sample gone, taken; /* taken: what is in use now and was not, before or in between */
};

struct place_map {
  /* Of the block at `offset`, bytes from the filesystem's start. */
  enum guardd_change_place (*of) (struct place_map *map, uint64_t offset);
  /* Told of the stretches that hold what changed and is not zero, each once, before the first block is asked
   * for; not if too little was overwritten to matter.  Reads so many bytes of the disk at most, and returns
   * how many.  NULL: it needs no more than the maps. */
  uint64_t (*note) (struct place_map *map, uint64_t offset, uint64_t length, uint64_t most);
  /* Whether a piece of 4096 bytes in such a place had the form of one of the filesystem's tables, and has it
   * no longer: not by entropy, since files that are small lie among inodes. */
  bool (*ruined) (struct place_map *map, uint64_t offset, enum guardd_change_place place);
  /* NULL: what was freed is not known. */
  void (*freed) (struct place_map *map, struct place_freed *freed);
  /* Whether a piece of a table of which much is zero now has lost no entry that was in use.  NULL: not known.
   */
  bool (*spared) (struct place_map *map, uint64_t offset);
  void (*close) (struct place_map *map);
};

/* NULL: it is not the same filesystem in both, or one cannot be read.  The views must outlive the map. */
struct place_map *ext_place_open (const struct view *now, const struct view *before);
struct place_map *xfs_place_open (const struct view *now, const struct view *before);
struct place_map *ntfs_place_open (const struct view *now, const struct view *before);
