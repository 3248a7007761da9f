/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-plan.h"

#include <string.h>
#include <unistd.h>

/* 64 to 128 blocks: a share of a tenth is then known to some percent. */
#define SAMPLE_BLOCKS_MAX 128u
#define SAMPLE_BLOCKS_MIN 16u
#define SAMPLE_BLOCKS_GUEST 256u

G_DEFINE_QUARK (guardd - capture - error, capture_error)

char *
capture_prefix (Pool *pool)
{
  return g_strdup_printf ("guardd-%.4s", pool_id (pool));
}

static void
plan_disk_free (gpointer data)
{
  PlanDisk *disk = data;

  storage_image_abort (disk->writer);
  /* QEMU may still copy to it what the guest overwrites: cut short, the guest's writes would fail */
  if (disk->in_nodes)
    scratch_leave (g_steal_pointer (&disk->scratch));
  scratch_free (disk->scratch);
  if (disk->socket >= 0)
    close (disk->socket);
  g_free (disk->node);
  g_free (disk->full_reason);
  g_free (disk->name);
  g_free (disk);
}

void
capture_plan_free (CapturePlan *plan)
{
  if (!plan)
    return;
  g_free (plan->prefix);
  g_free (plan->id);
  g_free (plan->new_bitmap);
  g_free (plan->old_bitmap);
  snapshot_free (plan->latest);
  g_ptr_array_unref (plan->disks);
  g_free (plan);
}

/* libvirt gives -device an id that is the XML's alias; QEMU shows it as a component of the QOM path
 * ("/machine/peripheral/virtio-disk0/virtio-backend") or, for others, as the bare id. */
static bool
qdev_has_alias (const char *qdev, const char *alias)
{
  g_auto (GStrv) parts = g_strsplit (qdev, "/", -1);

  return g_strv_contains ((const char *const *)parts, alias);
}

const QmpDisk *
capture_plan_find_device (GPtrArray *disks, const DomainDisk *disk)
{
  for (guint i = 0; disk->alias && i < disks->len; i++) {
    const QmpDisk *device = g_ptr_array_index (disks, i);

    if (device->qdev && qdev_has_alias (device->qdev, disk->alias))
      return device;
  }
  return NULL;
}

/* The newest snapshot that has this disk with a size the new image can stand on (it must not shrink). */
guint64
capture_plan_parent (const CapturePlan *plan, const char *target, guint64 size, guint64 *parent_size)
{
  const CaptureRequest *request = plan->request;
  guint64 number = pool_latest_with (request->pool, request->domain->uuid, target, parent_size);

  return number && *parent_size <= size ? number : 0;
}

/* What speaks against anything but reading all of it, whatever the engine knows. */
static char *
why_not_increment (const CapturePlan *plan, const PlanDisk *disk, guint64 parent_size)
{
  if (parent_size && parent_size != disk->size)
    return g_strdup_printf ("the disk's size changed from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT
                            " bytes",
                            parent_size, disk->size);
  if (disk->parent == 0)
    return g_strdup ("first snapshot of this disk");
  if (!manifest_find_disk (plan->latest->manifest, disk->disk->target))
    return g_strdup ("the disk was not in the newest snapshot");
  return NULL;
}

void
capture_plan_stand (CapturePlan *plan, PlanDisk *disk)
{
  guint64 parent_size = 0;

  disk->parent = capture_plan_parent (plan, disk->disk->target, disk->size, &parent_size);
  disk->full_reason = why_not_increment (plan, disk, parent_size);
}

static char *
why_not_bitmap (const CapturePlan *plan, const QmpDisk *device)
{
  const QmpBitmap *bitmap;

  if (!device)
    return g_strdup ("the guest is off: no dirty bitmap");
  if (!plan->old_bitmap)
    return g_strdup_printf ("the newest snapshot was taken %s: no dirty bitmap",
                            !plan->latest->manifest->guest_active ? "of the guest while it was off"
                            : plan->latest->manifest->bitmap      ? "by another engine"
                                                                  : "without one");
  bitmap = qmp_disk_find_bitmap (device, plan->old_bitmap);
  if (!bitmap)
    return g_strdup ("the dirty bitmap is gone (QEMU was restarted, or the disk's top node changed)");
  if (bitmap->inconsistent || !bitmap->recording || bitmap->busy || bitmap->granularity != GUARDD_BLOCK_SIZE)
    return g_strdup ("the dirty bitmap is not usable (inconsistent, not recording, or busy)");
  return NULL;
}

