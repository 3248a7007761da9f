/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The native engine: the pool's storage clones the guest's own disks, whatever their size.
 *
 * The clone is made by a thread of its own: a storage that hangs while the guest stands still must not keep
 * it so. After HOLD_MAX_US a guest that guardd has suspended goes on, and what comes of the clone is thrown
 * away.
 */
#define G_LOG_DOMAIN "guardd"
#include "capture-draft.h"
#include "capture-files.h"

#include <string.h>

#define HOLD_MAX_US (5 * G_USEC_PER_SEC)

typedef struct {
  CaptureDraft draft;
  CapturePlan *plan;
  PoolSource *sources; /* one for each disk of the plan */
  bool hold;           /* the guest must stand still meanwhile */
  /* the thread's; the rest under lock */
  GError *clone_error;
  GMutex lock;
  GCond ended;
  bool has_ended;
} Native;

/* --- can it? --- */

static char *
disk_refusal (Pool *pool, const Domain *domain, const DomainDisk *disk, struct guardd_source_info *info)
{
  g_autoptr (GError) error = NULL;
  if (disk->source == NULL)
    return g_strdup_printf ("disk %s has no path", disk->target);
  if (pool_source_probe (pool, domain->uuid, disk->source, disk->format, info, &error))
    return NULL;
  return g_strdup_printf ("disk %s: %s", disk->target, error->message);
}

char *
capture_native_refusal (Pool *pool, const Domain *domain)
{
  guint n = 0;
  if (!pool_clones (pool))
    return g_strdup_printf ("the storage of pool %s copies, and does not clone", pool_name (pool));
  for (guint i = 0; i < domain->disks->len; i++) {
    struct guardd_source_info info;
    const DomainDisk *disk = domain->disks->pdata[i];
    char *why = disk->skip_reason ? NULL : disk_refusal (pool, domain, disk, &info);
    if (why)
      return why;
    n += disk->skip_reason == NULL;
  }
  return n ? NULL : g_strdup ("it has no disk that can be captured");
}

/* --- what is cloned --- */

static bool
plan_sources (Native *native, GError **error)
{
  CapturePlan *plan = native->plan;
  const CaptureRequest *request = plan->request;
  native->sources = g_new0 (PoolSource, plan->disks->len);
  native->hold = plan->disks->len > 1;
  for (guint i = 0; i < plan->disks->len; i++) {
    PlanDisk *disk = plan->disks->pdata[i];
    struct guardd_source_info info;
    guint64 parent_size = 0;
    g_autofree char *why = disk_refusal (request->pool, request->domain, disk->disk, &info);
    if (why) {
      g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_CHANGED, "%s cannot be cloned any more: %s",
                   request->domain->name, why);
      return false;
    }
    disk->size = info.size;
    disk->parent = capture_plan_parent (plan, disk->disk->target, info.size, &parent_size);
    native->hold |= !info.consistent_alone;
    native->sources[i]
        = (PoolSource){ disk->disk->target, disk->disk->source, disk->parent, info.size, NULL };
  }
  native->hold &= domain_is_active (request->domain);
  return true;
}

/* --- the instant --- */

static gpointer
clone_thread (gpointer data)
{
  Native *native = data;
  bool ok = pool_draft_clone (native->draft.draft, native->sources, native->plan->disks->len,
                              &native->clone_error);
  g_mutex_lock (&native->lock);
  native->has_ended = true;
  g_cond_signal (&native->ended);
  g_mutex_unlock (&native->lock);
  return GINT_TO_POINTER (ok);
}

static void
wake (GCancellable *cancellable, gpointer data)
{
  Native *native = data;
  g_mutex_lock (&native->lock);
  g_cond_signal (&native->ended);
  g_mutex_unlock (&native->lock);
}

/* A guardd that is told to end does not hold its guest any longer either.  One that somebody else has
 * suspended waits for nothing. */
static bool
clone_in_time (Native *native, bool suspends, GCancellable *cancellable)
{
  gint64 deadline = g_get_monotonic_time () + HOLD_MAX_US;
  gulong handler = cancellable ? g_cancellable_connect (cancellable, G_CALLBACK (wake), native, NULL) : 0;
  bool waits = true;
  g_mutex_lock (&native->lock);
  while (waits && !native->has_ended && !g_cancellable_is_cancelled (cancellable))
    if (suspends)
      waits = g_cond_wait_until (&native->ended, &native->lock, deadline);
    else
      g_cond_wait (&native->ended, &native->lock);
  bool in_time = native->has_ended;
  g_mutex_unlock (&native->lock);
  if (handler)
    g_cancellable_disconnect (cancellable, handler);
  return in_time;
}

