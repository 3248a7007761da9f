/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch-memory.h"

#include <string.h>

#define SAVE_US (60 * G_USEC_PER_SEC)
/* What was found in a change, not in a state, is over when nothing more of it is found for so long. */
#define QUIET_US ((gint64)3600 * G_USEC_PER_SEC)

static void
memory_free (gpointer data)
{
  WatchMemory *memory = data;
  g_free (memory->good);
  g_free (memory->last);
  g_ptr_array_unref (memory->structures);
  tally_free (memory->tally);
  g_free (memory);
}

void
watch_structure_free (gpointer data)
{
  WatchStructure *structure = data;
  g_free (structure->path);
  peaks_free (structure->peaks);
  g_free (structure);
}

WatchMemory *
watch_memory (Watch *watch, const char *target)
{
  WatchMemory *memory = g_hash_table_lookup (watch->disks, target);
  if (memory == NULL) {
    memory = g_new0 (WatchMemory, 1);
    memory->structures = g_ptr_array_new_with_free_func (watch_structure_free);
    memory->tally = tally_new ();
    g_hash_table_insert (watch->disks, g_strdup (target), memory);
  }
  return memory;
}

WatchStructure *
watch_structure (WatchMemory *memory, const struct guardd_structure *is, bool make)
{
  for (guint i = 0; i < memory->structures->len; i++) {
    WatchStructure *structure = memory->structures->pdata[i];
    if (structure->kind == is->kind && strcmp (structure->path, is->path) == 0
        && memcmp (structure->uuid, is->uuid, sizeof is->uuid) == 0)
      return structure;
  }
  if (!make || memory->structures->len >= 2 * GUARDD_STRUCTURES_MAX)
    return NULL;
  WatchStructure *structure = g_new0 (WatchStructure, 1);
  structure->path = g_strdup (is->path);
  structure->kind = is->kind;
  memcpy (structure->uuid, is->uuid, sizeof is->uuid);
  structure->peaks = peaks_new ();
  g_ptr_array_add (memory->structures, structure);
  return structure;
}

Watch *
watch_new (const char *state_dir, const char *uuid)
{
  Watch *watch = g_new0 (Watch, 1);
  watch->state_dir = g_strdup (state_dir);
  watch->uuid = g_strdup (uuid);
  watch->disks = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, memory_free);
  watch_load (watch);
  watch->saved = g_get_monotonic_time ();
  return watch;
}

void
watch_free (Watch *watch)
{
  if (watch == NULL)
    return;
  watch_save (watch);
  incident_free (watch->incident);
  g_hash_table_unref (watch->disks);
  g_free (watch->state_dir);
  g_free (watch->uuid);
  g_free (watch);
}

void
verdict_clear (Verdict *verdict)
{
  g_clear_pointer (&verdict->findings, g_ptr_array_unref);
  g_clear_pointer (&verdict->resolved, incident_free);
}

const Incident *
watch_incident (const Watch *watch)
{
  return watch->incident;
}

void
watch_set_good (Watch *watch, guint64 number)
{
  watch->incident->good = number;
}

/* --- judging --- */

static void
add_blind (GPtrArray *findings, const WatchDisk *disk)
{
  Finding *finding = g_new0 (Finding, 1);
  finding->level = LEVEL_BLIND;
  finding->rule = g_strdup ("blind");
  finding->disk = g_strdup (disk->target);
  finding->structure = g_strdup ("");
  finding->text = g_strdup_printf ("disk %s could not be looked at: %s", disk->target, disk->why);
  g_ptr_array_add (findings, finding);
}

static void
judge_disk (Watch *watch, const Detectors *detectors, gint64 time_us, const WatchDisk *disk,
            GPtrArray *findings)
{
  WatchMemory *memory = watch_memory (watch, disk->target);
  struct guardd_peak peaks[GUARDD_STRUCTURES_MAX][GUARDD_HORIZONS] = { 0 };
  for (guint i = 0; i < disk->seen->n_structures; i++) {
    const WatchStructure *structure = watch_structure (memory, &disk->seen->structures[i], false);
    if (structure)
      peaks_get (structure->peaks, time_us, peaks[i]);
  }
  struct guardd_recent recent;
  tally_add (memory->tally, time_us, disk->seen);
  tally_get (memory->tally, time_us, &recent);
  const struct guardd_judge_input input = {
    .size_of = sizeof input,
    .disk = disk->target,
    .time_us = time_us,
    .now = disk->seen,
    .before = memory->good,
    .peaks = (const struct guardd_peak (*)[GUARDD_HORIZONS])peaks,
    .recent = &recent,
  };
  detectors_judge (detectors, &input, findings);
  g_free (memory->last);
  memory->last = g_memdup2 (disk->seen, sizeof *disk->seen);
}

static void
learn (Watch *watch, gint64 time_us)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, watch->disks);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    WatchMemory *memory = value;
    if (memory->last == NULL)
      continue;
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

