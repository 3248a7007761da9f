/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an earlier guardd, or a rollback of this one that failed, has left: finished or undone. */
#define G_LOG_DOMAIN "guardd"
#include "rollback-private.h"
#include "rollback-write.h"

#define AGAIN_SECONDS 5 /* a guest may stand still meanwhile */

/* --- nothing has been written --- */

/* Is each disk still what the earlier evidence has?  Then nobody has used it since. */
static bool
compare_evidence (Job *job, guint64 earlier, guint64 now, GError **error)
{
  const RollbackJournal *journal = ((const RollbackData *)job->data)->journal;
  for (guint i = 0; i < journal->disks->len; i++) {
    const RollbackDisk *disk = journal->disks->pdata[i];
    guint64 differing = 0, zero = 0;
    g_autoptr (StorageReader) old = pool_image_open (job->pool, journal->uuid, earlier, disk->target, error);
    g_autoptr (StorageReader) new
        = old ? pool_image_open (job->pool, journal->uuid, now, disk->target, error) : NULL;
    if (new == NULL || !rollback_measure (old, new, &differing, &zero, error))
      return false;
    if (differing > 0) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                   "disk %s was used since the guest was suspended for it; roll it back again, if you still "
                   "want it",
                   disk->target);
      return false;
    }
  }
  return true;
}

/* The journal keeps the step: when guardd dies again, the next one begins here. */
static bool
renew_evidence (Job *job, GError **error)
{
  RollbackData *data = job->data;
  RollbackJournal *journal = data->journal;
  virDomainPtr domain = rollback_domain (job, error);
  if (domain == NULL)
    return false;
  bool ok = rollback_watch (job, domain, error);
  virDomainFree (domain);
  if (ok)
    data->target = pool_resolve (job->pool, journal->uuid, data->options->snapshot, 0, error);
  g_autoptr (Snapshot) evidence = data->target ? rollback_evidence (job, error) : NULL;
  return evidence && compare_evidence (job, journal->evidence, evidence->manifest->number, error)
         && rollback_prepare (job, evidence, error);
}

static bool
recover_unwritten (Job *job, GError **error)
{
  const RollbackData *data = job->data;
  const RollbackJournal *journal = data->journal;
  g_autoptr (GError) why = NULL;
  /* A guest that is off although it was not: it was this rollback that has ended it, or somebody since. */
  bool ended = journal->step == STEP_DESTROY && journal->was_active && job->domain
               && !domain_is_active (job->domain);
  if (ended) {
    g_message ("rollback of %s: the guest has been ended; looking whether its disks are as they were",
               journal->name);
    if (renew_evidence (job, &why) && rollback_carry_out (job, &why))
      return true;
    if (journal->step > STEP_DESTROY) {
      g_propagate_error (error, g_steal_pointer (&why));
      return false;
    }
  }
  if (why || !journal->half_written)
    g_message ("rollback of %s: undone, as nothing has been written: %s", journal->name,
               why ? why->message : "the guest goes on");
  return rollback_undo (job, error);
}

/* --- something has --- */

/* What it has written since is in no evidence: nobody can finish that rollback any more. */
static bool
recover_outrun (Job *job, GError **error)
{
  RollbackJournal *journal = ((RollbackData *)job->data)->journal;
  journal->half_written = true;
  journal->step = STEP_SUSPEND;
  journal->evidence = 0;
  journal->was_running = false;
  if (rollback_journal_save (journal, job->daemon->config->state_dir, error))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 "somebody started it on half-written disks; roll it back again at once");
  return false;
}

static bool
recover_run (Job *job, GError **error)
{
  RollbackData *data = job->data;
  const RollbackJournal *journal = data->journal;
  g_autoptr (GError) failure = NULL;
  if (!rollback_describe (job, &failure)) {
    bool gone = g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    data->stuck = !gone && journal->step <= STEP_DESTROY;
    if (gone && journal->step <= STEP_DESTROY)
      return rollback_undo (job, error);
    g_propagate_error (error, g_steal_pointer (&failure));
    return false;
  }
  if (journal->step <= STEP_DESTROY)
    return recover_unwritten (job, error);
  if (journal->step < STEP_START && domain_is_active (job->domain))
    return recover_outrun (job, error);
  g_message ("rollback of %s: finishing what was begun", journal->name);
  data->target = pool_resolve (job->pool, journal->uuid, data->options->snapshot, 0, error);
  return data->target && rollback_compare (job, journal->evidence, false, error)
         && rollback_carry_out (job, error);
}

/* --- on the main thread --- */

static gboolean
recover_again (gpointer opaque)
{
  Daemon *daemon = opaque;
  daemon->rollback_timer = 0;
  if (!daemon->stopping && daemon->libvirt_connected)
    rollback_recover (daemon);
  return G_SOURCE_REMOVE;
}

static void
recover_later (Daemon *daemon)
{
  if (daemon->rollback_timer == 0)
    daemon->rollback_timer = g_timeout_add_seconds (AGAIN_SECONDS, recover_again, daemon);
}

void
rollback_settle (const Job *job)
{
  Daemon *daemon = job->daemon;
  const RollbackData *data = job->data;
  job->guest->unfinished = rollback_journal_exists (job->guest->uuid, daemon->config->state_dir);
  /* libvirt may have come back before the guest was free for it, or refuse for a while. */
  if (data->stuck)
    recover_later (daemon);
}

static void
recover_done (Job *job, const GError *error)
{
  if (error)
    g_warning ("rollback of %s, left unfinished: %s", job->guest->name, error->message);
  rollback_settle (job);
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

/* The journal is taken over. */
static void
recover_start (Daemon *daemon, Guest *guest, Pool *pool, RollbackJournal *journal)
{
  Job *job = job_new (daemon, guest, NULL);
  RollbackData *data = g_new0 (RollbackData, 1);
  data->options = g_new0 (RollbackOptions, 1);
  data->options->snapshot = g_strdup_printf ("%" G_GUINT64_FORMAT, journal->snapshot);
  data->journal = journal;
  data->differing = g_new0 (guint64, journal->disks->len);
  data->written = g_new0 (guint64, journal->disks->len);
  job->pool = pool;
  job->data = data;
  job->data_free = rollback_data_free;
  job->run = recover_run;
  job->done = recover_done;
  job_start (job);
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
    if (guest->unfinished && guest->busy)
      recover_later (daemon);
    if (guest->unfinished && guest->busy == NULL && pool)
      recover_start (daemon, guest, pool, journal);
    else
      rollback_journal_free (journal);
  }
}
