/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "base/units.h"

#include "image-size.h"
#include "rollback-private.h"
#include "rollback-write.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static bool plan_fail (const Job *job, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);

static bool
plan_fail (const Job *job, GError **error, const char *format, ...)
{
  const RollbackData *data = job->data;
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *why = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "rollback of %s to %" G_GUINT64_FORMAT ": %s",
               job->guest->name, data->target ? data->target->manifest->number : 0, why);
  return false;
}

static bool
plan_disk (Job *job, const ManifestDisk *disk, GError **error)
{
  RollbackData *data = job->data;
  const DomainDisk *now = domain_find_disk (job->domain, disk->target);
  guint64 size = 0;
  if (now == NULL)
    return plan_fail (job, error, "the domain has no disk %s any more; name the disks with --disk",
                      disk->target);
  if (now->source == NULL)
    return plan_fail (job, error, "disk %s is of type %s: only files and block devices can be written",
                      disk->target, now->source_type);
  if (!image_size (now->source, now->format, &size, error)) {
    g_prefix_error (error, "rollback of %s: disk %s: ", job->guest->name, disk->target);
    return false;
  }
  if (size != (disk->size + 511) / 512 * 512) {
    g_autofree char *is = size_format (size), *was = size_format (disk->size);
    return plan_fail (job, error, "disk %s is %s but the snapshot has %s; resize it first, or leave it out",
                      disk->target, is, was);
  }
  rollback_journal_add_disk (data->journal, disk->target, now->source, now->format, disk->size);
  return true;
}

static bool
plan_disks (Job *job, GError **error)
{
  RollbackData *data = job->data;
  const Manifest *manifest = data->target->manifest;
  char **wanted = data->options->disks;
  for (guint i = 0; wanted && wanted[i]; i++)
    if (manifest_find_disk (manifest, wanted[i]) == NULL)
      return plan_fail (job, error, "the snapshot has no disk %s", wanted[i]);
  for (guint i = 0; i < manifest->disks->len; i++) {
    const ManifestDisk *disk = manifest->disks->pdata[i];
    if (wanted && !g_strv_contains ((const char *const *)wanted, disk->target))
      continue;
    if (!plan_disk (job, disk, error))
      return false;
  }
  return data->journal->disks->len > 0 || plan_fail (job, error, "no disk to write");
}

static bool
has_disk (const RollbackJournal *journal, const char *target)
{
  for (guint i = 0; i < journal->disks->len; i++)
    if (strcmp (((const RollbackDisk *)journal->disks->pdata[i])->target, target) == 0)
      return true;
  return false;
}

/* What an earlier one has left undone becomes this one's duty: its journal is about to be overwritten. */
static bool
plan_earlier (const Job *job, GError **error)
{
  RollbackData *data = job->data;
  g_autoptr (GError) failure = NULL;
  g_autoptr (RollbackJournal) earlier
      = rollback_journal_load (job->guest->uuid, job->daemon->config->state_dir, &failure);
  if (failure) {
    g_propagate_error (error, g_steal_pointer (&failure));
    return false;
  }
  if (earlier == NULL)
    return true;
  data->journal->half_written = rollback_journal_guards (earlier);
  data->left_paused = earlier->step <= STEP_DESTROY && earlier->was_running;
  for (guint i = 0; data->journal->half_written && i < earlier->disks->len; i++) {
    const RollbackDisk *disk = earlier->disks->pdata[i];
    if (!has_disk (data->journal, disk->target) && domain_find_disk (job->domain, disk->target))
      return plan_fail (job, error,
                        "disk %s was half written by an earlier rollback: do not leave it out, and choose a "
                        "snapshot that has it",
                        disk->target);
  }
  return true;
}