/* What is kept of all disks together is bounded: a snapshot may wait to be looked at. */
static ContentSample *
sample_new (const CapturePlan *plan, const PlanDisk *disk)
{
  const CaptureRequest *request = plan->request;
  guint disks = MAX (request->domain->disks->len, 1), share = SAMPLE_BLOCKS_GUEST / disks;

  if (disk->parent == 0 || request->samples == NULL)
    return NULL;
  ContentSample *sample
      = content_sample_new (request->buffers, CLAMP (share / 2 * 2, SAMPLE_BLOCKS_MIN, SAMPLE_BLOCKS_MAX));
  g_hash_table_replace (request->samples, g_strdup (disk->disk->target), sample);
  return sample;
}

void
capture_plan_base (CapturePlan *plan, PlanDisk *disk, const QmpDisk *device)
{
  const QmpBitmap *bitmap
      = device && plan->old_bitmap ? qmp_disk_find_bitmap (device, plan->old_bitmap) : NULL;

  capture_plan_stand (plan, disk);
  if (!disk->full_reason)
    disk->full_reason = why_not_bitmap (plan, device);
  disk->has_old_bitmap = bitmap && !bitmap->busy; /* QEMU removes none that is; a sweep does, later */
  if (!disk->full_reason && bitmap)
    disk->dirty = bitmap->count;
  disk->sample = sample_new (plan, disk);
}

static PlanDisk *
plan_disk_new (CapturePlan *plan, const DomainDisk *disk)
{
  PlanDisk *entry = g_new0 (PlanDisk, 1);

  entry->disk = disk;
  entry->export = disk->target;
  entry->fdset = -1;
  entry->socket = -1;
  /* Node names have at most 31 characters.  All names are short: a monitor of QEMU 7.2 takes each byte of a
   * command by itself, which is 4 us. */
  entry->name = g_strdup_printf ("%s-%.14s", plan->prefix, disk->target);
  g_ptr_array_add (plan->disks, entry);
  return entry;
}

static bool
plan_add_running (CapturePlan *plan, GPtrArray *disks, const DomainDisk *disk, GError **error)
{
  const QmpDisk *device = capture_plan_find_device (disks, disk);
  PlanDisk *entry;

  if (!device || !device->node_name) {
    g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_QEMU,
                 "disk %s of %s: QEMU has no block device for it (alias %s)", disk->target,
                 plan->request->domain->name, disk->alias ? disk->alias : "none");
    return false;
  }
  entry = plan_disk_new (plan, disk);
  entry->node = g_strdup (device->node_name);
  entry->size = device->virtual_size;
  capture_plan_base (plan, entry, device);
  return true;
}

CapturePlan *
capture_plan_new (const CaptureRequest *request, Engine engine, GPtrArray *disks, GError **error)
{
  g_autoptr (CapturePlan) plan = g_new0 (CapturePlan, 1);
  Domain *domain = request->domain;

  plan->request = request;
  plan->paused = domain->state == DOMAIN_STATE_PAUSED || capture_spares_any (request->spares);
  plan->prefix = capture_prefix (request->pool);
  plan->id = g_uuid_string_random ();
  plan->new_bitmap = g_strdup_printf ("%s-%.8s", plan->prefix, plan->id);
  plan->disks = g_ptr_array_new_with_free_func (plan_disk_free);
  plan->latest = pool_latest (request->pool, domain->uuid);
  if (plan->latest && strcmp (plan->latest->manifest->engine, engine_name (engine)) == 0)
    plan->old_bitmap = g_strdup (plan->latest->manifest->bitmap);
  for (guint i = 0; i < domain->disks->len; i++) {
    const DomainDisk *disk = g_ptr_array_index (domain->disks, i);

    /* only what has a path can be opened, or cloned */
    if (disk->skip_reason || ((engine == ENGINE_OFFLINE || engine == ENGINE_NATIVE) && !disk->source))
      continue;
    if (!disks)
      plan_disk_new (plan, disk);
    else if (!plan_add_running (plan, disks, disk, error))
      return NULL;
  }
  if (plan->disks->len == 0) {
    g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_NOTHING,
                 "%s has no disk that can be captured (guardsh dominfo %s says why)", domain->name,
                 domain->name);
    return NULL;
  }
  return g_steal_pointer (&plan);
}

guint64
capture_plan_expected_bytes (const CapturePlan *plan)
{
  guint64 sum = 0;

  for (guint i = 0; i < plan->disks->len; i++)
    sum += MIN (((const PlanDisk *)g_ptr_array_index (plan->disks, i))->dirty, CAPTURE_ASK_ZERO_BYTES);
  return sum;
}
