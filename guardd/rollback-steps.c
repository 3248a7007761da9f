/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "base/json.h"
#include "base/units.h"

#include "capture-files.h"
#include "describe.h"
#include "rollback-private.h"
#include "rollback-write.h"

bool
rollback_enter (Job *job, RollbackStep step, GError **error, const char *format, ...)
{
  RollbackData *data = job->data;
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  RollbackStep before = data->journal->step;
  data->journal->step = step;
  data->entered = true;
  if (!rollback_journal_save (data->journal, job->daemon->config->state_dir, error)) {
    data->journal->step = before;
    return false;
  }
  json_object *event = describe_guest_event (job->guest);
  json_add_string (event, "step", rollback_step_name (step));
  json_add_string (event, "message", message);
  control_event (job->daemon->control, "ROLLBACK_STEP", event);
  g_message ("rollback of %s: %s", job->guest->name, message);
  return true;
}

/* --- writing --- */

typedef struct {
  Job *job;
  guint64 before, total; /* bytes, of all disks */
} WriteProgress;

static void
write_progress (guint64 bytes, void *opaque)
{
  const WriteProgress *progress = opaque;
  if (progress->job->call)
    control_call_progress (progress->job->call, progress->before + bytes, progress->total);
}

static bool
write_disk (Job *job, guint i, WriteProgress *progress, GError **error)
{
  RollbackData *data = job->data;
  const RollbackJournal *journal = data->journal;
  const RollbackDisk *disk = journal->disks->pdata[i];
  if (disk->clone)
    return pool_source_restore (job->pool, journal->uuid, journal->snapshot, disk->target, disk->path,
                                journal->evidence, error);
  g_autoptr (StorageReader) from
      = pool_image_open (job->pool, journal->uuid, journal->evidence, disk->target, error);
  g_autoptr (StorageReader) to
      = from ? pool_image_open (job->pool, journal->uuid, journal->snapshot, disk->target, error) : NULL;
  if (to == NULL)
    return false;
  RollbackWrite write = { .run_dir = job->daemon->config->run_dir,
                          .path = disk->path,
                          .format = disk->format,
                          .size = disk->size,
                          .from = from,
                          .to = to,
                          .progress = write_progress,
                          .opaque = progress };
  if (!rollback_write (&write, &data->written[i], error)) {
    g_prefix_error (error, "rollback of %s: disk %s: ", journal->name, disk->target);
    return false;
  }
  progress->before += data->written[i];
  return true;
}

static bool
step_write (Job *job, RollbackStep from, GError **error)
{
  const RollbackData *data = job->data;
  WriteProgress progress = { .job = job };
  /* Now libvirt's hook refuses; somebody, say a cluster's manager, may have been quicker. */
  if (!rollback_is_off (job, error)) {
    g_autoptr (GError) failure = NULL;
    data->journal->step = from; /* nothing has been written */
    if (!rollback_journal_save (data->journal, job->daemon->config->state_dir, &failure))
      g_warning ("%s, ignoring", failure->message);
    return false;
  }
  for (guint i = 0; i < data->journal->disks->len; i++)
    progress.total += data->differing[i];
  for (guint i = 0; i < data->journal->disks->len; i++)
    if (!write_disk (job, i, &progress, error))
      return false;
  return true;
}

static bool
step_start (Job *job, GError **error)
{
  RollbackData *data = job->data;
  g_autoptr (GError) failure = NULL;
  virDomainPtr domain = rollback_domain (job, &failure);
  if (g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "rollback of %s: its disks are restored, but libvirt does not know it any more (it was "
                 "transient): virsh create %s/%s/%08" G_GUINT64_FORMAT "/domain.xml",
                 data->journal->name, pool_path (job->pool), data->journal->uuid, data->journal->snapshot);
  else if (failure)
    g_propagate_error (error, g_steal_pointer (&failure));
  if (domain == NULL)
    return false;
  data->started = virDomainIsActive (domain) == 1 || virDomainCreate (domain) == 0;
  if (!data->started)
    rollback_libvirt_fail (job, "start it; its disks are restored, so \"virsh start\" is safe", error);
  virDomainFree (domain);
  data->down_until = g_get_monotonic_time ();
  return data->started;
}

bool
rollback_carry_out (Job *job, GError **error)
{
  RollbackData *data = job->data;
  RollbackJournal *journal = data->journal;
  RollbackStep from = journal->step;
  guint64 total = 0;
  for (guint i = 0; i < journal->disks->len; i++)
    total += data->differing[i];
  g_autofree char *size = size_format (total);
  if (from < STEP_WRITE
      && (!rollback_enter (job, STEP_DESTROY, error, "ending the guest's process")
          || !rollback_destroy (job, error)))
    return false;
  RollbackStep before = journal->step;
  if (from <= STEP_WRITE
      && (!rollback_enter (job, STEP_WRITE, error, "writing back %s", size)
          || !step_write (job, before, error)))
    return false;
  if (from <= STEP_STATE
      && (!rollback_enter (job, STEP_STATE, error, "putting firmware and TPM state back")
          || !capture_files_restore (job->pool, data->target->manifest, job->domain, error)))
    return false;
  journal->half_written = false;
  if (!rollback_enter (job, STEP_START, error,
                       journal->no_start ? "left off, as asked" : "starting the guest"))
    return false;
  bool ok = journal->no_start || step_start (job, error);
  /* Refused is refused; but a libvirtd that died comes back, and the guest with it. */
  data->stuck = !ok && !rollback_answers (job);
  if (data->stuck)
    return false;
  return rollback_journal_remove (journal, job->daemon->config->state_dir, ok ? error : NULL) && ok;
}
