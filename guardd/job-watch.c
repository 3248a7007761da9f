/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks at a snapshot that was taken, judges it, and protects the last good one before anybody is asked. */
#define G_LOG_DOMAIN "guardd"
#include "base/json.h"

#include "alerts.h"
#include "change-scan.h"
#include "describe.h"
#include "job.h"
#include "sentinel.h"

#include <string.h>

#define DEADLINE_US (10 * G_USEC_PER_SEC)
#define PROGRAM "guardd-sentinel"
/* Of a guest's snapshots that wait to be looked at, those that keep their sample (16 MiB at most each): for
 * the others it is read from the pool. */
#define SAMPLES_WAITING_MAX 4u

typedef struct {
  Snapshot *snapshot;
  GHashTable *samples; /* of what changed; NULL: too many wait to be looked at */
  Verdict verdict;
  Incident *incident; /* copy of the open one; NULL: none */
  GPtrArray *reliefs; /* Relief: as the watch has them */
  guint64 look_us, read_bytes;
  GPtrArray *problems; /* sentences for the log */
} WatchData;

static void
data_free (gpointer opaque)
{
  WatchData *data = opaque;
  snapshot_free (data->snapshot);
  g_clear_pointer (&data->samples, g_hash_table_unref);
  verdict_clear (&data->verdict);
  incident_free (data->incident);
  g_clear_pointer (&data->reliefs, g_ptr_array_unref);
  g_ptr_array_unref (data->problems);
  g_free (data);
}

/* --- looking, on the job's thread --- */

/* How a disk looked of which nothing changed from one snapshot to the next: it looks so for as long as that
 * goes on, and no process need be started to see it. */
typedef struct {
  const Pool *pool;
  guint64 number; /* of the newest snapshot that it is true of, there */
  struct guardd_observation seen;
} Still;

static bool
recall_still (const Job *job, const ManifestDisk *disk, guint64 number, struct guardd_observation *seen)
{
  GHashTable *all = job->guest->still;
  Still *still = all ? g_hash_table_lookup (all, disk->target) : NULL;
  if (still == NULL || still->pool != job->pool || still->number != disk->parent)
    return false;
  still->number = number;
  *seen = still->seen;
  seen->read_bytes = 0;
  return true;
}

static void
forget_still (Guest *guest, const ManifestDisk *disk)
{
  if (guest->still)
    g_hash_table_remove (guest->still, disk->target);
}

static void
remember_still (const Job *job, const ManifestDisk *disk, guint64 number,
                const struct guardd_observation *seen)
{
  Guest *guest = job->guest;
  Still still = { job->pool, number, *seen };
  if (guest->still == NULL)
    guest->still = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_replace (guest->still, g_strdup (disk->target), g_memdup2 (&still, sizeof still));
}

static bool
look_at_disk (Job *job, const ManifestDisk *disk, struct guardd_observation *seen, GError **error)
{
  const WatchData *data = job->data;
  const Manifest *manifest = data->snapshot->manifest;
  ContentSample *sample = data->samples ? g_hash_table_lookup (data->samples, disk->target) : NULL;
  g_autofree char *program = g_build_filename (job->daemon->config->libexec_dir, PROGRAM, NULL);
  g_autoptr (StorageReader) now
      = pool_image_open (job->pool, manifest->domain_uuid, manifest->number, disk->target, error);
  if (now == NULL)
    return false;
  /* The one before may have been removed meanwhile. */
  g_autoptr (StorageReader) before
      = disk->parent ? pool_image_open (job->pool, manifest->domain_uuid, disk->parent, disk->target, NULL)
                     : NULL;
  ChangeScan scan = { 0 };
  if (before && !change_scan (now, before, sample, &scan, error)) {
    change_scan_clear (&scan);
    return false;
  }
  bool is_still = before && scan.runs->len == 0 && disk->changed_bytes == 0
                  && storage_image_size (now) == storage_image_size (before);
  if (is_still && recall_still (job, disk, manifest->number, seen)) {
    change_scan_clear (&scan);
    return true;
  }
  forget_still (job->guest, disk); /* numbers begin again once all of a guest's snapshots are gone */
  SentinelRequest request = { .program = program,
                              .now = now,
                              .before = before,
                              .runs = scan.runs ? (const struct wire_run *)(void *)scan.runs->data : NULL,
                              .n_runs = scan.runs ? scan.runs->len : 0,
                              .factor = MAX (scan.data_factor, 1),
                              .deadline_us = DEADLINE_US };
  bool ok = sentinel_look (&request, seen, error);
  change_scan_clear (&scan);
  if (ok && is_still)
    remember_still (job, disk, manifest->number, seen);
  return ok;
}

