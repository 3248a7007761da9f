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

static void
data_free (gpointer opaque)
{
  RollbackData *data = opaque;
  rollback_options_free (data->options);
  rollback_journal_free (data->journal);
  snapshot_free (data->target);
  g_free (data->differing);
  g_free (data->written);
  g_free (data);
}

/* --- a new one --- */

static bool
suspend (Job *job, GError **error)
{
  if (!rollback_enter (job, STEP_SUSPEND, error, "suspending the guest"))
    return false;
  if (job->domain->state != DOMAIN_STATE_RUNNING)
    return true;
  virDomainPtr domain = rollback_domain (job, error);
  if (domain == NULL)
    return false;
  bool ok = virDomainSuspend (domain) == 0 || rollback_libvirt_fail (job, "suspend it", error);
  virDomainFree (domain);
  return ok;
}

/* Nothing of the guest is changed but that it stands still. */
static bool
secure_evidence (Job *job, GError **error)
{
  RollbackData *data = job->data;
  g_autofree char *why
      = g_strdup_printf ("before the rollback to %" G_GUINT64_FORMAT, data->journal->snapshot);
  if (!suspend (job, error)
      || !rollback_enter (job, STEP_EVIDENCE, error, "keeping the present state as evidence"))
    return false;
  g_autoptr (Snapshot) evidence = job_capture_now (job, "evidence", why, true, NULL, error);
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
  RollbackData *data = job->data;
  if (!rollback_plan (job, error))
    return false;
  if (data->options->dry_run)
    return compare_only (job, error);
  if (!secure_evidence (job, error)) {
    rollback_undo (job);
    return false;
  }
  return rollback_carry_out (job, error);
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
  roster_refresh (job->daemon->roster, job->guest->uuid, "rolled back");
}

void
rollback_start (Daemon *daemon, Guest *guest, RollbackOptions *options, ControlCall *call)
{
  Job *job = job_new (daemon, guest, call);
  RollbackData *data = g_new0 (RollbackData, 1);
  data->options = options;
  job->data = data;
  job->data_free = data_free;
  job->run = rollback_run;
  job->done = rollback_done;
  job_start (job);
}

/* --- what an earlier guardd left --- */

static bool
recover_run (Job *job, GError **error)
{
  RollbackData *data = job->data;
  RollbackJournal *journal = data->journal;
  bool active = job->domain && domain_is_active (job->domain);
  /* In STEP_DESTROY libvirt may be about to end a process that still shows; only one that runs again
   * has outrun the evidence. */
  bool lives = active && (journal->step < STEP_DESTROY || job->domain->state == DOMAIN_STATE_RUNNING);
  if (job->domain == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "it is not defined in libvirt any more");
    return false;
  }
  /* Nothing has been written. */
  if (journal->step <= STEP_DESTROY && (lives || journal->evidence == 0)) {
    g_message ("rollback of %s: an earlier guardd did not get to it; the guest goes on", journal->name);
    virDomainPtr domain = rollback_domain (job, error);
    if (domain && journal->was_running)
      virDomainResume (domain); /* refused when it is running */
    if (domain)
      virDomainFree (domain);
    return rollback_journal_remove (journal, job->daemon->config->state_dir, error);
  }
  if (active && journal->step > STEP_DESTROY && journal->step < STEP_START) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 "somebody started it on half-written disks; roll it back again at once");
    return false;
  }
  g_message ("rollback of %s: finishing what an earlier guardd began", journal->name);
  data->target = pool_resolve (job->pool, journal->uuid, data->options->snapshot, 0, error);
  return data->target && rollback_compare (job, journal->evidence, false, error)
         && rollback_carry_out (job, error);
}

static void
recover_done (Job *job, const GError *error)
{
  job->guest->unfinished = false;
  if (error)
    g_warning ("rollback of %s, left unfinished by an earlier guardd: %s", job->guest->name, error->message);
  roster_refresh (job->daemon->roster, job->guest->uuid, "rolled back");
  job_sweep (job->guest); /* it may have died while it took the evidence */
}

bool
rollback_load (Daemon *daemon, GError **error)
{
  g_autoptr (GPtrArray) journals = rollback_journal_load_all (daemon->config->state_dir, error);
  for (guint i = 0; journals && i < journals->len; i++) {
    const RollbackJournal *journal = journals->pdata[i];
    daemon_guest (daemon, journal->uuid, journal->name)->unfinished = true;
  }
  return journals != NULL;
}

void
rollback_recover (Daemon *daemon)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) journals = rollback_journal_load_all (daemon->config->state_dir, &error);
  if (journals == NULL)
    g_warning ("%s", error->message);
  while (journals && journals->len > 0) {
    RollbackJournal *journal = g_ptr_array_steal_index (journals, journals->len - 1);
    Guest *guest = daemon_guest (daemon, journal->uuid, journal->name);
    Pool *pool = g_hash_table_lookup (daemon->pools, journal->pool);
    if (!guest->unfinished || guest->busy || pool == NULL) {
      rollback_journal_free (journal);
      continue;
    }
    Job *job = job_new (daemon, guest, NULL);
    RollbackData *data = g_new0 (RollbackData, 1);
    data->options = g_new0 (RollbackOptions, 1);
    data->options->snapshot = g_strdup_printf ("%" G_GUINT64_FORMAT, journal->snapshot);
    data->journal = journal;
    data->differing = g_new0 (guint64, journal->disks->len);
    data->written = g_new0 (guint64, journal->disks->len);
    job->pool = pool;
    job->data = data;
    job->data_free = data_free;
    job->run = recover_run;
    job->done = recover_done;
    job_start (job);
  }
}
