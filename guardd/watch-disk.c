/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One disk of a snapshot: what the detectors are told of it, and what is learnt of it. */
#include "watch-memory.h"

static void
add_unseen (const WatchDisk *disk, GPtrArray *findings, GPtrArray *blind)
{
  Finding *finding = g_new0 (Finding, 1);
  finding->level = LEVEL_BLIND;
  finding->rule = g_strdup ("blind");
  finding->disk = g_strdup (disk->target);
  finding->structure = g_strdup ("");
  finding->text = g_strdup_printf ("disk %s could not be looked at: %s", disk->target, disk->why);
  g_ptr_array_add (findings, finding);
  blind_spots_add (blind, disk->target, "", "", false, finding->text);
}

/* While an incident is open time stands still for what is normal, or the ruin would be in an hour. */
static gint64
peaks_time (const Watch *watch, gint64 time_us)
{
  return watch->incident ? MIN (watch->incident->opened_us, time_us) : time_us;
}

/* What the detectors may know of this disk besides what was seen of it. */
static void
recall (Watch *watch, WatchMemory *memory, gint64 time_us, const WatchDisk *disk,
        struct guardd_peak peaks[][GUARDD_HORIZONS], struct guardd_history *history)
{
  const struct guardd_observation *before = memory->last ? memory->last : memory->good;
  for (guint i = 0; i < disk->seen->n_structures; i++) {
    const WatchStructure *structure = watch_structure (memory, &disk->seen->structures[i], false);
    if (structure)
      peaks_get (structure->peaks, peaks_time (watch, time_us), peaks[i]);
  }
  baseline_step (before, disk->seen, &memory->step);
  memory->step.span_us = memory->last_us ? time_us - memory->last_us : 0;
  memory->last_us = time_us;
  baseline_get (memory->baseline, time_us, &memory->step, history);
  memory->stepped = true;
}

Suspicion
watch_judge_disk (Watch *watch, const Detectors *detectors, gint64 time_us, const WatchDisk *disk,
                  GPtrArray *findings, GPtrArray *blind)
{
  WatchMemory *memory = watch_memory (watch, disk->target);
  struct guardd_peak peaks[GUARDD_STRUCTURES_MAX][GUARDD_HORIZONS] = { 0 };
  g_autofree struct guardd_history *history = g_new0 (struct guardd_history, 1);
  g_autofree struct guardd_relief *reliefs = reliefs_for_detector (watch->reliefs);
  memory->stepped = false;
  if (disk->seen == NULL) {
    add_unseen (disk, findings, blind);
    return SUSPICION_NONE;
  }
  struct guardd_recent recent;
  recall (watch, memory, time_us, disk, peaks, history);
  tally_add (memory->tally, time_us, disk->seen);
  tally_get (memory->tally, time_us, &recent);
  const struct guardd_judge_input input = {
    .size_of = sizeof input,
    .disk = disk->target,
    .time_us = time_us,
    .now = disk->seen,
    .before = memory->good,
    .peaks = (const struct guardd_peak (*)[GUARDD_HORIZONS])peaks,
    .history = history,
    .reliefs = reliefs,
    .n_reliefs = watch->reliefs->len,
    .recent = &recent,
  };
  detectors_judge (detectors, &input, findings);
  detectors_find_blind (detectors, &input, blind);
  g_free (memory->last);
  memory->last = g_memdup2 (disk->seen, sizeof *disk->seen);
  return suspicion_of (&input);
}

void
watch_learn (Watch *watch, gint64 time_us)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, watch->disks);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    WatchMemory *memory = value;
    if (memory->last == NULL)
      continue;
    if (memory->stepped)
      baseline_learn (memory->baseline, time_us, &memory->step);
    memory->stepped = false;
    g_free (memory->good);
    memory->good = g_memdup2 (memory->last, sizeof *memory->last);
    for (guint i = 0; i < memory->last->n_structures; i++) {
      const struct guardd_structure *is = &memory->last->structures[i];
      WatchStructure *structure
          = is->flags & GUARDD_STRUCTURE_COUNTED ? watch_structure (memory, is, true) : NULL;
      if (structure)
        peaks_add (structure->peaks, time_us, is);
    }
  }
}
