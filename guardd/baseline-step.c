/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happened on a disk between two looks, as figures. */
#include "baseline.h"

#include <stdbool.h>
#include <string.h>

/* In use before, now, and all the while. */
static double
kept (const struct guardd_observation *seen, guint class)
{
  return (double)seen->changed[class][GUARDD_PLACE_KEPT] + (double)seen->changed[class][GUARDD_PLACE_METADATA]
         + (double)seen->changed[class][GUARDD_PLACE_RUINED];
}

static double
everywhere (const struct guardd_observation *seen, guint class)
{
  double sum = 0;
  for (guint place = 0; place < GUARDD_PLACES; place++)
    sum += (double)seen->changed[class][place];
  return sum;
}

static bool
is_zeroed (guint class)
{
  return class == GUARDD_CHANGE_TO_ZERO || class == GUARDD_CHANGE_COLLAPSED;
}

static double
lost (guint64 before, guint64 now)
{
  return before == G_MAXUINT64 || now == G_MAXUINT64 ? 0 : (double)before - (double)now;
}

static const struct guardd_structure *
find_same (const struct guardd_observation *seen, const struct guardd_structure *as)
{
  for (guint i = 0; i < seen->n_structures; i++) {
    const struct guardd_structure *is = &seen->structures[i];
    if (is->kind == as->kind && is->flags & GUARDD_STRUCTURE_COUNTED && strcmp (is->path, as->path) == 0
        && memcmp (is->uuid, as->uuid, sizeof is->uuid) == 0)
      return is;
  }
  return NULL;
}

void
baseline_step (const struct guardd_observation *before, const struct guardd_observation *now,
               BaselineStep *step)
{
  *step = (BaselineStep){ 0 };
  double *features = step->features;
  for (guint class = 0; class < GUARDD_CHANGE_CLASSES; class ++) {
    double all = everywhere (now, class);
    double unmapped
        = (double)now->changed[class][GUARDD_PLACE_UNKNOWN] + (double)now->changed[class][GUARDD_PLACE_LATE];
    step->unmapped += unmapped;
    step->mapped += all - unmapped;
    /* fstrim zeroes what is free, by the gigabyte. */
    features[GUARDD_FEATURE_CHANGED] += is_zeroed (class) ? kept (now, class) : all;
    if (!is_zeroed (class) && class != GUARDD_CHANGE_FROM_ZERO)
      step->sampled += all;
  }
  features[GUARDD_FEATURE_ZEROED] = kept (now, GUARDD_CHANGE_TO_ZERO) + kept (now, GUARDD_CHANGE_COLLAPSED);
  step->high = everywhere (now, GUARDD_CHANGE_HIGH);
  /* A backup, compressed into free space, is no sign. */
  features[GUARDD_FEATURE_RISEN]
      = kept (now, GUARDD_CHANGE_LOW_TO_HIGH) + kept (now, GUARDD_CHANGE_LOW_TO_MID);
  for (guint i = 0; before && i < now->n_structures; i++) {
    const struct guardd_structure *is = &now->structures[i];
    const struct guardd_structure *was = is->flags & GUARDD_STRUCTURE_COUNTED ? find_same (before, is) : NULL;
    if (was) {
      features[GUARDD_FEATURE_INODES_LOST] += lost (was->used_inodes, is->used_inodes);
      features[GUARDD_FEATURE_BYTES_LOST] += lost (was->used_bytes, is->used_bytes);
    }
  }
}