static bool
clone_held (Native *native, GuestHolds *holds, GError **error)
{
  const CaptureRequest *request = native->plan->request;
  Manifest *manifest = native->draft.manifest;
  g_autoptr (GError) resume = NULL;
  GuestHold *hold = guest_hold_begin (holds, request->domain->uuid, error);
  if (hold == NULL)
    return false;
  manifest->time_us = g_get_real_time ();
  GThread *thread = g_thread_new ("clone", clone_thread, native);
  bool in_time = clone_in_time (native, guest_hold_suspends (hold), request->cancellable);
  bool held = guest_hold_end (hold, &manifest->stall_us, &resume);
  bool cloned = GPOINTER_TO_INT (g_thread_join (thread));
  if (cloned && in_time && held)
    return true;
  if (native->clone_error)
    g_propagate_error (error, g_steal_pointer (&native->clone_error));
  else if (!held)
    g_propagate_error (error, g_steal_pointer (&resume));
  else
    g_set_error (
        error, CAPTURE_ERROR, CAPTURE_ERROR_CHANGED,
        "%s: its disks were not cloned within %d s, so it went on, and the clones are of no one instant",
        request->domain->name, (int)(HOLD_MAX_US / G_USEC_PER_SEC));
  return false;
}

/* The storage sees to it that the guest's writes wait, or there are none. */
static bool
clone_alone (Native *native, GError **error)
{
  const CaptureRequest *request = native->plan->request;
  Manifest *manifest = native->draft.manifest;
  gint64 since = g_get_monotonic_time ();
  manifest->time_us = g_get_real_time ();
  bool ok = pool_draft_clone (native->draft.draft, native->sources, native->plan->disks->len, error);
  if (domain_is_active (request->domain))
    manifest->stall_us = (guint64)(g_get_monotonic_time () - since);
  /* A guest that was off and is started meanwhile writes. */
  return ok && !g_cancellable_set_error_if_cancelled (request->cancellable, error);
}

static bool
clone_disks (Native *native, GuestHolds *holds, GError **error)
{
  bool ok = native->hold ? clone_held (native, holds, error) : clone_alone (native, error);
  for (guint i = 0; i < native->plan->disks->len; i++)
    ((PlanDisk *)native->plan->disks->pdata[i])->writer = native->sources[i].writer;
  return ok;
}

/* --- the snapshot --- */

static void
count_changes (const CapturePlan *plan)
{
  for (guint i = 0; i < plan->disks->len; i++) {
    const PlanDisk *disk = plan->disks->pdata[i];
    guint64 blocks = (disk->size + GUARDD_BLOCK_SIZE - 1) / GUARDD_BLOCK_SIZE;
    disk->result->changed_bytes = MIN (disk->changed_blocks, blocks) * GUARDD_BLOCK_SIZE;
  }
}

/* Only a schedule asks "anything new?", and only of a guest that does not write. */
static bool
is_unchanged (const CapturePlan *plan)
{
  const CaptureRequest *request = plan->request;
  if (plan->latest == NULL || request->domain->state == DOMAIN_STATE_RUNNING
      || strcmp (request->origin, "schedule") != 0 || plan->latest->manifest->disks->len != plan->disks->len)
    return false;
  for (guint i = 0; i < plan->disks->len; i++) {
    const PlanDisk *disk = plan->disks->pdata[i];
    const ManifestDisk *before = manifest_find_disk (plan->latest->manifest, disk->disk->target);
    if (disk->changed_blocks || before == NULL || before->size != disk->size
        || disk->parent != plan->latest->manifest->number)
      return false;
  }
  return true;
}

/* False without error: nothing has changed. */
static bool
run (Native *native, GuestHolds *holds, GError **error)
{
  CaptureDraft *draft = &native->draft;
  const CaptureRequest *request = native->plan->request;
  if (!capture_draft_begin (draft, native->plan, ENGINE_NATIVE, 0, error))
    return false;
  draft->manifest->guest_active = domain_is_active (request->domain);
  if (!clone_disks (native, holds, error)
      || !capture_files_add (draft->draft, draft->manifest, request->domain, error)
      || !capture_draft_seal_images (draft, error))
    return false;
  count_changes (native->plan);
  return !is_unchanged (native->plan) && capture_draft_commit (draft, error);
}

Snapshot *
capture_native (GuestHolds *holds, const CaptureRequest *request, GError **error)
{
  Native native = { .draft.started = g_get_monotonic_time () };
  g_autoptr (CapturePlan) plan = capture_plan_new (request, ENGINE_NATIVE, NULL, error);
  if (plan == NULL)
    return NULL;
  native.plan = native.draft.plan = plan;
  g_mutex_init (&native.lock);
  g_cond_init (&native.ended);
  bool sealed = plan_sources (&native, error) && run (&native, holds, error);
  if (!sealed)
    capture_draft_abort (&native.draft);
  g_clear_error (&native.clone_error);
  g_mutex_clear (&native.lock);
  g_cond_clear (&native.ended);
  g_free (native.sources);
  return capture_draft_close (&native.draft, sealed);
}
