/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-draft.h"

#include <string.h>

static void
draft_describe (CaptureDraft *capture, Engine engine)
{
  const CapturePlan *plan = capture->plan;
  const CaptureRequest *request = plan->request;
  Manifest *manifest = capture->manifest;
  manifest->number = pool_draft_number (capture->draft);
  manifest->id = g_strdup (plan->id);
  manifest->domain_uuid = g_strdup (request->domain->uuid);
  manifest->domain_name = g_strdup (request->domain->name);
  manifest->engine = g_strdup (engine_name (engine));
  manifest->engine_reason = g_strdup (request->engine_reason);
  manifest->origin = g_strdup (request->origin);
  manifest->description = g_strdup (request->description);
  manifest->time_us = g_get_real_time ();
}

bool
capture_draft_begin (CaptureDraft *capture, CapturePlan *plan, Engine engine, guint64 need, GError **error)
{
  const CaptureRequest *request = plan->request;
  capture->plan = plan;
  capture->manifest = manifest_new ();
  capture->draft = pool_draft_new (request->pool, request->domain->uuid, need, error);
  if (capture->draft == NULL)
    return false;
  draft_describe (capture, engine);
  for (guint i = 0; i < plan->disks->len; i++) {
    PlanDisk *disk = plan->disks->pdata[i];
    disk->result = manifest_add_disk (capture->manifest, disk->disk->target);
    disk->result->source = g_strdup (disk->disk->source);
    disk->result->format = g_strdup (disk->disk->format);
    disk->result->size = disk->size;
    disk->result->parent = disk->parent;
    disk->result->full_reason = g_strdup (disk->full_reason);
  }
  return true;
}

bool
capture_draft_open (CaptureDraft *capture, CapturePlan *plan, Engine engine, guint64 need, GError **error)
{
  if (!capture_draft_begin (capture, plan, engine, need, error))
    return false;
  for (guint i = 0; i < plan->disks->len; i++) {
    PlanDisk *disk = plan->disks->pdata[i];
    disk->writer = pool_draft_image (capture->draft, disk->disk->target, disk->parent, disk->size, error);
    if (disk->writer == NULL)
      return false;
  }
  return true;
}

static SnapshotState *
state_new (const CaptureRequest *request)
{
  SnapshotState *state = snapshot_state_new ();
  state->evidence = request->evidence;
  if (request->evidence)
    state->hold = g_strdup ("evidence of the state before a rollback");
  return state;
}

bool
capture_draft_seal_images (CaptureDraft *capture, GError **error)
{
  const CapturePlan *plan = capture->plan;
  for (guint i = 0; i < plan->disks->len; i++) {
    PlanDisk *disk = plan->disks->pdata[i];
    struct guardd_image_info info = { .size_of = sizeof info };
    if (!storage_image_seal (g_steal_pointer (&disk->writer), &info, error)) {
      capture_draft_abort (capture);
      return false;
    }
    disk->changed_blocks = info.changed_blocks;
    disk->result->stored_bytes = info.stored_bytes;
    memcpy (disk->result->index_hash, info.index_hash, sizeof info.index_hash);
  }
  return true;
}

bool
capture_draft_seal (CaptureDraft *capture, GError **error)
{
  return capture_draft_seal_images (capture, error) && capture_draft_commit (capture, error);
}

bool
capture_draft_commit (CaptureDraft *capture, GError **error)
{
  const CaptureRequest *request = capture->plan->request;
  g_autoptr (SnapshotState) state = state_new (request);
  capture->manifest->duration_us = (guint64)(g_get_monotonic_time () - capture->started);
  if (!pool_draft_commit (g_steal_pointer (&capture->draft), capture->manifest, state, error))
    return false;
  if (request->sealed)
    request->sealed (&(Snapshot){ capture->manifest, state }, request->opaque);
  return true;
}

void
capture_draft_abort (CaptureDraft *capture)
{
  for (guint i = 0; i < capture->plan->disks->len; i++) {
    PlanDisk *disk = capture->plan->disks->pdata[i];
    storage_image_abort (g_steal_pointer (&disk->writer));
  }
  pool_draft_abort (g_steal_pointer (&capture->draft));
}

Snapshot *
capture_draft_close (CaptureDraft *capture, bool sealed)
{
  Snapshot *snapshot = NULL;
  if (sealed) {
    snapshot = g_new0 (Snapshot, 1);
    snapshot->manifest = g_steal_pointer (&capture->manifest);
    snapshot->state = state_new (capture->plan->request);
  }
  g_clear_pointer (&capture->manifest, manifest_free);
  return snapshot;
}