bool
rollback_plan (Job *job, GError **error)
{
  RollbackData *data = job->data;
  RollbackJournal *journal = data->journal = rollback_journal_new ();
  if (job->pool == NULL)
    return plan_fail (job, error, "there is no snapshot of it");
  data->target
      = pool_resolve (job->pool, job->guest->uuid, data->options->snapshot, g_get_real_time (), error);
  if (data->target == NULL)
    return false;
  if (job->domain == NULL)
    return plan_fail (job, error,
                      "it is not defined in libvirt; define it first: virsh define %s/%s/%08" G_GUINT64_FORMAT
                      "/domain.xml",
                      pool_path (job->pool), job->guest->uuid, data->target->manifest->number);
  if (!data->options->dry_run && !rollback_describe (job, error))
    return false;
  journal->uuid = g_strdup (job->guest->uuid);
  journal->name = g_strdup (job->guest->name);
  journal->pool = g_strdup (pool_name (job->pool));
  journal->snapshot = data->target->manifest->number;
  journal->no_start = data->options->no_start;
  if (!plan_disks (job, error) || !plan_earlier (job, error))
    return false;
  data->differing = g_new0 (guint64, journal->disks->len);
  data->written = g_new0 (guint64, journal->disks->len);
  return true;
}

/* What is allocated already can be overwritten; only the rest must be found. */
static bool
check_space (const Job *job, const RollbackDisk *disk, guint64 need, GError **error)
{
  struct stat st;
  struct statvfs fs;
  if (stat (disk->path, &st) < 0 || !S_ISREG (st.st_mode) || statvfs (disk->path, &fs) < 0)
    return true;
  guint64 have = (guint64)fs.f_bavail * fs.f_frsize + (guint64)st.st_blocks * 512;
  if (need <= have)
    return true;
  g_autofree char *needed = size_format (need), *there = size_format (have);
  return plan_fail (job, error, "disk %s needs %s, and %s has room for %s", disk->target, needed, disk->path,
                    there);
}

/* Where the snapshot's image and the evidence are clones, a clone can take the disk's place whatever differs.
 */
static void
choose_clones (Job *job, const Snapshot *evidence)
{
  const RollbackData *data = job->data;
  const Manifest *target = data->target->manifest;
  bool native = strcmp (target->engine, "native") == 0 && strcmp (evidence->manifest->engine, "native") == 0;
  for (guint i = 0; native && i < data->journal->disks->len; i++) {
    RollbackDisk *disk = data->journal->disks->pdata[i];
    struct guardd_source_info info;
    g_autoptr (GError) failure = NULL;
    bool found = pool_source_probe (job->pool, job->guest->uuid, disk->path, disk->format, &info, &failure);
    disk->clone = found && !info.stays;
    if (!disk->clone)
      g_message ("rollback of %s: disk %s is written to, and not replaced: %s%s", job->guest->name,
                 disk->target, failure ? failure->message : disk->path,
                 failure ? "" : ": would not lead to the clone");
  }
}

bool
rollback_prepare (Job *job, const Snapshot *evidence, GError **error)
{
  RollbackData *data = job->data;
  data->journal->evidence = evidence->manifest->number;
  choose_clones (job, evidence);
  /* a damaged snapshot must show while the guest can still go on as it was */
  return rollback_compare (job, data->journal->evidence, true, error);
}

bool
rollback_compare (Job *job, guint64 from, bool check, GError **error)
{
  RollbackData *data = job->data;
  const RollbackJournal *journal = data->journal;
  for (guint i = 0; i < journal->disks->len; i++) {
    const RollbackDisk *disk = journal->disks->pdata[i];
    guint64 zero = 0;
    if (disk->clone)
      continue;
    g_autoptr (StorageReader) old = pool_image_open (job->pool, journal->uuid, from, disk->target, error);
    if (old == NULL)
      return false;
    g_autoptr (StorageReader) new
        = pool_image_open (job->pool, journal->uuid, journal->snapshot, disk->target, error);
    if (new == NULL || !rollback_measure (old, new, &data->differing[i], &zero, error)
        || !check_space (job, disk, data->differing[i] - zero, error))
      return false;
    if (check && !rollback_check (old, new, error)) {
      g_prefix_error (error, "disk %s: ", disk->target);
      return false;
    }
  }
  return true;
}
