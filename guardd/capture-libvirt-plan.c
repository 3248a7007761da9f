/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "capture-libvirt-plan.h"

#include "capture-libvirt-checkpoint.h"

#include <fcntl.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <unistd.h>

/* docs/interop/qcow2.txt of QEMU; numbers are big endian */
#define QCOW2_HEADER 72
#define QCOW2_MAGIC 0x514649fbu
#define QCOW2_VERSION 4
#define QCOW2_SNAPSHOTS 60

/* --- sizes --- */

typedef struct {
  GStrv targets;
  guint64 *sizes;
} Sizes;

static void
sizes_clear (gpointer data)
{
  Sizes *sizes = data;
  g_strfreev (sizes->targets);
  g_free (sizes->sizes);
}

static bool
sizes_call (virDomainPtr domain, gpointer data, GError **error)
{
  const Sizes *sizes = data;
  for (guint i = 0; sizes->targets[i]; i++) {
    virDomainBlockInfo info;
    if (virDomainGetBlockInfo (domain, sizes->targets[i], &info, 0) < 0)
      return libvirt_call_fail (error, sizes->targets[i]);
    sizes->sizes[i] = info.capacity;
  }
  return true;
}

static bool
measure (CapturePlan *plan, LibvirtCalls *calls, virDomainPtr domain, GError **error)
{
  const LibvirtCall call = { .func = sizes_call, .timeout_ms = LIBVIRT_CALL_MS };
  guint n = plan->disks->len;
  Sizes *sizes = g_atomic_rc_box_new0 (Sizes);
  sizes->targets = g_new0 (char *, n + 1);
  sizes->sizes = g_new0 (guint64, n);
  for (guint i = 0; i < n; i++)
    sizes->targets[i] = g_strdup (((const PlanDisk *)plan->disks->pdata[i])->disk->target);
  bool ok = libvirt_call (calls, domain, &call, sizes, sizes_clear, error);
  for (guint i = 0; ok && i < n; i++)
    ((PlanDisk *)plan->disks->pdata[i])->size = sizes->sizes[i];
  g_atomic_rc_box_release_full (sizes, sizes_clear);
  return ok;
}

/* --- what checkpoints can do --- */

static guint32
header_number (const guint8 *header, guint at)
{
  guint32 number;
  memcpy (&number, header + at, sizeof number);
  return GUINT32_FROM_BE (number);
}

/* QEMU keeps bitmaps in qcow2 images of version 3.  It refuses to go back to an internal snapshot of one that
 * has any, and libvirt has ended the guest by then: an operator's "virsh snapshot-revert" would leave it off.
 * Of an image that cannot be read here libvirt will say. */
static char *
why_no_bitmap (const DomainDisk *disk)
{
  guint8 header[QCOW2_HEADER] = { 0 };
  if (strcmp (disk->format, "qcow2") != 0)
    return g_strdup_printf ("libvirt has no checkpoints for %s images, so all of it is read", disk->format);
  int fd = disk->source ? open (disk->source, O_RDONLY | O_CLOEXEC) : -1;
  ssize_t n = fd < 0 ? -1 : pread (fd, header, sizeof header, 0);
  if (fd >= 0)
    close (fd);
  if (n != (ssize_t)sizeof header || header_number (header, 0) != QCOW2_MAGIC)
    return NULL;
  if (header_number (header, QCOW2_VERSION) < 3)
    return g_strdup (
        "qcow2 images of version 2 keep no bitmaps, so all of it is read (while the guest is off, "
        "qemu-img amend -o compat=1.1 changes that)");
  if (header_number (header, QCOW2_SNAPSHOTS) > 0)
    return g_strdup (
        "the image has internal snapshots, to which libvirt cannot go back beside a checkpoint, so "
        "all of it is read");
  return NULL;
}

/* Targets -> bytes since old_bitmap; *why_not is set when it cannot be used.  NULL with an error: nothing
 * works just now. */
