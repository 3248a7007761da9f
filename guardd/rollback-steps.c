/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "base/json.h"
#include "base/units.h"

#include "capture-files.h"
#include "describe.h"
#include "rollback-private.h"
#include "rollback-write.h"

#include <libvirt/virterror.h>

virDomainPtr
rollback_domain (Job *job, GError **error)
{
  return roster_lookup (job->daemon->roster, job->guest->uuid, error);
}

bool
rollback_libvirt_fail (const Job *job, const char *what, GError **error)
{
  const virError *last = virGetLastError ();
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "rollback of %s: cannot %s: %s", job->guest->name, what,
               last && last->message ? last->message : "libvirt gave no reason");
  return false;
}

bool
rollback_enter (Job *job, RollbackStep step, GError **error, const char *format, ...)
{
  RollbackData *data = job->data;
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  data->journal->step = step;
  if (!rollback_journal_save (data->journal, job->daemon->config->state_dir, error))
    return false;
  json_object *event = describe_guest_event (job->guest);
  json_add_string (event, "step", rollback_step_name (step));
  json_add_string (event, "message", message);
  control_event (job->daemon->control, "ROLLBACK_STEP", event);
  g_message ("rollback of %s: %s", job->guest->name, message);
  return true;
}

static bool
step_destroy (Job *job, GError **error)
{
  RollbackData *data = job->data;
  virDomainPtr domain = rollback_domain (job, error);
  if (domain == NULL) /* a transient domain is gone with its process */
    return !data->journal->was_active;
  int active = virDomainIsActive (domain);
  bool ok = true;
  data->down_since = g_get_monotonic_time ();
  if (active == 1 && virDomainDestroy (domain) < 0 && virDomainIsActive (domain) != 0)
    ok = rollback_libvirt_fail (job, "end the guest's process", error);
  if (ok)
    session_reset (job->guest->session); /* what it knows is of a QEMU that is gone */
  /* A saved memory image would meet disks that it does not know. */
  if (ok && virDomainHasManagedSaveImage (domain, 0) == 1 && virDomainManagedSaveRemove (domain, 0) < 0)
    ok = rollback_libvirt_fail (job, "remove its managed save image", error);
  virDomainFree (domain);
  return ok;
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
step_write (Job *job, GError **error)
{
  const RollbackData *data = job->data;
  WriteProgress progress = { .job = job };
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
  virDomainPtr domain = rollback_domain (job, NULL);
  bool ok = true;
  if (domain == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "rollback of %s: its disks are restored, but libvirt does not know it any more (it was "
                 "transient): virsh create %s/%s/%08" G_GUINT64_FORMAT "/domain.xml",
                 data->journal->name, pool_path (job->pool), data->journal->uuid, data->journal->snapshot);
    return false;
  }
  if (virDomainIsActive (domain) == 1)
    data->started = true;
  else if (virDomainCreate (domain) < 0)
    ok = rollback_libvirt_fail (job, "start it; its disks are restored, so \"virsh start\" is safe", error);
  else
    data->started = true;
  virDomainFree (domain);
  data->down_until = g_get_monotonic_time ();
  return ok;
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
          || !step_destroy (job, error)))
    return false;
  if (from <= STEP_WRITE
      && (!rollback_enter (job, STEP_WRITE, error, "writing back %s", size) || !step_write (job, error)))
    return false;
  if (from <= STEP_STATE
      && (!rollback_enter (job, STEP_STATE, error, "putting firmware and TPM state back")
          || !capture_files_restore (job->pool, data->target->manifest, job->domain, error)))
    return false;
  if (!rollback_enter (job, STEP_START, error,
                       journal->no_start ? "left off, as asked" : "starting the guest"))
    return false;
  bool ok = journal->no_start || step_start (job, error);
  return rollback_journal_remove (journal, job->daemon->config->state_dir, ok ? error : NULL) && ok;
}

void
rollback_undo (Job *job)
{
  RollbackData *data = job->data;
  g_autoptr (GError) error = NULL;
  virDomainPtr domain = rollback_domain (job, &error);
  int state = 0, reason = 0;
  if (domain && virDomainGetState (domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED
      && job->domain->state == DOMAIN_STATE_RUNNING && virDomainResume (domain) < 0)
    g_warning ("rollback of %s: given up, but it cannot be resumed; try \"virsh resume\"", job->guest->name);
  if (domain)
    virDomainFree (domain);
  if (!rollback_journal_remove (data->journal, job->daemon->config->state_dir, &error))
    g_warning ("rollback of %s: %s", job->guest->name, error->message);
}
