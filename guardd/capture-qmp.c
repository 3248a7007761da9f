/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The qmp engine: plan, freeze an instant inside QEMU, pull it over NBD, seal it. */
#include "capture-draft.h"
#include "capture-files.h"
#include "capture-fleece.h"
#include "capture-pull.h"
#include "capture-reach.h"

#include <string.h>

#define STORE_US (20 * 1000)
#define FLUSH_US G_USEC_PER_SEC

typedef struct {
  CaptureDraft draft;
  CapturePlan *plan;
  QmpClient *client;
  GError *seal_error, *beside_error; /* those threads' */
  gint beside_failed;                /* atomic */
  bool left;                         /* sealed, but something may be left in QEMU */
  PoolFlush *flush;
  CapturePull pull;
  GMutex lock;
  GCond stored;
  bool has_stored; /* under lock: the seal's thread has stored the last byte, or failed to */
} Capture;

/* Why reading on is of no use. */
static bool
may_read_on (void *opaque, GError **error)
{
  Capture *capture = opaque;
  const CapturePlan *plan = capture->plan;

  if (g_atomic_int_get (&capture->beside_failed)) {
    g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_CHANGED, "given up"); /* pull_checked() says why */
    return false;
  }
  for (guint i = 0; i < plan->disks->len; i++)
    if (!scratch_check (((PlanDisk *)g_ptr_array_index (plan->disks, i))->scratch, error))
      return false;
  return true;
}

/* Whatever does not need the bytes. */
static gpointer
beside_thread (gpointer data)
{
  Capture *capture = data;
  CapturePlan *plan = capture->plan;
  GError **error = &capture->beside_error;

  /* a disk that is unplugged after the check is in the snapshot all the same */
  bool ok
      = capture_fleece_check (plan, capture->client, error)
        && capture_files_add (capture->draft.draft, capture->draft.manifest, plan->request->domain, error);

  g_atomic_int_set (&capture->beside_failed, !ok);
  if (ok && capture->pull.reach)
    capture_reach_ask (plan, capture->pull.reach, capture->client);
  return GINT_TO_POINTER (ok);
}

/* Reads all disks, and has it checked meanwhile that they are what the plan says. */
static bool
pull_checked (Capture *capture, GError **error)
{
  PullReach *reach = capture->pull.reach;
  GThread *beside = g_thread_new ("beside", beside_thread, capture);
  bool pulled = capture_pull_all (&capture->pull, error);

  pull_reach_end (reach);
  if (GPOINTER_TO_INT (g_thread_join (beside)))
    return pulled;
  /* whatever came of the reading */
  g_clear_error (error);
  g_propagate_error (error, capture->beside_error);
  return false;
}

static gpointer
seal_thread (gpointer data)
{
  Capture *capture = data;
  bool stored = capture_pull_finish (&capture->pull, &capture->seal_error);

  g_mutex_lock (&capture->lock);
  capture->has_stored = true;
  g_cond_signal (&capture->stored);
  g_mutex_unlock (&capture->lock);
  if (stored)
    return GINT_TO_POINTER (capture_draft_seal (&capture->draft, &capture->seal_error));
  capture_draft_abort (&capture->draft);
  return GINT_TO_POINTER (false);
}

/* What is still being hashed needs the processors more than QEMU's end does, for a moment; a pool that hangs
 * must not keep the guest's writes being copied. */
static void
let_it_store (Capture *capture)
{
  gint64 deadline = g_get_monotonic_time () + STORE_US;

  g_mutex_lock (&capture->lock);
  while (!capture->has_stored && g_cond_wait_until (&capture->stored, &capture->lock, deadline))
    ;
  g_mutex_unlock (&capture->lock);
}

/* QEMU is tidied up while the pool's disk writes: the guest's writes must not be copied for an fsync's sake.
 */
static bool
seal_and_end (Capture *capture, GError **error)
{
  g_autoptr (GError) tidy = NULL;
  GThread *thread = g_thread_new ("seal", seal_thread, capture);
  let_it_store (capture);
  bool ended = capture_fleece_end (capture->plan, capture->client, &tidy);
  bool sealed = GPOINTER_TO_INT (g_thread_join (thread));

  if (!sealed)
    g_propagate_error (error, capture->seal_error);
  if (!capture_fleece_settle (capture->plan, capture->client, sealed, ended ? &tidy : NULL))
    ended = false;
  if (ended)
    return sealed;
  if (sealed) {
    /* the snapshot is safe; a sweep cleans up */
    capture->left = true;
    g_warning ("%s: snapshot %" G_GUINT64_FORMAT " is sealed, but QEMU could not be tidied up: %s",
               capture->plan->request->domain->name, capture->draft.manifest->number,
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

  capture_pull_drop (&capture->pull);
  if (!capture_fleece_settle (capture->plan, capture->client, false, ended ? &tidy : NULL) || !ended) {
    g_autofree char *first = error && *error ? g_strdup ((*error)->message) : NULL;

    g_clear_error (error);
    g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_LEFT, "%s; and QEMU could not be tidied up: %s",
                 first ? first : "failed", tidy ? tidy->message : "bitmaps");
  }
  capture_draft_abort (&capture->draft);
}

/* QEMU waits for the guest's requests in its transaction, and where the pool is on their device they wait for
 * its flush. */
static bool
begin (Capture *capture, GError **error)
{
  Manifest *manifest = capture->draft.manifest;
  bool prepared = capture_fleece_prepare (capture->plan, capture->client, error);

  pool_flush_end (g_steal_pointer (&capture->flush), FLUSH_US);
  return prepared
         && capture_fleece_begin (capture->plan, capture->client, &manifest->stall_us, &manifest->time_us,
                                  error);
}

static bool
run (Capture *capture, GError **error)
{
  CapturePlan *plan = capture->plan;
  CaptureDraft *draft = &capture->draft;
  if (!capture_draft_open (draft, plan, ENGINE_QMP, capture_plan_expected_bytes (plan), error)) {
    pool_flush_end (g_steal_pointer (&capture->flush), 0);
    capture_draft_abort (draft);
    return false;
  }
  draft->manifest->guest_active = true;
  draft->manifest->bitmap = g_strdup (plan->new_bitmap);
  if (begin (capture, error) && pull_checked (capture, error))
    return seal_and_end (capture, error);
  undo (capture, error);
  return false;
}

/* A paused guest writes nothing: it is not captured again and again for nothing. */
static bool
is_idle (const CapturePlan *plan)
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

Snapshot *
capture_qmp (QmpClient *client, const CaptureRequest *request, bool *left, GError **error)
{
  Capture capture = { .client = client,
                      .draft.started = g_get_monotonic_time (),
                      .flush = request->sealed ? pool_flush_begin (request->pool) : NULL };
  g_autoptr (GPtrArray) disks = qmp_query_block (client, error);
  g_autoptr (CapturePlan) plan = disks ? capture_plan_new (request, ENGINE_QMP, disks, error) : NULL;
  if (plan == NULL || is_idle (plan)) {
    pool_flush_end (capture.flush, 0);
    return NULL;
  }
  g_autoptr (PullReach) reach = capture_reach_new (plan);
  capture.plan = plan;
  g_mutex_init (&capture.lock);
  g_cond_init (&capture.stored);
  capture.pull = (CapturePull){
    .plan = plan, .bitmap = plan->old_bitmap, .guard = may_read_on, .opaque = &capture, .reach = reach
  };
  bool sealed = run (&capture, error);
  g_mutex_clear (&capture.lock);
  g_cond_clear (&capture.stored);
  *left = capture.left;
  return capture_draft_close (&capture.draft, sealed);
}
