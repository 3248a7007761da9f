/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of a snapshot: their list, and what is gone between two lists. */
#define G_LOG_DOMAIN "guardd"
#include "job-inspect.h"

#include "base/json.h"

#include "describe.h"
#include "doctor-kvm.h"
#include "inspector.h"
#include "job.h"

#include <unistd.h>

#define PROGRAM "guardd-inspector"
#define KVM_SECONDS 20
/* What is mounted where is in the guest's /etc/fstab, and may change. */
#define SYSTEM_KNOWN_US (24 * 3600 * (gint64)G_USEC_PER_SEC)

/* One kernel has to be booted to know it, once. */
static bool
kvm_works (Daemon *daemon)
{
  if (daemon->config->accelerator != ACCELERATOR_AUTO)
    return daemon->config->accelerator == ACCELERATOR_KVM;
  if (daemon->slow_kvm == KVM_UNKNOWN) {
    g_autofree char *why = NULL;
    daemon->slow_kvm = kvm_probe (KVM_SECONDS, &why);
    if (daemon->slow_kvm != KVM_WORKS)
      g_message ("the appliance is emulated, and slow: %s", why);
  }
  return daemon->slow_kvm == KVM_WORKS;
}

static char *
program_path (const Job *job)
{
  return g_build_filename (job->daemon->config->libexec_dir, PROGRAM, NULL);
}

/* --- one list --- */

static GPtrArray *
open_disks (Job *job, const Manifest *manifest, GError **error)
{
  GPtrArray *readers = g_ptr_array_new_with_free_func ((GDestroyNotify)storage_image_release);
  for (guint i = 0; i < manifest->disks->len; i++) {
    const ManifestDisk *disk = manifest->disks->pdata[i];
    StorageReader *reader
        = pool_image_open (job->pool, manifest->domain_uuid, manifest->number, disk->target, error);
    if (reader == NULL) {
      g_ptr_array_unref (readers);
      return NULL;
    }
    g_ptr_array_add (readers, reader);
  }
  return readers;
}

/* What saves finding out the guest's system again; NULL: nothing, or it is too old. */
static const char *
known_system (const Guest *guest)
{
  return guest->inspection && g_get_monotonic_time () - guest->system_known < SYSTEM_KNOWN_US
             ? json_object_to_json_string_ext (guest->inspection, JSON_C_TO_STRING_PLAIN)
             : NULL;
}

static void
remember (Guest *guest, json_object *summary, bool system_was_known)
{
  json_object_put (guest->inspection);
  guest->inspection = NULL;
  json_object_deep_copy (summary, &guest->inspection, NULL);
  if (!system_was_known)
    guest->system_known = g_get_monotonic_time ();
}

static json_object *
make_inventory (Job *job, const Manifest *manifest, int fd, int older, GError **error)
{
  g_autoptr (GPtrArray) disks = open_disks (job, manifest, error);
  if (disks == NULL)
    return NULL;
  g_autofree char *program = program_path (job);
  const char *known = known_system (job->guest);
  InspectorRequest request = { .program = program,
                               .appliance = job->daemon->config->appliance_dir,
                               .kvm = kvm_works (job->daemon),
                               .known = known,
                               .older = older,
                               .disks = (StorageReader *const *)(void *)disks->pdata,
                               .n_disks = disks->len,
                               .inventory = fd,
                               .deadline_us = (guint64)job->daemon->config->inspect_timeout_us };
  json_object *summary = inspector_look (&request, job->cancellable, error);
  if (summary)
    remember (job->guest, summary, known != NULL);
  return summary;
}

json_object *
job_inspect_now (Job *job, const Manifest *manifest, int older, GError **error)
{
  const char *uuid = manifest->domain_uuid;
  gint64 started = g_get_monotonic_time ();
  int fd = pool_inventory_create (job->pool, uuid, manifest->number, error);
  if (fd < 0)
    return NULL;
  json_object *summary = make_inventory (job, manifest, fd, older, error);
  if (!pool_inventory_finish (job->pool, uuid, manifest->number, fd, summary != NULL,
                              summary ? error : NULL)) {
    json_object_put (summary);
    return NULL;
  }
  if (summary) {
    json_add_u64 (summary, "number", manifest->number);
    json_add_u64 (summary, "duration_ms", (guint64)(g_get_monotonic_time () - started) / 1000);
  }
  return summary;
}

/* --- commands --- */