static void
look (Job *job, WatchData *data)
{
  const GPtrArray *all = data->snapshot->manifest->disks;
  g_autofree struct guardd_observation *seen = g_new0 (struct guardd_observation, all->len);
  g_autofree WatchDisk *disks = g_new0 (WatchDisk, all->len);
  g_autoptr (GPtrArray) reasons = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < all->len; i++) {
    const ManifestDisk *disk = all->pdata[i];
    g_autoptr (GError) error = NULL;
    disks[i].target = disk->target;
    if (look_at_disk (job, disk, &seen[i], &error)) {
      disks[i].seen = &seen[i];
      data->read_bytes += seen[i].read_bytes;
    } else {
      disks[i].why = g_strdup (error->message);
      g_ptr_array_add (reasons, (char *)disks[i].why);
    }
  }
  watch_judge (job->guest->watch, job->daemon->detectors, data->snapshot->manifest->number,
               data->snapshot->manifest->time_us, disks, all->len, &data->verdict);
}

/* --- protecting --- */

static void
change_state (Job *job, GPtrArray *problems, const Snapshot *snapshot, const StateChange *change)
{
  g_autoptr (GError) error = NULL;
  if (!pool_change_state (job->pool, job->guest->uuid, snapshot->manifest->number, change, &error))
    g_ptr_array_add (problems, g_strdup (error->message));
}

void
job_protect (Job *job, GPtrArray *problems)
{
  const Incident *incident = watch_incident (job->guest->watch);
  g_autoptr (GPtrArray) all = pool_snapshots (job->pool, job->guest->uuid);
  const Snapshot *good = NULL;
  /* A list takes minutes: what was captured meanwhile has been looked at already. */
  guint64 end = incident->listed ? G_MAXUINT64 : incident->first_bad;
  for (guint i = 0; i < all->len; i++) {
    const Snapshot *snapshot = all->pdata[i];
    Level level = LEVEL_OK;
    level_from_name (snapshot->state->verdict, &level);
    bool bad = snapshot->state->evidence || level >= LEVEL_WARN;
    if (snapshot->manifest->time_us < incident->sign_us && !bad)
      good = snapshot;
    else if (snapshot->manifest->number < end && !bad)
      change_state (job, problems, snapshot, &(StateChange){ .verdict = level_name (LEVEL_WARN) });
  }
  if (good == NULL) {
    watch_set_good (job->guest->watch, 0);
    return;
  }
  const Finding *worst = findings_worst (incident->findings);
  g_autofree char *hold
      = g_strdup_printf ("guardd: last good one before \"%s\" (alert %.8s)", worst->rule, incident->id);
  change_state (job, problems, good, &(StateChange){ .hold = hold, .mild = true });
  watch_set_good (job->guest->watch, good->manifest->number);
}

static bool
watch_run (Job *job, GError **error)
{
  WatchData *data = job->data;
  Guest *guest = job->guest;
  gint64 started = g_get_monotonic_time ();
  look (job, data);
  data->look_us = (guint64)(g_get_monotonic_time () - started);
  const char *level = level_name (data->verdict.level);
  if (data->verdict.opened)
    job_protect (job, data->problems);
  if (data->verdict.level >= LEVEL_WARN)
    change_state (job, data->problems, data->snapshot, &(StateChange){ .verdict = level });
  else
    pool_note_verdict (job->pool, guest->uuid, data->snapshot->manifest->number, level);
  data->incident = incident_copy (watch_incident (guest->watch));
  data->reliefs = watch_reliefs (guest->watch, data->snapshot->manifest->time_us);
  return true;
}

