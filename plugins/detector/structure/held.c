/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What containers held, and whether it is still where it was.  A table, a partition's identifier or a volume
 * group can be made anew around content that nobody touches; only what is in them is anybody's.
 */
#include "structure.h"

#include <string.h>

#define OF_THE_WHOLE 1000000u /* what mkfs leaves grows a little with the disk: XFS's groups, for one */
#define OF_A_SAMPLE 1024u     /* counters that are extrapolated are no better than this */

static uint64_t
most_empty_bytes (const struct say *to, const struct guardd_structure *is)
{
  uint32_t part = is->flags & GUARDD_STRUCTURE_SAMPLED ? OF_A_SAMPLE : OF_THE_WHOLE;
  return limits_of (to)->empty_bytes + is->total_bytes / part;
}

enum fill
structure_fill (const struct say *to, const struct guardd_structure *is)
{
  uint64_t inodes
      = is->kind == GUARDD_STRUCTURE_NTFS ? limits_of (to)->empty_ntfs_inodes : limits_of (to)->empty_inodes;
  /* A few big files are as much as many small ones. */
  if (!(is->flags & GUARDD_STRUCTURE_COUNTED) || (is->used_inodes != UINT64_MAX && is->used_inodes > inodes)
      || (is->used_bytes != UINT64_MAX && is->used_bytes > most_empty_bytes (to, is)))
    return FILL_USED;
  if (!(is->flags & GUARDD_STRUCTURE_LAGGING)
      || (is->made != 0
          && to->input->time_us / 1000000 > (int64_t)(is->made + limits_of (to)->settled_seconds)))
    return FILL_EMPTY;
  return FILL_UNSURE;
}

bool
structure_is_entry (const struct guardd_structure *is)
{
  return is->kind == GUARDD_STRUCTURE_PARTITION || is->kind == GUARDD_STRUCTURE_LV;
}

bool
structure_is_table (const struct guardd_structure *is)
{
  return is->kind == GUARDD_STRUCTURE_MBR || is->kind == GUARDD_STRUCTURE_GPT;
}

bool
structure_is_unmapped (const struct guardd_structure *is)
{
  return is->kind == GUARDD_STRUCTURE_LV && is->flags & GUARDD_STRUCTURE_OPAQUE;
}

/* Not a container alone: something that can be lost by itself.  What another one was written over long ago is
 * nothing any more. */
static bool
is_content (const struct guardd_structure *is)
{
  if (is->flags & GUARDD_STRUCTURE_OVERLAID)
    return false;
  switch (is->kind) {
  case GUARDD_STRUCTURE_LV:
  case GUARDD_STRUCTURE_MD:
    return is->flags & GUARDD_STRUCTURE_OPAQUE && is->length > 0;
  case GUARDD_STRUCTURE_PARTITION:
  case GUARDD_STRUCTURE_MBR:
  case GUARDD_STRUCTURE_GPT:
  case GUARDD_STRUCTURE_PV:
  case GUARDD_STRUCTURE_SWAP:
    return false;
  }
  return true;
}

bool
structure_is_under (const char *path, const struct guardd_structure *container)
{
  size_t length = strlen (container->path);
  return strncmp (path, container->path, length) == 0
         && (length == 0 || path[length] == '\0' || path[length] == '/');
}

/* It has kept what tells it from any other of its kind, and its place or its name. */
static bool
is_same (const struct guardd_structure *before, const struct guardd_structure *now)
{
  static const uint8_t no_id[16];
  bool path = strcmp (before->path, now->path) == 0;
  if (before->kind != now->kind || (before->offset != now->offset && !path))
    return false;
  if (before->kind == GUARDD_STRUCTURE_UNKNOWN)
    return before->offset == now->offset;
  if (before->kind == GUARDD_STRUCTURE_LV && memcmp (before->uuid, no_id, sizeof no_id) == 0)
    return path; /* as an older guardd saw it */
  return memcmp (before->uuid, now->uuid, sizeof before->uuid) == 0 && before->made == now->made
         && (before->key == 0 || now->key == 0 || before->key == now->key);
}

