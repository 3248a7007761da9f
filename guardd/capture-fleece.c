/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-fleece.h"

#include "capture-orphan.h"
#include "nbd-socket.h"

#include <unistd.h>

#define JOB_GONE_MS 5000
#define TRANSACTION_MS 30000
/* of the node that QEMU puts on top of a disk while its job runs */
#define FILTER_DRIVER "copy-before-write"

static bool
add_scratch (CapturePlan *plan, PlanDisk *disk, QmpClient *client, GError **error)
{
  const Config *config = plan->request->config;
  /* an incremental capture is over in milliseconds; a full read may take hours of the guest's writes */
  bool on_disk = disk->full_reason && config->scratch_dir;
  guint64 limit = (on_disk ? config->scratch_disk : config->scratch_memory) / plan->disks->len;

  if (!on_disk)
    disk->scratch = capture_spares_take (plan->request->spares, disk->size, limit, &disk->fdset);
  if (!disk->scratch) {
    disk->scratch = scratch_new (on_disk ? config->scratch_dir : NULL, disk->size, limit, error);
    if (!disk->scratch || !qmp_add_fd (client, scratch_fd (disk->scratch), plan->prefix, &disk->fdset, error))
      return false;
  }
  if (!qmp_blockdev_add_scratch (client, disk->name, disk->fdset, !on_disk, disk->node, error))
    return false;
  disk->in_nodes = true;
  disk->in_bitmaps = qmp_bitmap_add (client, disk->node, plan->new_bitmap, GUARDD_BLOCK_SIZE, error);
  return disk->in_bitmaps;
}

/* One instant for all disks: copy-before-write starts on all, or on none.  QEMU drains a disk when it comes
 * to its backup, and until the end of the transaction, so that what depends on a write of another disk is not
 * in the snapshot without it. */
static bool
run_transaction (CapturePlan *plan, QmpClient *client, guint64 *stall_us, GError **error)
{
  g_autoptr (QmpTransaction) transaction = qmp_transaction_new ();

  for (guint i = 0; i < plan->disks->len; i++) {
    const PlanDisk *disk = g_ptr_array_index (plan->disks, i);

    qmp_transaction_backup_none (transaction, disk->name, disk->node, disk->name);
  }
  if (!qmp_transaction_run (transaction, client, TRANSACTION_MS, stall_us, error))
    return false;
  for (guint i = 0; i < plan->disks->len; i++)
    ((PlanDisk *)g_ptr_array_index (plan->disks, i))->in_jobs = true;
  return true;
}

bool
capture_fleece_check (const CapturePlan *plan, QmpClient *client, GError **error)
{
  g_autoptr (GPtrArray) now = qmp_query_block (client, error);

  if (!now)
    return false;
  for (guint i = 0; i < plan->disks->len; i++) {
    const PlanDisk *disk = g_ptr_array_index (plan->disks, i);
    const QmpDisk *device = capture_plan_find_device (now, disk->disk);

    if (!device || g_strcmp0 (device->driver, FILTER_DRIVER) != 0 || device->virtual_size != disk->size) {
      g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_CHANGED,
                   "disk %s of %s changed while the snapshot was taken (unplugged, resized, or an external "
                   "snapshot)",
                   disk->disk->target, plan->request->domain->name);
      return false;
    }
  }
  return true;
}

/* A refusal may mean that somebody else's is running; an answer that is none, that ours is. */
static bool
start_server (CapturePlan *plan, QmpClient *client, GError **error)
{
  GError *failure = NULL;
  bool ok = qmp_nbd_server_start_fd (client, CAPTURE_LISTENER, &failure);

  plan->nbd_server = ok || !g_error_matches (failure, QMP_ERROR, QMP_ERROR_COMMAND);
  if (!ok)
    g_propagate_error (error, failure);
  return ok;
}

static bool
add_exports (CapturePlan *plan, QmpClient *client, GError **error)
{
  g_autofree int *sockets = g_new (int, plan->disks->len);
  guint n = plan->disks->len;
  int listener;
  bool ok;

  if (!nbd_socket_open (plan->request->config->run_dir, n, &listener, sockets, error))
    return false;
  for (guint i = 0; i < n; i++)
    ((PlanDisk *)g_ptr_array_index (plan->disks, i))->socket = sockets[i];
  ok = qmp_getfd (client, listener, CAPTURE_LISTENER, error);
  close (listener);
  if (!ok || !start_server (plan, client, error))
    return false;
  for (guint i = 0; i < n; i++) {
    PlanDisk *disk = g_ptr_array_index (plan->disks, i);
    const char *bitmap = disk->full_reason ? NULL : plan->old_bitmap;

    if (!qmp_export_add (client, disk->name, disk->name, bitmap, error))
      return false;
    disk->export = disk->name;
    disk->in_exports = true;
  }
  return true;
}

bool
capture_fleece_prepare (CapturePlan *plan, QmpClient *client, GError **error)
{
  for (guint i = 0; i < plan->disks->len; i++)
    if (!add_scratch (plan, g_ptr_array_index (plan->disks, i), client, error))
      return false;
  return true;
}

bool
capture_fleece_begin (CapturePlan *plan, QmpClient *client, guint64 *stall_us, gint64 *time_us,
                      GError **error)
{
  if (!run_transaction (plan, client, stall_us, error))
    return false;
  *time_us = g_get_real_time ();
  return add_exports (plan, client, error);
}

