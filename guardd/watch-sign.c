/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When what was found began: mostly before it was enough to be found. */
#include "watch-memory.h"

#include <string.h>

static enum guardd_horizon
horizon_of (const Finding *finding)
{
  if (g_strcmp0 (finding->horizon, "7d") == 0)
    return GUARDD_HORIZON_WEEK;
  return g_strcmp0 (finding->horizon, "24h") == 0 ? GUARDD_HORIZON_DAY : GUARDD_HORIZON_HOUR;
}

/* The last moment before what was found; 0: not known. */
static gint64
fall_began (Watch *watch, const Finding *finding, gint64 time_us)
{
  WatchMemory *memory = watch_memory (watch, finding->disk);
  PeaksCounter counter = finding->slow == GUARDD_SLOW_PEAK_BYTES ? PEAKS_BYTES : PEAKS_INODES;
  gint64 began = 0;
  if (finding->slow == GUARDD_SLOW_RECENT)
    return tally_began (memory->tally, time_us) - 1; /* that snapshot is bad */
  for (guint i = 0; memory->last && i < memory->last->n_structures; i++) {
    const struct guardd_structure *is = &memory->last->structures[i];
    const WatchStructure *structure = watch_structure (memory, is, false);
    guint64 value = counter == PEAKS_BYTES ? is->used_bytes : is->used_inodes;
    if (structure && (finding->structure[0] == '\0' || strcmp (is->path, finding->structure) == 0))
      began = MAX (began, peaks_last_high (structure->peaks, time_us, horizon_of (finding), counter, value));
  }
  return began;
}

gint64
watch_first_sign (Watch *watch, const GPtrArray *findings, gint64 time_us)
{
  gint64 sign = time_us;
  for (guint i = 0; i < findings->len; i++) {
    const Finding *finding = findings->pdata[i];
    gint64 began = finding->slow && finding->level >= LEVEL_WARN ? fall_began (watch, finding, time_us) : 0;
    if (began > 0)
      sign = MIN (sign, began + 1); /* what was seen then is good */
  }
  return sign;
}
