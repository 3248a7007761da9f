/* SPDX-License-Identifier: GPL-2.0-or-later */
/* structure.h: what the structure detector's rules ask of a disk. */
#pragma once

#include "../limit.h"
#include "../say.h"

struct thresholds {
  uint64_t empty_inodes,
      empty_bytes;            /* up to so much is what mkfs leaves: nothing of anybody's is lost with it */
  uint64_t empty_ntfs_inodes; /* NTFS keeps its own files in records of its table */
  uint64_t settled_seconds; /* a filesystem whose counters come late may have been filled since; an older one
                               not */
};

static inline const struct thresholds *
limits_of (const struct say *to)
{
  return to->instance;
}

/* --- held.c: what was in something, and where it is now --- */
enum fill { FILL_EMPTY, FILL_UNSURE, FILL_USED };
enum fill structure_fill (const struct say *to, const struct guardd_structure *is);
/* Partitions and logical volumes: entries of a table, or of a volume group. */
bool structure_is_entry (const struct guardd_structure *is);
bool structure_is_table (const struct guardd_structure *is);
/* A logical volume whose content the sentinel cannot follow; with a length of 0, nothing of it
 * is here. */
bool structure_is_unmapped (const struct guardd_structure *is);
/* Whether `path` is that of the container, or in it. */
bool structure_is_under (const char *path, const struct guardd_structure *container);
/* What `before` is now: itself, wherever its number or name has gone; else what has its kind and its path, or
 * its place.  NULL: it is gone. */
const struct guardd_structure *structure_now (const struct say *to, const struct guardd_structure *before);
/* It was in a logical volume that is the same still, but has left the disk, or lies on others as well. */
bool structure_is_out_of_sight (const struct say *to, const struct guardd_structure *before);
/* The same entry of the table under another number. */
bool structure_is_renumbered (const struct say *to, const struct guardd_structure *before);
/* Whether something that somebody uses was in a container (or under it). */
bool structure_held (const struct say *to, const struct guardd_structure *container);
/* Whether something of it is not where it was, or another. */
bool structure_lost (const struct say *to, const struct guardd_structure *container);
/* Whether every entry of a table that held something has its place and size still. */
bool structure_has_same_entries (const struct say *to, const struct guardd_structure *table);

/* --- the rules --- */
void judge_identity (const struct say *to, const struct guardd_structure *before,
                     const struct guardd_structure *now);
void judge_state (const struct say *to, const struct guardd_structure *before,
                  const struct guardd_structure *now);
void judge_gone (const struct say *to, const struct guardd_structure *before);
/* What would explain that a filesystem is another, or gone, and does not.  now: NULL if it is gone. */
void structure_consider (const struct say *to, const struct guardd_structure *before,
                         const struct guardd_structure *now, struct say_considered *considered);