/* Keeps the first error only; the others are of the same cause. */
static void
note (GError **first, GError *error)
{
  if (!error)
    return;
  if (*first)
    g_error_free (error);
  else
    *first = error;
}

static void
end_exports (CapturePlan *plan, QmpClient *client, GError **first)
{
  for (guint i = 0; i < plan->disks->len; i++) {
    PlanDisk *disk = g_ptr_array_index (plan->disks, i);
    GError *error = NULL;

    if (disk->socket >= 0)
      close (disk->socket);
    disk->socket = -1;
    /* the server's end closes exports too; one that may still be reading is waited for, not inside QEMU */
    if (!plan->pulled && disk->in_exports && qmp_export_del (client, disk->name, &error)
        && qmp_export_wait_gone (client, disk->name, JOB_GONE_MS, &error))
      disk->in_exports = false;
    note (first, error);
  }
  if (plan->nbd_server) {
    GError *error = NULL;

    if (qmp_nbd_server_stop (client, &error))
      plan->nbd_server = false;
    note (first, error);
  }
}

static void
end_job (PlanDisk *disk, QmpClient *client, GError **first)
{
  GError *error = NULL;

  if (disk->in_jobs && !qmp_job_cancel (client, disk->name, &error))
    note (first, error);
}

/* A node can be deleted once its job is over, which nearly always it is by now: so that is tried before
 * asking. */
static bool
delete_scratch (PlanDisk *disk, QmpClient *client, GError **error)
{
  g_autoptr (GError) busy = NULL;

  if (qmp_blockdev_del (client, disk->name, &busy))
    return true;
  if (!disk->in_jobs) {
    g_propagate_error (error, g_steal_pointer (&busy));
    return false;
  }
  return qmp_job_wait_gone (client, disk->name, JOB_GONE_MS, error)
         && qmp_blockdev_del (client, disk->name, error);
}

static bool
end_fdset (const CapturePlan *plan, PlanDisk *disk, QmpClient *client, GError **error)
{
  CaptureSpares *spares = plan->request->spares;
  /* QEMU drops a set by itself once its last user closes it and its descriptors are removed; not yet while
   * it is paused. */
  if (spares && plan->paused)
    capture_spares_put (spares, g_steal_pointer (&disk->scratch), disk->fdset);
  else if (!qmp_remove_fd (client, disk->fdset, error))
    return false;
  disk->fdset = -1;
  return true;
}

static void
end_scratch (const CapturePlan *plan, PlanDisk *disk, QmpClient *client, GError **first)
{
  GError *error = NULL;

  if (disk->in_nodes && delete_scratch (disk, client, &error))
    disk->in_nodes = disk->in_jobs = false;
  note (first, error);
  error = NULL;
  if (disk->fdset >= 0 && !disk->in_nodes)
    end_fdset (plan, disk, client, &error);
  note (first, error);
}

/* What libvirt last said may be older than what the guest does. */
static void
ask_paused (CapturePlan *plan, QmpClient *client, GError **first)
{
  GError *error = NULL;
  QmpStatus status;

  if (plan->paused && plan->request->spares && qmp_query_status (client, &status, &error))
    plan->paused = status != QMP_STATUS_RUNNING;
  note (first, error);
}

static void
drop_spares (const CapturePlan *plan, QmpClient *client, GError **first)
{
  CaptureSpares *spares = plan->request->spares;
  GError *error = NULL;

  if (!plan->paused && capture_spares_any (spares))
    capture_spares_drop (spares, client, &error);
  note (first, error);
}

bool
capture_fleece_end (CapturePlan *plan, QmpClient *client, GError **error)
{
  g_autoptr (GError) first = NULL;

  end_exports (plan, client, &first);
  for (guint i = 0; i < plan->disks->len; i++)
    end_job (g_ptr_array_index (plan->disks, i), client, &first);
  ask_paused (plan, client, &first);
  for (guint i = 0; i < plan->disks->len; i++)
    end_scratch (plan, g_ptr_array_index (plan->disks, i), client, &first);
  drop_spares (plan, client, &first);
  plan->unplugged = first || capture_orphans_any (plan, client);
  if (!first)
    return true;
  g_propagate_error (error, g_steal_pointer (&first));
  return false;
}

static bool
take_back_disk (const CapturePlan *plan, PlanDisk *disk, QmpClient *client, GError **error)
{
  if (disk->in_bitmaps && !qmp_bitmap_remove (client, disk->node, plan->new_bitmap, error))
    return false;
  disk->in_bitmaps = false;
  return true;
}

static bool
take_back (CapturePlan *plan, QmpClient *client, GError **error)
{
  for (guint i = 0; i < plan->disks->len; i++)
    if (!take_back_disk (plan, g_ptr_array_index (plan->disks, i), client, error))
      return false;
  return true;
}

static bool
drop_old (CapturePlan *plan, QmpClient *client, GError **error)
{
  for (guint i = 0; i < plan->disks->len; i++) {
    PlanDisk *disk = g_ptr_array_index (plan->disks, i);

    if (disk->has_old_bitmap && !qmp_bitmap_remove (client, disk->node, plan->old_bitmap, error))
      return false;
    disk->has_old_bitmap = false;
  }
  return true;
}

bool
capture_fleece_settle (CapturePlan *plan, QmpClient *client, bool sealed, GError **error)
{
  bool settled = sealed ? drop_old (plan, client, error) : take_back (plan, client, error);

  return (!plan->unplugged || capture_orphans_close (plan, client, settled ? error : NULL)) && settled;
}
