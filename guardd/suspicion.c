/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "suspicion.h"

#include <glib.h>
#include <stdbool.h>

#define MIB ((guint64)1 << 20)
/* As `encryption` asks for; what a video, a backup or an archive takes is in use afterwards, and was not
 * before. */
#define RANDOM_MIN (4 * MIB)
#define GREW_MAX_PERCENT 50u
/* As `mass-deletion` asks for; how many there were nothing says there. */
#define FILES_GONE_MIN 100u

static bool
is_followed_badly (const struct guardd_structure *structure)
{
  switch (structure->kind) {
  case GUARDD_STRUCTURE_XFS:
  case GUARDD_STRUCTURE_BTRFS:
  case GUARDD_STRUCTURE_NTFS:
  case GUARDD_STRUCTURE_FAT:
  case GUARDD_STRUCTURE_EXFAT:
    return true;
  default:
    return false;
  }
}

/* Bytes in use now, beyond what has been for half an hour; *any: there is a filesystem of such a kind. */
static guint64
grown_bytes (const struct guardd_judge_input *input, bool *any)
{
  guint64 grown = 0;
  *any = false;
  for (guint i = 0; i < input->now->n_structures; i++) {
    const struct guardd_structure *is = &input->now->structures[i];
    if (!is_followed_badly (is))
      continue;
    *any = true;
    guint64 held = input->peaks ? input->peaks[i][GUARDD_HORIZON_HOUR].used_bytes : 0;
    if (is->flags & GUARDD_STRUCTURE_COUNTED && is->used_bytes != UINT64_MAX && is->used_bytes > held)
      grown += is->used_bytes - held;
  }
  return grown;
}

/* What was overwritten in place, and what lies where maps are in time, the detectors judge themselves. */
static guint64
random_bytes (const struct guardd_recent *recent)
{
  static const enum guardd_change_place places[]
      = { GUARDD_PLACE_UNKNOWN, GUARDD_PLACE_NEW, GUARDD_PLACE_LATE, GUARDD_PLACE_FREE };
  guint64 bytes = 0;
  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    bytes += recent->changed[GUARDD_CHANGE_LOW_TO_HIGH][places[i]]
             + recent->changed[GUARDD_CHANGE_ZERO_TO_HIGH][places[i]];
  return bytes;
}

/* More files went than came where their number stands nowhere. */
static bool
are_files_gone (const struct guardd_judge_input *input)
{
  const struct guardd_exchange *exchange = &input->recent->exchange;
  for (guint i = 0; i < input->now->n_structures; i++)
    if (input->now->structures[i].kind == GUARDD_STRUCTURE_BTRFS)
      return exchange->freed_inodes >= exchange->new_inodes + FILES_GONE_MIN;
  return false;
}

Suspicion
suspicion_of (const struct guardd_judge_input *input)
{
  bool any;
  if (input->recent && are_files_gone (input))
    return SUSPICION_GONE;
  guint64 grown = grown_bytes (input, &any), random = input->recent ? random_bytes (input->recent) : 0;
  bool encrypted = any && random >= RANDOM_MIN && grown <= random / 100 * GREW_MAX_PERCENT;
  return encrypted ? SUSPICION_ENCRYPTED : SUSPICION_NONE;
}