typedef struct {
  Pool *pool;             /* which the snapshots are pinned in */
  Snapshot *snapshots[2]; /* the second: of a difference; else NULL */
  json_object *answer;
} InspectData;

static void
data_free (gpointer opaque)
{
  InspectData *data = opaque;
  for (guint i = 0; i < G_N_ELEMENTS (data->snapshots); i++)
    if (data->snapshots[i]) {
      const Manifest *manifest = data->snapshots[i]->manifest;
      pool_unpin (data->pool, manifest->domain_uuid, manifest->number);
      snapshot_free (data->snapshots[i]);
    }
  json_object_put (data->answer);
  g_free (data);
}

static bool
inspect_run (Job *job, GError **error)
{
  InspectData *data = job->data;
  data->answer = job_inspect_now (job, data->snapshots[0]->manifest, -1, error);
  return data->answer != NULL;
}

/* The list of a snapshot, made when there is none; then *content is what it says of files modified since
 * `older`. */
static int
open_inventory (Job *job, const Manifest *manifest, int older, json_object **content, GError **error)
{
  g_autoptr (GError) missing = NULL;
  int fd = pool_inventory_open (job->pool, manifest->domain_uuid, manifest->number, &missing);
  if (fd >= 0)
    return fd;
  if (!g_error_matches (missing, POOL_ERROR, POOL_ERROR_NOT_FOUND)) {
    g_propagate_error (error, g_steal_pointer (&missing));
    return -1;
  }
  g_autoptr (json_object) summary = job_inspect_now (job, manifest, older, error);
  json_object *said = NULL;
  if (summary && content && json_get_object (summary, "content", &said, NULL))
    *content = json_object_get (said);
  return summary ? pool_inventory_open (job->pool, manifest->domain_uuid, manifest->number, error) : -1;
}

json_object *
job_compare_now (Job *job, const Manifest *older, const Manifest *newer, GError **error)
{
  g_autofree char *program = program_path (job);
  json_object *difference = NULL;
  g_autoptr (json_object) content = NULL;
  int before = open_inventory (job, older, -1, NULL, error);
  int now = before >= 0 ? open_inventory (job, newer, before, &content, error) : -1;
  if (now >= 0)
    difference = inspector_compare (program, before, now, job->daemon->config->inspect_timeout_us,
                                    job->cancellable, error);
  if (difference && content)
    json_object_object_add (difference, "content", g_steal_pointer (&content));
  if (before >= 0)
    close (before);
  if (now >= 0)
    close (now);
  return difference;
}

static bool
diff_run (Job *job, GError **error)
{
  InspectData *data = job->data;
  const Manifest *older = data->snapshots[0]->manifest, *newer = data->snapshots[1]->manifest;
  data->answer = job_compare_now (job, older, newer, error);
  if (data->answer == NULL)
    return false;
  json_add_u64 (data->answer, "from", older->number);
  json_add_u64 (data->answer, "to", newer->number);
  return true;
}

static void
answer_done (Job *job, const GError *error)
{
  InspectData *data = job->data;
  if (error == NULL)
    control_call_return (g_steal_pointer (&job->call), g_steal_pointer (&data->answer));
}

/* second NULL: there is but one. */
static void
start (Daemon *daemon, Guest *guest, ControlCall *call, const Snapshot *first, const Snapshot *second)
{
  InspectData *data = g_new0 (InspectData, 1);
  const Snapshot *snapshots[] = { first, second };
  g_autoptr (GError) error = NULL;
  data->pool = guest->pool;
  for (guint i = 0; i < G_N_ELEMENTS (snapshots) && snapshots[i]; i++) {
    const Manifest *manifest = snapshots[i]->manifest;
    if (!pool_pin (data->pool, manifest->domain_uuid, manifest->number, &error)) {
      control_call_error (call, error);
      data_free (data);
      return;
    }
    data->snapshots[i] = snapshot_copy (snapshots[i]);
  }
  Job *job = job_new (daemon, guest, call);
  job->data = data;
  job->data_free = data_free;
  job->run = second ? diff_run : inspect_run;
  job->done = answer_done;
  job_start_slow (job);
}

void
job_inspect (Daemon *daemon, Guest *guest, ControlCall *call, const Snapshot *snapshot)
{
  start (daemon, guest, call, snapshot, NULL);
}

void
job_diff (Daemon *daemon, Guest *guest, ControlCall *call, const Snapshot *older, const Snapshot *newer)
{
  start (daemon, guest, call, older, newer);
}
