/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-pull.h"

static void
disk_drop (PlanDisk *disk)
{
  g_clear_pointer (&disk->pull, pull_free);
  g_clear_pointer (&disk->reader, storage_image_release);
}

static void
drop_from (CapturePull *pull, guint first)
{
  for (guint i = first; pull->plan && i < pull->plan->disks->len; i++)
    disk_drop (g_ptr_array_index (pull->plan->disks, i));
}

void
capture_pull_drop (CapturePull *pull)
{
  drop_from (pull, 0);
  *pull = (CapturePull){ 0 };
}

bool
capture_pull_finish (CapturePull *pull, GError **error)
{
  PlanDisk *disk = g_steal_pointer (&pull->disk);
  PullResult result;
  bool ok;

  if (!disk)
    return true;
  ok = pull_finish (g_steal_pointer (&disk->pull), &result, error);
  disk_drop (disk);
  if (!ok) {
    g_prefix_error (error, "disk %s: ", disk->disk->target);
    return false;
  }
  disk->result->read_bytes = result.read_bytes;
  disk->result->changed_bytes = result.changed_bytes;
  disk->result->stored_bytes = result.stored_bytes;
  return true;
}

static bool
open_one (const CapturePull *pull, guint index, GError **error)
{
  PlanDisk *disk = g_ptr_array_index (pull->plan->disks, index);
  const CapturePlan *plan = pull->plan;
  const CaptureRequest *capture = plan->request;
  PullRequest request = {
    .socket = disk->socket,
    .export = disk->export,
    .bitmap = disk->full_reason ? NULL : pull->bitmap,
    .size = disk->size,
    .writer = disk->writer,
    .sample = disk->sample,
    .buffers = capture->buffers,
    .reach = disk->full_reason ? NULL : pull->reach,
    .reach_disk = index,
    .stall_us = capture->config->capture_timeout_us,
    .guard = pull->guard,
    .opaque = pull->opaque,
    .cancellable = capture->cancellable,
  };

  if (disk->parent && (disk->full_reason || disk->dirty >= CAPTURE_ASK_ZERO_BYTES)) {
    disk->reader
        = pool_image_open (capture->pool, capture->domain->uuid, disk->parent, disk->disk->target, error);
    if (!disk->reader)
      return false;
    request.parent = disk->reader;
  }
  disk->socket = -1; /* the pull has it now */
  disk->pull = pull_open (&request, error);
  if (disk->pull)
    return true;
  g_prefix_error (error, "disk %s: ", disk->disk->target);
  return false;
}

static bool
read_one (CapturePull *pull, PlanDisk *disk, GError **error)
{
  if (pull_read (disk->pull, error)) {
    pull->disk = disk;
    return true;
  }
  g_prefix_error (error, "disk %s: ", disk->disk->target);
  return false;
}

bool
capture_pull_all (CapturePull *pull, GError **error)
{
  GPtrArray *disks = pull->plan->disks;

  for (guint i = 0; i < disks->len; i++)
    if (!open_one (pull, i, error)) {
      drop_from (pull, 0);
      return false;
    }
  for (guint i = 0; i < disks->len; i++)
    if (!capture_pull_finish (pull, error) || !read_one (pull, g_ptr_array_index (disks, i), error)) {
      drop_from (pull, i + 1); /* QEMU is to be rid of its clients; what is still being stored can wait */
      return false;
    }
  pull->plan->pulled = true;
  return true;
}
