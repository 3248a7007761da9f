/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "rollback.h"

#include "base/json.h"

#include "describe.h"
#include "rollback-private.h"

void
rollback_options_free (RollbackOptions *options)
{
  if (options == NULL)
    return;
  g_free (options->snapshot);
  g_strfreev (options->disks);
  g_free (options);
}

void
rollback_data_free (gpointer opaque)
{
  RollbackData *data = opaque;
  rollback_options_free (data->options);
  rollback_journal_free (data->journal);
  snapshot_free (data->target);
  g_free (data->differing);
  g_free (data->written);
  g_free (data);
}

/* Nothing of the guest is changed but that it stands still. */
static bool
secure_evidence (Job *job, GError **error)
{
  if (!rollback_suspend (job, error)
      || !rollback_enter (job, STEP_EVIDENCE, error, "keeping the present state as evidence"))
    return false;
  g_autoptr (Snapshot) evidence = rollback_evidence (job, error);
  return evidence && rollback_prepare (job, evidence, error);
}

static bool
compare_only (Job *job, GError **error)
{
  g_autoptr (Snapshot) latest = pool_latest (job->pool, job->guest->uuid);
  return latest && rollback_compare (job, latest->manifest->number, true, error);
}

static bool
rollback_run (Job *job, GError **error)
{
  const RollbackData *data = job->data;
  g_autoptr (GError) failure = NULL;
  if (!rollback_plan (job, error))
    return false;
  if (data->options->dry_run)
    return compare_only (job, error);
  if (secure_evidence (job, error) && rollback_carry_out (job, error))
    return true;
  if (data->entered && data->journal->step <= STEP_DESTROY && !rollback_undo (job, &failure))
    g_warning ("%s; guardd tries again until it can be undone, or try \"virsh resume\"", failure->message);
  return false;
}

static json_object *
describe_result (const Job *job)
{
  const RollbackData *data = job->data;
  const RollbackJournal *journal = data->journal;
  json_object *object = json_object_new_object (), *disks = json_object_new_array ();
  json_add_string (object, "domain", journal->name);
  json_add_u64 (object, "snapshot", journal->snapshot);
  if (journal->evidence)
    json_add_u64 (object, "evidence", journal->evidence);
  else
    json_object_object_add (object, "evidence", NULL);
  for (guint i = 0; i < journal->disks->len; i++) {
    json_object *disk = json_object_new_object ();
    const RollbackDisk *entry = journal->disks->pdata[i];
    json_add_string (disk, "target", entry->target);
    json_add_string (disk, "method", entry->clone ? "clone" : "write");
    if (entry->clone)
      json_object_object_add (disk, "differing_bytes", NULL);
    else
      json_add_u64 (disk, "differing_bytes", data->differing[i]);
    json_add_u64 (disk, "written_bytes", data->written[i]);
    json_object_array_add (disks, disk);
  }
  json_object_object_add (object, "disks", disks);
  json_add_bool (object, "dry_run", data->options->dry_run);
  json_add_bool (object, "started", data->started);
  json_add_u64 (object, "duration_ms", (guint64)(g_get_monotonic_time () - job->started) / 1000);
  if (journal->was_active && data->started)
    json_add_u64 (object, "downtime_ms", (guint64)(data->down_until - data->down_since) / 1000);
  else
    json_object_object_add (object, "downtime_ms", NULL);
  return object;
}

static void
rollback_done (Job *job, const GError *error)
{
  if (error)
    g_warning ("rollback of %s: %s", job->guest->name, error->message);
  else if (job->call)
    control_call_return (g_steal_pointer (&job->call), describe_result (job));
  const RollbackData *data = job->data;
  if (error == NULL && !data->options->dry_run && data->options->disks == NULL)
    job_rolled_back (job->daemon, job->guest, data->journal->snapshot);
  rollback_settle (job);
  roster_refresh (job->daemon->roster, job->guest->uuid, "rolled back");
  if (error)
    job_sweep (job->guest);
}

void
rollback_start (Daemon *daemon, Guest *guest, RollbackOptions *options, ControlCall *call)
{
  Job *job = job_new (daemon, guest, call);
  RollbackData *data = g_new0 (RollbackData, 1);
  data->options = options;
  job->data = data;
  job->data_free = rollback_data_free;
  job->run = rollback_run;
  job->done = rollback_done;
  job_start (job);
}
