/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "capture-libvirt.h"

#include "capture-draft.h"
#include "capture-files.h"
#include "capture-libvirt-backup.h"
#include "capture-libvirt-checkpoint.h"
#include "capture-libvirt-plan.h"
#include "capture-libvirt-watch.h"
#include "capture-pull.h"

#include <libvirt/virterror.h>
#include <string.h>

/* Each time that somebody else wanted the guest, all was begun again after a pause. */
#define TRIES 5u
#define PAUSE_US (G_USEC_PER_SEC / 2)

typedef struct {
  const CaptureRequest *request;
  virDomainPtr domain;
  LibvirtCalls *calls;
  LibvirtWorkers *workers;
  CaptureDraft draft;
  CapturePlan *plan; /* of this try; owned */
  LibvirtBackup *backup;
  char *bitmap; /* as exported */
  CapturePull pull;
  gint64 patience_us;
  LibvirtWatchReason reason; /* why the watch ended the job */
  bool refused;              /* libvirt did not begin the job */
  bool left;
  GError *seal_error; /* that thread's */
} Capture;

static gpointer
seal_thread (gpointer data)
{
  Capture *capture = data;
  if (capture_pull_finish (&capture->pull, &capture->seal_error))
    return GINT_TO_POINTER (capture_draft_seal (&capture->draft, &capture->seal_error));
  capture_draft_abort (&capture->draft);
  return GINT_TO_POINTER (false);
}

static bool
has_checkpoint (const CapturePlan *plan)
{
  for (guint i = 0; i < plan->disks->len; i++)
    if (((const PlanDisk *)plan->disks->pdata[i])->in_bitmaps)
      return true;
  return false;
}

/* What is kept is the newest sealed snapshot's checkpoint; that of the one before, or of one that failed,
 * goes. */
static bool
settle (Capture *capture, bool sealed, GError **error)
{
  const CapturePlan *plan = capture->plan;
  const char *keep = !sealed ? plan->old_bitmap : has_checkpoint (plan) ? plan->new_bitmap : NULL;
  return libvirt_checkpoints_drop (capture->calls, capture->domain, capture->request->pool, keep, error);
}

/* The job ends while the pool's disk writes: nobody waits for an fsync. */
static bool
seal_and_end (Capture *capture, GError **error)
{
  g_autoptr (GError) tidy = NULL;
  GThread *thread = g_thread_new ("seal", seal_thread, capture);
  bool ended = libvirt_backup_end (capture->backup, &tidy);
  bool sealed = GPOINTER_TO_INT (g_thread_join (thread));
  if (!sealed)
    g_propagate_error (error, g_steal_pointer (&capture->seal_error));
  if (!settle (capture, sealed, ended ? &tidy : NULL))
    ended = false;
  if (!ended) {
    capture->left = true;
    g_warning ("%s: libvirt could not be tidied up, the next snapshot will: %s",
               capture->request->domain->name, tidy->message);
  }
  return sealed;
}

static void
undo (Capture *capture)
{
  g_autoptr (GError) tidy = NULL;
  bool ended = libvirt_backup_end (capture->backup, &tidy);
  capture_pull_drop (&capture->pull);
  if (!settle (capture, false, ended ? &tidy : NULL) || !ended) {
    capture->left = true;
    g_warning ("%s: libvirt could not be tidied up, the next snapshot will: %s",
               capture->request->domain->name, tidy->message);
  }
  capture_draft_abort (&capture->draft);
}

/* From the job's begin to its end the watch looks after it. */
static bool
read_disks (Capture *capture, GError **error)
{
  CapturePlan *plan = capture->plan;
  LibvirtWatch *watch = libvirt_watch_start (capture->backup, capture->workers, capture->patience_us);
  g_autoptr (GError) failure = NULL, why = NULL;
  g_free (capture->bitmap);
  capture->bitmap = libvirt_backup_bitmap (plan);
  capture->pull = (CapturePull){
    .plan = plan, .bitmap = capture->bitmap, .guard = libvirt_watch_check, .opaque = watch
  };
  bool ok
      = capture_files_add (capture->draft.draft, capture->draft.manifest, capture->request->domain, &failure)
        && capture_pull_all (&capture->pull, &failure);
  /* what ended the job is the reason, whatever it looked like from here */
  libvirt_watch_check (watch, &why);
  capture->reason = libvirt_watch_stop (watch);
  if (!ok)
    g_propagate_error (error, why ? g_steal_pointer (&why) : g_steal_pointer (&failure));
  return ok;
}

static bool
run (Capture *capture, GError **error)
{
  CapturePlan *plan = capture->plan;
  CaptureDraft *draft = &capture->draft;
  if (!capture_draft_open (draft, plan, ENGINE_LIBVIRT, capture_plan_expected_bytes (plan), error)) {
    capture_draft_abort (draft);
    return false;
  }
  draft->manifest->guest_active = true;
  draft->manifest->bitmap = has_checkpoint (plan) ? g_strdup (plan->new_bitmap) : NULL;
  capture->refused
      = !libvirt_backup_begin (capture->backup, &draft->manifest->stall_us, &draft->manifest->time_us, error);
  if (!capture->refused && read_disks (capture, error))
    return seal_and_end (capture, error);
  /* A call that had nothing to do with the guest: the next that lasts as long shall not end the job. */
  libvirt_backup_end (capture->backup, NULL);
  if (capture->reason == LIBVIRT_WATCH_WAITER && !libvirt_backup_was_wanted (capture->calls, capture->domain))
    capture->patience_us = MIN (capture->patience_us * 2, LIBVIRT_WATCH_PATIENCE_MAX_US);
  undo (capture);
  return false;
}