/* --- telling, on the main thread --- */

static void
tell_verdict (Job *job, const WatchData *data)
{
  json_object *event = describe_guest_event (job->guest);
  json_add_u64 (event, "number", data->snapshot->manifest->number);
  json_add_string (event, "level", level_name (data->verdict.level));
  json_add_u64 (event, "look_us", data->look_us);
  json_add_u64 (event, "look_bytes", data->read_bytes);
  json_object_object_add (event, "findings", findings_to_json (data->verdict.findings));
  control_event (job->daemon->control, "VERDICT", event);
}

static void
log_verdict (Job *job, const WatchData *data)
{
  const Guest *guest = job->guest;
  guint64 number = data->snapshot->manifest->number;
  for (guint i = 0; i < data->problems->len; i++)
    g_warning ("%s: %s", guest->name, (char *)data->problems->pdata[i]);
  if (data->verdict.resolved)
    g_message ("%s: snapshot %" G_GUINT64_FORMAT ": nothing more is found: alert %.8s is over", guest->name,
               number, data->verdict.resolved->id);
  bool news = data->verdict.opened || data->verdict.raised || data->verdict.level == LEVEL_INFO
              || (data->verdict.level == LEVEL_BLIND && guest->blind <= 1);
  for (guint i = 0; news && i < data->verdict.findings->len; i++) {
    const Finding *finding = data->verdict.findings->pdata[i];
    g_log (G_LOG_DOMAIN, finding->level >= LEVEL_BLIND ? G_LOG_LEVEL_WARNING : G_LOG_LEVEL_MESSAGE,
           "%s: snapshot %" G_GUINT64_FORMAT ": %s: %s", guest->name, number, level_name (finding->level),
           finding->text);
  }
}

static void
watch_done (Job *job, const GError *error)
{
  WatchData *data = job->data;
  Guest *guest = job->guest;
  guest->level = data->verdict.level;
  guest->blind = data->verdict.level == LEVEL_BLIND ? guest->blind + 1 : 0;
  incident_free (guest->incident);
  guest->incident = incident_copy (data->incident);
  g_clear_pointer (&guest->blind_spots, g_ptr_array_unref);
  guest->blind_spots = g_ptr_array_ref (data->verdict.blind);
  g_clear_pointer (&guest->reliefs, g_ptr_array_unref);
  guest->reliefs = g_steal_pointer (&data->reliefs);
  log_verdict (job, data);
  if (data->verdict.resolved)
    daemon_alarm_over (job->daemon, guest, data->verdict.resolved);
  tell_verdict (job, data);
  if (data->verdict.opened || data->verdict.raised) {
    daemon_alarm (job->daemon, guest);
    job_deepen (job->daemon, guest);
  }
  job_deepen_suspected (job->daemon, guest, data->verdict.suspicion, data->snapshot->manifest->time_us);
  if (guest->blind == DAEMON_BLIND_ALARM)
    daemon_alarm_blind (job->daemon, guest, findings_worst (data->verdict.findings));
}

void
job_watch (Daemon *daemon, Guest *guest, const Snapshot *snapshot, GHashTable *samples)
{
  WatchData *data = g_new0 (WatchData, 1);
  data->snapshot = snapshot_copy (snapshot);
  data->samples = samples;
  if (g_queue_get_length (&guest->looks) >= SAMPLES_WAITING_MAX)
    g_clear_pointer (&data->samples, g_hash_table_unref);
  data->problems = g_ptr_array_new_with_free_func (g_free);
  Job *job = job_new (daemon, guest, NULL);
  job->data = data;
  job->data_free = data_free;
  job->run = watch_run;
  job->done = watch_done;
  job->dispensable = true;
  job_start_look (job);
}