bool
structure_is_out_of_sight (const struct say *to, const struct guardd_structure *before)
{
  for (uint32_t i = 0; i < to->input->now->n_structures && !structure_is_entry (before); i++) {
    const struct guardd_structure *is = &to->input->now->structures[i];
    if (!structure_is_unmapped (is) || !structure_is_under (before->path, is))
      continue;
    const struct guardd_structure *was = say_find (to->input->before, is->kind, is->path);
    if (was && memcmp (was->uuid, is->uuid, sizeof is->uuid) == 0)
      return true;
  }
  return false;
}

static bool
is_there (const struct say *to, const struct guardd_structure *before)
{
  for (uint32_t i = 0; i < to->input->now->n_structures; i++)
    if (is_same (before, &to->input->now->structures[i]))
      return true;
  return structure_is_out_of_sight (to, before);
}

const struct guardd_structure *
structure_now (const struct say *to, const struct guardd_structure *before)
{
  const struct guardd_observation *now = to->input->now;
  const struct guardd_structure *by_path = say_find (now, before->kind, before->path), *by_place = NULL;
  if (before->kind == GUARDD_STRUCTURE_PARTITION || structure_is_table (before)
      || (by_path && is_same (before, by_path)))
    return by_path;
  for (uint32_t i = 0; i < now->n_structures; i++) {
    const struct guardd_structure *is = &now->structures[i];
    if (is_same (before, is))
      return is;
    if (by_place == NULL && !structure_is_entry (is) && is->kind == before->kind
        && is->offset == before->offset)
      by_place = is;
  }
  return by_path ? by_path : by_place;
}

bool
structure_is_renumbered (const struct say *to, const struct guardd_structure *before)
{
  const struct guardd_observation *now = to->input->now;
  for (uint32_t i = 0; i < now->n_structures && !structure_is_unmapped (before); i++)
    if (now->structures[i].kind == before->kind && now->structures[i].offset == before->offset
        && now->structures[i].length == before->length && !structure_is_unmapped (&now->structures[i]))
      return true;
  return false;
}

static bool
is_used_in (const struct say *to, const struct guardd_structure *container, const struct guardd_structure *is)
{
  bool itself = is == container && !structure_is_unmapped (is) && is->kind != GUARDD_STRUCTURE_MD;
  return !itself && is_content (is) && structure_is_under (is->path, container)
         && structure_fill (to, is) != FILL_EMPTY;
}

bool
structure_held (const struct say *to, const struct guardd_structure *container)
{
  const struct guardd_observation *was = to->input->before;
  for (uint32_t i = 0; i < was->n_structures; i++)
    if (is_used_in (to, container, &was->structures[i]))
      return true;
  return was->n_structures == GUARDD_STRUCTURES_MAX; /* there may have been more */
}

bool
structure_lost (const struct say *to, const struct guardd_structure *container)
{
  const struct guardd_observation *was = to->input->before;
  for (uint32_t i = 0; i < was->n_structures; i++)
    if (is_used_in (to, container, &was->structures[i]) && !is_there (to, &was->structures[i]))
      return true;
  return was->n_structures == GUARDD_STRUCTURES_MAX && to->input->now->n_structures < was->n_structures;
}

bool
structure_has_same_entries (const struct say *to, const struct guardd_structure *table)
{
  const struct guardd_observation *was = to->input->before;
  for (uint32_t i = 0; i < was->n_structures; i++) {
    const struct guardd_structure *entry = &was->structures[i];
    if (entry->kind == GUARDD_STRUCTURE_PARTITION && structure_is_under (entry->path, table)
        && structure_held (to, entry) && !structure_is_renumbered (to, entry))
      return false;
  }
  return true;
}