/* One whole try; *idle: there is nothing to capture. */
static bool
try_once (Capture *capture, const char *no_checkpoints, bool *idle, GError **error)
{
  g_autoptr (CapturePlan) plan = libvirt_plan_new (capture->request, capture->calls, capture->domain,
                                                   no_checkpoints == NULL, no_checkpoints, error);
  *idle = plan && libvirt_plan_is_idle (plan);
  if (plan == NULL || *idle)
    return false;
  g_clear_pointer (&capture->plan, capture_plan_free);
  capture->plan = g_steal_pointer (&plan);
  g_autoptr (LibvirtBackup) backup
      = libvirt_backup_new (capture->plan, capture->calls, capture->domain, error);
  if (backup == NULL)
    return false;
  capture->backup = backup;
  return run (capture, error);
}

/* Codes that a job with checkpoints can fail with where one without them does not. */
static bool
may_be_checkpoints (const GError *error)
{
  return error->domain == LIBVIRT_ERROR && error->code != VIR_ERR_OPERATION_TIMEOUT
         && error->code != VIR_ERR_OPERATION_INVALID && error->code != VIR_ERR_NO_DOMAIN
         && error->code != VIR_ERR_RPC && error->code != VIR_ERR_INVALID_CONN;
}

static bool
pause_between (const CaptureRequest *request, guint tries)
{
  gint64 until = g_get_monotonic_time () + ((gint64)PAUSE_US << tries);
  GPollFD fd = { 0 };
  bool waitable = request->cancellable && g_cancellable_make_pollfd (request->cancellable, &fd);
  gint64 left = (until - g_get_monotonic_time ()) / 1000;
  g_poll (&fd, waitable ? 1 : 0, (gint)left);
  if (waitable)
    g_cancellable_release_fd (request->cancellable);
  return !g_cancellable_is_cancelled (request->cancellable);
}

/* Again without checkpoints where they were the trouble, and again later where somebody was let through. */
static bool
try_all (Capture *capture, bool *idle, GError **error)
{
  g_autofree char *no_checkpoints = NULL;
  for (guint tries = 0;; tries++) {
    g_autoptr (GError) failure = NULL;
    capture->reason = LIBVIRT_WATCH_QUIET;
    capture->refused = false;
    if (try_once (capture, no_checkpoints, idle, &failure))
      return true;
    if (*idle)
      return false;
    bool again = capture->reason == LIBVIRT_WATCH_WAITER && tries + 1 < TRIES && !capture->left
                 && pause_between (capture->request, tries);
    if (!again && capture->refused && no_checkpoints == NULL && !capture->left
        && may_be_checkpoints (failure)) {
      no_checkpoints = g_strdup_printf ("libvirt makes no use of checkpoints here (%s)", failure->message);
      again = true;
    }
    if (again)
      continue;
    if (capture->reason == LIBVIRT_WATCH_WAITER)
      g_prefix_error (&failure, "given up after giving way %u times: ", tries + 1);
    g_propagate_error (error, g_steal_pointer (&failure));
    return false;
  }
}

Snapshot *
capture_libvirt (virDomainPtr domain, LibvirtCalls *calls, LibvirtWorkers *workers,
                 const CaptureRequest *request, bool *left, GError **error)
{
  Capture capture = { .request = request,
                      .domain = domain,
                      .calls = calls,
                      .workers = workers,
                      .patience_us = LIBVIRT_WATCH_PATIENCE_US };
  bool idle = false;
  capture.draft.started = g_get_monotonic_time ();
  bool sealed = try_all (&capture, &idle, error);
  *left = capture.left;
  Snapshot *snapshot = capture_draft_close (&capture.draft, sealed);
  capture_plan_free (capture.plan);
  g_free (capture.bitmap);
  return snapshot;
}

bool
capture_libvirt_sweep (virDomainPtr domain, LibvirtCalls *calls, const Config *config, Pool *pool,
                       const char *domain_uuid, bool keep, GError **error)
{
  g_autoptr (Snapshot) latest = pool_latest (pool, domain_uuid);
  const Manifest *manifest = latest ? latest->manifest : NULL;
  bool ours = keep && manifest && strcmp (manifest->engine, engine_name (ENGINE_LIBVIRT)) == 0;
  return libvirt_backup_sweep (calls, domain, config, pool, domain_uuid, error)
         && libvirt_checkpoints_drop (calls, domain, pool, ours ? manifest->bitmap : NULL, error);
}

/* --- a guest that was stopped --- */

static bool
resume_call (virDomainPtr domain, gpointer data, GError **error)
{
  int state = 0, reason = 0;
  if (virDomainGetState (domain, &state, &reason, 0) < 0)
    return libvirt_call_fail (error, "state");
  if (state != VIR_DOMAIN_PAUSED || reason != VIR_DOMAIN_PAUSED_IOERROR)
    return true;
  g_warning ("%s: stopped by an I/O error during a capture; resuming it", virDomainGetName (domain));
  return virDomainResume (domain) == 0 || libvirt_call_fail (error, "resume");
}

void
capture_libvirt_resume (virDomainPtr domain, LibvirtCalls *calls, const char *name)
{
  const LibvirtCall call = { .func = resume_call, .timeout_ms = LIBVIRT_CALL_MS };
  g_autoptr (GError) error = NULL;
  gint *none = g_atomic_rc_box_new0 (gint);
  if (!libvirt_call (calls, domain, &call, none, NULL, &error))
    g_warning ("%s: cannot see whether it was stopped by an I/O error: %s; try \"virsh resume\"", name,
               error->message);
  g_atomic_rc_box_release (none);
}