static GHashTable *
read_checkpoint (const CapturePlan *plan, LibvirtCalls *calls, virDomainPtr domain, char **why_not,
                 GError **error)
{
  g_autoptr (GError) failure = NULL;
  if (plan->old_bitmap == NULL) {
    *why_not = g_strdup (plan->latest && !plan->latest->manifest->guest_active
                             ? "the newest snapshot was taken of the guest while it was off: no checkpoint"
                             : "the newest snapshot has no checkpoint");
    return NULL;
  }
  GHashTable *disks = libvirt_checkpoint_validate (calls, domain, plan->old_bitmap, &failure);
  if (disks)
    return disks;
  if (g_error_matches (failure, LIBVIRT_ERROR, VIR_ERR_NO_DOMAIN_CHECKPOINT))
    *why_not = g_strdup ("the newest snapshot's checkpoint is gone");
  else if (g_error_matches (failure, LIBVIRT_ERROR, VIR_ERR_CHECKPOINT_INCONSISTENT))
    *why_not
        = g_strdup ("the newest snapshot's checkpoint is broken (QEMU or the host died, or the image was "
                    "replaced)");
  else
    g_propagate_error (error, g_steal_pointer (&failure));
  return NULL;
}

static void
decide (CapturePlan *plan, PlanDisk *disk, GHashTable *since, const char *why_not)
{
  g_autofree char *no_bitmap = why_no_bitmap (disk->disk);
  const guint64 *dirty = since ? g_hash_table_lookup (since, disk->disk->target) : NULL;
  capture_plan_stand (plan, disk);
  disk->in_bitmaps = no_bitmap == NULL;
  if (disk->full_reason)
    return;
  if (no_bitmap)
    disk->full_reason = g_steal_pointer (&no_bitmap);
  else if (why_not || dirty == NULL)
    disk->full_reason = g_strdup (why_not ? why_not : "the disk has no place in the newest checkpoint");
  else
    disk->dirty = *dirty;
}

/* What an evidence snapshot is followed by is a rollback: it writes past QEMU, and past its bitmaps. */
static void
leave_bitmaps (CapturePlan *plan)
{
  for (guint i = 0; i < plan->disks->len; i++)
    ((PlanDisk *)plan->disks->pdata[i])->in_bitmaps = false;
}

CapturePlan *
libvirt_plan_new (const CaptureRequest *request, LibvirtCalls *calls, virDomainPtr domain, bool checkpoints,
                  const char *why_not, GError **error)
{
  g_autoptr (CapturePlan) plan = capture_plan_new (request, ENGINE_LIBVIRT, NULL, error);
  g_autoptr (GHashTable) since = NULL;
  g_autofree char *reason = g_strdup (why_not);
  if (plan == NULL || !measure (plan, calls, domain, error))
    return NULL;
  g_free (plan->new_bitmap);
  plan->new_bitmap = libvirt_checkpoint_name (request->pool, plan->id);
  if (checkpoints) {
    since = read_checkpoint (plan, calls, domain, &reason, error);
    if (since == NULL && reason == NULL)
      return NULL;
  }
  for (guint i = 0; i < plan->disks->len; i++)
    decide (plan, plan->disks->pdata[i], since, reason);
  if (!checkpoints || request->evidence)
    leave_bitmaps (plan);
  return g_steal_pointer (&plan);
}

bool
libvirt_plan_is_idle (const CapturePlan *plan)
{
  const CaptureRequest *request = plan->request;
  if (request->domain->state != DOMAIN_STATE_PAUSED || strcmp (request->origin, "schedule") != 0)
    return false;
  for (guint i = 0; i < plan->disks->len; i++) {
    const PlanDisk *disk = plan->disks->pdata[i];
    if (disk->full_reason || disk->dirty > 0)
      return false;
  }
  return plan->latest->manifest->disks->len == plan->disks->len;
}
