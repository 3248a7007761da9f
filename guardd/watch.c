/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch-memory.h"

#include <string.h>

#define SAVE_US (60 * G_USEC_PER_SEC)
/* An incident is over when nothing more is found for so long. */
#define QUIET_US ((gint64)3600 * G_USEC_PER_SEC)

static void
memory_free (gpointer data)
{
  WatchMemory *memory = data;
  g_free (memory->good);
  g_free (memory->last);
  g_ptr_array_unref (memory->structures);
  baseline_free (memory->baseline);
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
    memory->baseline = baseline_new ();
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
  watch->reliefs = reliefs_new ();
  watch_load (watch);
  watch->saved = g_get_monotonic_time ();
  return watch;
}

void
watch_free (Watch *watch)
{
  if (watch == NULL)
    return;
  if (watch->unsaved)
    watch_save (watch);
  incident_free (watch->incident);
  g_ptr_array_unref (watch->reliefs);
  g_hash_table_unref (watch->disks);
  g_free (watch->state_dir);
  g_free (watch->uuid);
  g_free (watch);
}

void
verdict_clear (Verdict *verdict)
{
  g_clear_pointer (&verdict->findings, g_ptr_array_unref);
  g_clear_pointer (&verdict->blind, g_ptr_array_unref);
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

/* --- incidents --- */

static bool
any_lasting (const GPtrArray *findings)
{
  for (guint i = 0; i < findings->len; i++) {
    const Finding *finding = findings->pdata[i];
    if (finding->lasting && finding->level >= LEVEL_WARN && finding->disk[0] != '\0')
      return true;
  }
  return false;
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
  incident->sign_us = watch_first_sign (watch, verdict->findings, time_us);
  incident->findings = copy_findings (verdict->findings);
  watch->incident = incident;
  verdict->opened = true;
}

/* Whether it is over: junk in the place of what was deleted makes the counters as they were, so nothing but
 * guardd's own rollback is believed at once. */
static bool
is_over (Incident *incident, gint64 time_us, Level level)
{
  if (level >= LEVEL_WARN)
    incident->last_us = time_us;
  if (level >= LEVEL_BLIND) { /* blindness ends nothing */
    incident->quiet_us = 0;
    return false;
  }
  if (incident->quiet_us == 0)
    incident->quiet_us = time_us;
  return !incident->listed && (incident->rolled_back || time_us - incident->quiet_us > QUIET_US);
}

/* What lists have found stays. */
static void
replace_findings (Incident *incident, const GPtrArray *findings)
{
  for (guint i = incident->findings->len; i > 0; i--)
    if (((const Finding *)incident->findings->pdata[i - 1])->disk[0] != '\0')
      g_ptr_array_remove_index (incident->findings, i - 1);
  for (guint i = 0; i < findings->len; i++)
    g_ptr_array_add (incident->findings, finding_copy (findings->pdata[i]));
}

static void
follow_incident (Watch *watch, gint64 time_us, Verdict *verdict)
{
  Incident *incident = watch->incident;
  bool was_lasting = any_lasting (incident->findings);
  if (is_over (incident, time_us, verdict->level)) {
    verdict->resolved = g_steal_pointer (&watch->incident);
    return;
  }
  if (verdict->level > incident->level || (!was_lasting && any_lasting (verdict->findings))) {
    verdict->raised = verdict->level > incident->level;
    incident->level = MAX (incident->level, verdict->level);
    replace_findings (incident, verdict->findings);
  }
  verdict->level = incident->level;
}

void
watch_judge (Watch *watch, const Detectors *detectors, guint64 number, gint64 time_us, const WatchDisk *disks,
             guint n_disks, Verdict *verdict)
{
  *verdict = (Verdict){ .findings = findings_new (), .blind = blind_spots_new () };
  watch->unsaved = true;
  reliefs_expire (watch->reliefs, time_us);
  for (guint i = 0; i < n_disks; i++) {
    Suspicion suspicion
        = watch_judge_disk (watch, detectors, time_us, &disks[i], verdict->findings, verdict->blind);
    verdict->suspicion = MAX (verdict->suspicion, suspicion);
  }
  verdict->level = findings_level (verdict->findings);
  if (watch->incident)
    follow_incident (watch, time_us, verdict);
  else if (verdict->level >= LEVEL_WARN)
    open_incident (watch, number, time_us, verdict);
  if (watch->incident == NULL && verdict->level != LEVEL_BLIND) {
    watch_learn (watch, time_us);
    watch->good = number;
  }
  if (verdict->opened || verdict->raised || verdict->resolved
      || g_get_monotonic_time () - watch->saved > SAVE_US) {
    watch_save (watch);
    watch->saved = g_get_monotonic_time ();
  }
}

/* What the same rule has said of the same place before. */
static void
remove_earlier (GPtrArray *findings, const Finding *newer)
{
  for (guint i = findings->len; i > 0; i--) {
    const Finding *finding = findings->pdata[i - 1];
    if (strcmp (finding->rule, newer->rule) == 0 && strcmp (finding->disk, newer->disk) == 0
        && strcmp (finding->structure, newer->structure) == 0)
      g_ptr_array_remove_index (findings, i - 1);
  }
}

void
watch_add_findings (Watch *watch, const char *id, const GPtrArray *findings)
{
  Incident *incident = watch->incident;
  if (incident == NULL || g_strcmp0 (incident->id, id) != 0)
    return;
  for (guint i = 0; i < findings->len; i++)
    remove_earlier (incident->findings, findings->pdata[i]);
  for (guint i = 0; i < findings->len; i++)
    g_ptr_array_add (incident->findings, finding_copy (findings->pdata[i]));
  incident->level = MAX (incident->level, findings_level (findings));
  watch_save (watch);
}

bool
watch_open_listed (Watch *watch, const WatchListed *listed, const GPtrArray *findings)
{
  bool opened = watch->incident == NULL;
  if (opened) {
    Incident *incident = watch->incident = g_new0 (Incident, 1);
    incident->id = g_uuid_string_random ();
    incident->opened_us = incident->last_us = listed->time_us;
    incident->first_bad = listed->number;
    incident->good = listed->good;
    incident->sign_us = listed->good_time_us + 1;
    incident->listed = true;
    incident->findings = findings_new ();
  }
  watch_add_findings (watch, watch->incident->id, findings);
  return opened;
}

void
watch_rolled_back (Watch *watch, guint64 number)
{
  GHashTableIter iter;
  gpointer memory;
  if (watch->incident == NULL || number > watch->incident->good)
    return;
  watch->incident->rolled_back = true;
  g_hash_table_iter_init (&iter, watch->disks);
  while (g_hash_table_iter_next (&iter, NULL, &memory))
    tally_clear (((WatchMemory *)memory)->tally); /* it is undone */
  watch_save (watch);
}

Incident *
watch_end_listed (Watch *watch, const char *id)
{
  Incident *incident = watch->incident;
  if (incident == NULL || strcmp (incident->id, id) != 0 || !incident->listed)
    return NULL;
  watch->incident = NULL;
  watch_save (watch);
  return incident;
}

/* One rule counts once, however many findings it made. */
static void
relieve (Watch *watch, const GPtrArray *findings, gint64 now_us)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < findings->len; i++) {
    const Finding *finding = findings->pdata[i];
    if (finding->soft && finding->level >= LEVEL_WARN && g_hash_table_add (seen, finding->rule))
      reliefs_add (watch->reliefs, finding->rule, now_us);
  }
}

void
watch_false_positive (Watch *watch, const char *id, const GPtrArray *findings, gint64 now_us)
{
  bool open = watch->incident && strcmp (watch->incident->id, id) == 0;
  GHashTableIter iter;
  gpointer value;
  relieve (watch, findings, now_us);
  g_hash_table_iter_init (&iter, watch->disks);
  while (open && g_hash_table_iter_next (&iter, NULL, &value)) {
    WatchMemory *memory = value;
    g_free (memory->good);
    memory->good = memory->last ? g_memdup2 (memory->last, sizeof *memory->last) : NULL;
    g_ptr_array_set_size (memory->structures, 0);
    tally_clear (memory->tally);
  }
  if (open)
    g_clear_pointer (&watch->incident, incident_free);
  watch_save (watch);
}

GPtrArray *
watch_reliefs (Watch *watch, gint64 now_us)
{
  reliefs_expire (watch->reliefs, now_us);
  return reliefs_copy (watch->reliefs);
}