static bool
any_lasting (const GPtrArray *findings)
{
  for (guint i = 0; i < findings->len; i++) {
    const Finding *finding = findings->pdata[i];
    if (finding->lasting && finding->level >= LEVEL_WARN)
      return true;
  }
  return false;
}

/* When the counters of the structure of a slow fall were last high; 0: not known. */
static gint64
fall_began (Watch *watch, const Finding *finding, gint64 time_us)
{
  const WatchMemory *memory = watch_memory (watch, finding->disk);
  gint64 began = 0;
  if (finding->slow == GUARDD_SLOW_RECENT)
    return tally_began (memory->tally, time_us) - 1; /* that snapshot is bad */
  for (guint i = 0; i < memory->structures->len; i++) {
    const WatchStructure *structure = memory->structures->pdata[i];
    if (strcmp (structure->path, finding->structure) == 0)
      began = MAX (began, peaks_last_high (structure->peaks, time_us));
  }
  return began;
}

/* A slow fall began long before it was enough to be found. */
static gint64
first_sign (Watch *watch, const GPtrArray *findings, gint64 time_us)
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

static GPtrArray *
copy_findings (const GPtrArray *findings)
{
  GPtrArray *copy = findings_new ();
  for (guint i = 0; i < findings->len; i++)
    g_ptr_array_add (copy, finding_copy (findings->pdata[i]));
  return copy;
}

static void
open_incident (Watch *watch, guint64 number, gint64 time_us, Verdict *verdict)
{
  Incident *incident = g_new0 (Incident, 1);
  incident->id = g_uuid_string_random ();
  incident->level = verdict->level;
  incident->opened_us = incident->last_us = time_us;
  incident->first_bad = number;
  incident->good = watch->good;
  incident->sign_us = first_sign (watch, verdict->findings, time_us);
  incident->findings = copy_findings (verdict->findings);
  watch->incident = incident;
  verdict->opened = true;
}

static void
follow_incident (Watch *watch, gint64 time_us, Verdict *verdict)
{
  Incident *incident = watch->incident;
  bool found = verdict->level >= LEVEL_WARN, was_lasting = any_lasting (incident->findings);
  if (found)
    incident->last_us = time_us;
  /* Blindness ends nothing. */
  if (!found && verdict->level != LEVEL_BLIND && (was_lasting || time_us - incident->last_us > QUIET_US)) {
    verdict->resolved = g_steal_pointer (&watch->incident);
    return;
  }
  if (verdict->level > incident->level || (!was_lasting && any_lasting (verdict->findings))) {
    verdict->raised = verdict->level > incident->level;
    incident->level = MAX (incident->level, verdict->level);
    g_ptr_array_unref (incident->findings);
    incident->findings = copy_findings (verdict->findings);
  }
  verdict->level = incident->level;
}

void
watch_judge (Watch *watch, const Detectors *detectors, guint64 number, gint64 time_us, const WatchDisk *disks,
             guint n_disks, Verdict *verdict)
{
  *verdict = (Verdict){ .findings = findings_new () };
  for (guint i = 0; i < n_disks; i++)
    if (disks[i].seen)
      judge_disk (watch, detectors, time_us, &disks[i], verdict->findings);
    else
      add_blind (verdict->findings, &disks[i]);
  verdict->level = findings_level (verdict->findings);
  if (watch->incident)
    follow_incident (watch, time_us, verdict);
  else if (verdict->level >= LEVEL_WARN)
    open_incident (watch, number, time_us, verdict);
  if (watch->incident == NULL && verdict->level != LEVEL_BLIND) {
    learn (watch, time_us);
    watch->good = number;
  }
  if (verdict->opened || verdict->raised || verdict->resolved
      || g_get_monotonic_time () - watch->saved > SAVE_US) {
    watch_save (watch);
    watch->saved = g_get_monotonic_time ();
  }
}

void
watch_add_findings (Watch *watch, const char *id, const GPtrArray *findings)
{
  Incident *incident = watch->incident;
  if (incident == NULL || g_strcmp0 (incident->id, id) != 0)
    return;
  for (guint i = 0; i < findings->len; i++)
    g_ptr_array_add (incident->findings, finding_copy (findings->pdata[i]));
  incident->level = MAX (incident->level, findings_level (findings));
  watch_save (watch);
}

void
watch_close_incident (Watch *watch, bool false_positive)
{
  GHashTableIter iter;
  gpointer value;
  g_clear_pointer (&watch->incident, incident_free);
  g_hash_table_iter_init (&iter, watch->disks);
  while (false_positive && g_hash_table_iter_next (&iter, NULL, &value)) {
    WatchMemory *memory = value;
    g_free (memory->good);
    memory->good = memory->last ? g_memdup2 (memory->last, sizeof *memory->last) : NULL;
    g_ptr_array_set_size (memory->structures, 0);
    tally_clear (memory->tally);
  }
  watch_save (watch);
}
