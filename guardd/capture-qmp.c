/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The qmp engine: plan, freeze an instant inside QEMU, pull it over NBD, seal it. */
#include "capture-files.h"
#include "capture-fleece.h"
#include "pull.h"

#include <string.h>

typedef struct {
  CapturePlan *plan;
  QmpClient *client;
  PoolDraft *draft;
  Manifest *manifest;
  gint64 started;
  GError *seal_error; /* the sealing thread's */
} Capture;

/* What the new overlays will take, as far as the bitmaps tell. A full read against a parent stores only
 * what differs, which nobody knows beforehand; the pool refuses on its own once it is really full. */
static guint64
expected_bytes (const CapturePlan *plan)
{
  guint64 sum = 0;

  for (guint i = 0; i < plan->disks->len; i++)
    sum += ((PlanDisk *)g_ptr_array_index (plan->disks, i))->dirty;
  return sum;
}

static bool
prepare_images (Capture *capture, GError **error)
{
  CapturePlan *plan = capture->plan;

  for (guint i = 0; i < plan->disks->len; i++) {
    PlanDisk *disk = g_ptr_array_index (plan->disks, i);

    disk->result = manifest_add_disk (capture->manifest, disk->disk->target);
    disk->result->source = g_strdup (disk->disk->source);
    disk->result->format = g_strdup (disk->disk->format);
    disk->result->size = disk->size;
    disk->result->parent = disk->parent;
    disk->result->full_reason = g_strdup (disk->full_reason);
    disk->writer = pool_draft_image (capture->draft, disk->disk->target, disk->parent, disk->size, error);
    if (!disk->writer)
      return false;
  }
  return true;
}

static bool
check_scratch (void *opaque, GError **error)
{
  CapturePlan *plan = opaque;

  for (guint i = 0; i < plan->disks->len; i++)
    if (!scratch_check (((PlanDisk *)g_ptr_array_index (plan->disks, i))->scratch, error))
      return false;
  return true;
}

static bool
pull_one (CapturePlan *plan, PlanDisk *disk, GError **error)
{
  const CaptureRequest *request = plan->request;
  g_autoptr (StorageReader) parent = NULL;
  PullRequest pull = {
    .socket = disk->socket,
    .export = disk->disk->target,
    .bitmap = disk->full_reason ? NULL : plan->old_bitmap,
    .size = disk->size,
    .writer = disk->writer,
    .stall_us = request->config->capture_timeout_us,
    .guard = check_scratch,
    .opaque = plan,
    .cancellable = request->cancellable,
  };
  PullResult result;

  if (disk->full_reason && disk->parent) {
    parent = pool_image_open (request->pool, request->domain->uuid, disk->parent, disk->disk->target, error);
    if (!parent)
      return false;
    pull.parent = parent;
  }
  disk->socket = -1; /* the pull has it now */
  if (!pull_disk (&pull, &result, error)) {
    g_prefix_error (error, "disk %s: ", disk->disk->target);
    return false;
  }
  disk->result->read_bytes = result.read_bytes;
  disk->result->changed_bytes = result.changed_bytes;
  disk->result->stored_bytes = result.stored_bytes;
  return true;
}

static bool
pull_all (Capture *capture, GError **error)
{
  for (guint i = 0; i < capture->plan->disks->len; i++)
    if (!pull_one (capture->plan, g_ptr_array_index (capture->plan->disks, i), error))
      return false;
  return true;
}

static bool
seal (Capture *capture, GError **error)
{
  CapturePlan *plan = capture->plan;
  g_autoptr (SnapshotState) state = snapshot_state_new ();
  PoolDraft *draft = g_steal_pointer (&capture->draft);

  for (guint i = 0; i < plan->disks->len; i++) {
    PlanDisk *disk = g_ptr_array_index (plan->disks, i);
    struct guardd_image_info info = { .size_of = sizeof info };

    if (!storage_image_seal (g_steal_pointer (&disk->writer), &info, error)) {
      pool_draft_abort (draft);
      return false;
    }
    disk->result->stored_bytes = info.stored_bytes;
    memcpy (disk->result->index_hash, info.index_hash, sizeof info.index_hash);
  }
  if (plan->request->evidence) {
    state->evidence = true;
    state->hold = g_strdup ("evidence of the state before a rollback");
  }
  capture->manifest->duration_us = (guint64)(g_get_monotonic_time () - capture->started);
  return pool_draft_commit (draft, capture->manifest, state, error);
}

