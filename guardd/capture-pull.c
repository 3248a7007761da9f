/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-pull.h"

void
capture_pull_drop (CapturePull *pull)
{
  g_clear_pointer (&pull->pull, pull_free);
  g_clear_pointer (&pull->parent, storage_image_release);
}

bool
capture_pull_finish (CapturePull *pull, GError **error)
{
  PullResult result;
  bool ok;

  if (!pull->pull)
    return true;
  ok = pull_finish (g_steal_pointer (&pull->pull), &result, error);
  capture_pull_drop (pull);
  if (!ok) {
    g_prefix_error (error, "disk %s: ", pull->disk->disk->target);
    return false;
  }
  pull->disk->result->read_bytes = result.read_bytes;
  pull->disk->result->changed_bytes = result.changed_bytes;
  pull->disk->result->stored_bytes = result.stored_bytes;
  return true;
}

static bool
pull_one (CapturePull *pull, PlanDisk *disk, GError **error)
{
  const CapturePlan *plan = pull->plan;
  const CaptureRequest *capture = plan->request;
  PullRequest request = {
    .socket = disk->socket,
    .export = disk->disk->target,
    .bitmap = disk->full_reason ? NULL : pull->bitmap,
    .size = disk->size,
    .writer = disk->writer,
    .sample = disk->sample,
    .buffers = capture->buffers,
    .stall_us = capture->config->capture_timeout_us,
    .guard = pull->guard,
    .opaque = pull->opaque,
    .cancellable = capture->cancellable,
  };

  if (disk->parent && (disk->full_reason || disk->dirty >= CAPTURE_ASK_ZERO_BYTES)) {
    request.parent
        = pool_image_open (capture->pool, capture->domain->uuid, disk->parent, disk->disk->target, error);
    if (!request.parent)
      return false;
    pull->parent = request.parent;
  }
  disk->socket = -1; /* the pull has it now */
  pull->disk = disk;
  pull->pull = pull_read (&request, error);
  if (pull->pull)
    return true;
  g_prefix_error (error, "disk %s: ", disk->disk->target);
  return false;
}

bool
capture_pull_all (CapturePull *pull, GError **error)
{
  for (guint i = 0; i < pull->plan->disks->len; i++)
    if (!capture_pull_finish (pull, error)
        || !pull_one (pull, g_ptr_array_index (pull->plan->disks, i), error))
      return false;
  pull->plan->pulled = true;
  return true;
}