static gpointer
seal_thread (gpointer data)
{
  Capture *capture = data;

  return GINT_TO_POINTER (seal (capture, &capture->seal_error));
}

/* QEMU is tidied up while the disk writes: the guest's writes must not be copied for an fsync's sake. */
static bool
seal_and_end (Capture *capture, GError **error)
{
  g_autoptr (GError) tidy = NULL;
  GThread *thread = g_thread_new ("seal", seal_thread, capture);
  bool ended = capture_fleece_end (capture->plan, capture->client, &tidy);
  bool sealed = GPOINTER_TO_INT (g_thread_join (thread));

  if (!sealed)
    g_propagate_error (error, capture->seal_error);
  if (!capture_fleece_settle (capture->plan, capture->client, sealed, ended ? &tidy : NULL))
    ended = false;
  if (ended)
    return sealed;
  if (sealed) {
    /* the snapshot is safe; the sweep before the next one cleans up */
    g_warning ("%s: snapshot %" G_GUINT64_FORMAT " is sealed, but QEMU could not be tidied up: %s",
               capture->plan->request->domain->name, capture->manifest->number,
               tidy ? tidy->message : "bitmaps");
    return true;
  }
  return false;
}

static void
undo (Capture *capture, GError **error)
{
  g_autoptr (GError) tidy = NULL;
  bool ended = capture_fleece_end (capture->plan, capture->client, &tidy);

  if (!capture_fleece_settle (capture->plan, capture->client, false, ended ? &tidy : NULL) || !ended) {
    g_autofree char *first = error && *error ? g_strdup ((*error)->message) : NULL;

    g_clear_error (error);
    g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_LEFT, "%s; and QEMU could not be tidied up: %s",
                 first ? first : "failed", tidy ? tidy->message : "bitmaps");
  }
  for (guint i = 0; i < capture->plan->disks->len; i++) {
    PlanDisk *disk = g_ptr_array_index (capture->plan->disks, i);

    storage_image_abort (g_steal_pointer (&disk->writer));
  }
  pool_draft_abort (g_steal_pointer (&capture->draft));
}

static void
describe (Capture *capture)
{
  const CaptureRequest *request = capture->plan->request;
  Manifest *manifest = capture->manifest;

  manifest->number = pool_draft_number (capture->draft);
  manifest->id = g_strdup (capture->plan->id);
  manifest->domain_uuid = g_strdup (request->domain->uuid);
  manifest->domain_name = g_strdup (request->domain->name);
  manifest->engine = g_strdup ("qmp");
  manifest->origin = g_strdup (request->origin);
  manifest->description = g_strdup (request->description);
  manifest->guest_active = true;
  manifest->bitmap = g_strdup (capture->plan->new_bitmap);
}

static bool
run (Capture *capture, GError **error)
{
  const CaptureRequest *request = capture->plan->request;

  capture->draft
      = pool_draft_new (request->pool, request->domain->uuid, expected_bytes (capture->plan), error);
  if (!capture->draft)
    return false;
  describe (capture);
  if (prepare_images (capture, error)
      && capture_fleece_begin (capture->plan, capture->client, &capture->manifest->stall_us,
                               &capture->manifest->time_us, error)
      && capture_files_add (capture->draft, capture->manifest, request->domain, error)
      && pull_all (capture, error))
    return seal_and_end (capture, error);
  undo (capture, error);
  return false;
}

Snapshot *
capture_qmp (QmpClient *client, const CaptureRequest *request, GError **error)
{
  Capture capture = { .client = client, .started = g_get_monotonic_time () };
  g_autoptr (GPtrArray) disks = qmp_query_block (client, error);
  g_autoptr (Manifest) manifest = manifest_new ();
  g_autoptr (CapturePlan) plan = NULL;
  Snapshot *snapshot;

  if (!disks)
    return NULL;
  plan = capture_plan_new (request, disks, error);
  if (!plan)
    return NULL;
  capture.plan = plan;
  capture.manifest = manifest;
  if (!run (&capture, error))
    return NULL;
  snapshot = g_new0 (Snapshot, 1);
  snapshot->manifest = g_steal_pointer (&manifest);
  snapshot->state = snapshot_state_new ();
  snapshot->state->evidence = request->evidence;
  return snapshot;
}
