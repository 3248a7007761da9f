/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "base/json.h"
#include "base/units.h"

#include "capture-libvirt.h"
#include "capture.h"
#include "describe.h"
#include "job.h"

#define RETRY_US (5 * G_USEC_PER_SEC)
#define RETRY_DOUBLINGS 6u /* 320 s */

typedef struct {
  char *description;
  Snapshot *snapshot;  /* NULL after success: nothing had changed */
  GHashTable *samples; /* see capture.h */
} CaptureData;

static void
data_free (gpointer data)
{
  CaptureData *capture = data;
  g_free (capture->description);
  snapshot_free (capture->snapshot);
  g_clear_pointer (&capture->samples, g_hash_table_unref);
  g_free (capture);
}

static Snapshot *
capture_by_qmp (Job *job, CaptureRequest *request, GError **error)
{
  Session *session = job->guest->session;
  QmpClient *client = session_client (session, job->pool, error);
  if (client == NULL)
    return NULL;
  g_autoptr (GError) failure = NULL;
  request->spares = session_spares (session);
  Snapshot *snapshot = capture_qmp (client, request, &job->left, &failure);
  /* A guest that somebody paused stays paused. */
  if (failure && job->domain->state == DOMAIN_STATE_RUNNING)
    session_resume (session, job->domain->name);
  else if (failure || job->left)
    session_reset (session); /* the next to use it sweeps */
  if (failure)
    g_propagate_error (error, g_steal_pointer (&failure));
  return snapshot;
}

static Snapshot *
capture_by_clones (Job *job, CaptureRequest *request, GError **error)
{
  g_autoptr (GError) failure = NULL;
  Snapshot *snapshot = capture_native (job->daemon->holds, request, &failure);
  if (failure == NULL)
    return snapshot;
  session_reset (job->guest->session); /* its disks may be others now */
  g_propagate_error (error, g_steal_pointer (&failure));
  return NULL;
}

static Snapshot *
capture_by_libvirt (Job *job, CaptureRequest *request, GError **error)
{
  Session *session = job->guest->session;
  virDomainPtr domain = session_domain (session, job->pool, error);
  if (domain == NULL)
    return NULL;
  const SessionHost *host = session_host (session);
  g_autoptr (GError) failure = NULL;
  Snapshot *snapshot = capture_libvirt (domain, host->calls, host->workers, request, &job->left, &failure);
  if (failure && job->domain->state == DOMAIN_STATE_RUNNING)
    capture_libvirt_resume (domain, host->calls, job->domain->name);
  if (failure || job->left)
    session_reset (session);
  virDomainFree (domain);
  if (failure)
    g_propagate_error (error, g_steal_pointer (&failure));
  return snapshot;
}

static Snapshot *
capture_active (Job *job, CaptureRequest *request, GError **error)
{
  if (!session_engine (job->guest->session, job->pool, job->domain, job->engine, &job->chosen, error))
    return NULL;
  request->engine_reason = job->chosen.reason;
  switch (job->chosen.engine) {
  case ENGINE_QMP:
    return capture_by_qmp (job, request, error);
  case ENGINE_LIBVIRT:
    return capture_by_libvirt (job, request, error);
  case ENGINE_NATIVE:
    return capture_by_clones (job, request, error);
  case ENGINE_OFFLINE:
    break;
  }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "%s: there is no engine \"%s\" here",
               job->domain->name, engine_name (job->chosen.engine));
  return NULL;
}

static Snapshot *
capture_off (Job *job, CaptureRequest *request, GError **error)
{
  bool may_clone = job->engine == ENGINE_CHOICE_AUTO || job->engine == ENGINE_CHOICE_NATIVE;
  g_autofree char *refusal = may_clone ? capture_native_refusal (job->pool, job->domain) : NULL;
  bool clones = may_clone && refusal == NULL;
  engine_verdict_clear (&job->chosen);
  job->chosen = (EngineVerdict){ clones ? ENGINE_NATIVE : ENGINE_OFFLINE,
                                 g_strdup (clones ? "the guest is off, and the pool keeps clones of its disks"
                                                  : "the guest is off: its images are read directly") };
  request->engine_reason = job->chosen.reason;
  return clones ? capture_by_clones (job, request, error) : capture_offline (request, error);
}

typedef struct {
  Job *job;
  json_object *answer;
} Sealed;

/* On the main thread, before the job ends there. */
static gboolean
answer_sealed (gpointer data)
{
  Sealed *sealed = data;
  control_call_return (g_steal_pointer (&sealed->job->call), sealed->answer);
  g_free (sealed);
  return G_SOURCE_REMOVE;
}

/* What still has to be done in QEMU takes as long as the sealing did, and is of no interest to most. */
static void
on_sealed (const Snapshot *snapshot, void *opaque)
{
  Sealed sealed = { opaque, describe_snapshot (snapshot) };
  g_main_context_invoke (NULL, answer_sealed, g_memdup2 (&sealed, sizeof sealed));
}

Snapshot *
job_capture_now (Job *job, const char *origin, const char *description, bool evidence, GHashTable *samples,
                 GError **error)
{
  CaptureRequest request
      = { .config = job->daemon->config,
          .pool = job->pool,
          .domain = job->domain,
          .origin = origin,
          .description = description,
          .evidence = evidence,
          .samples = samples,
          .buffers = job->daemon->buffers,
          .sealed = job->call && job->capture && !control_call_bool (job->call, "wait") ? on_sealed : NULL,
          .opaque = job,
          .cancellable = job->cancellable };
  if (job->domain == NULL || job->pool == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s: %s", job->guest->name,
                 job->domain ? "no pool for it: protect it first" : "it is not defined in libvirt");
    return NULL;
  }
  /* One that a failure of ours left standing goes on first. */
  if (!guest_hold_release (job->daemon->holds, job->guest->uuid, error))
    return NULL;
  return domain_is_active (job->domain) ? capture_active (job, &request, error)
                                        : capture_off (job, &request, error);
}

static bool
capture_run (Job *job, GError **error)
{
  CaptureData *data = job->data;
  g_autoptr (GError) failure = NULL;
  data->samples
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)content_sample_free);
  data->snapshot = job_capture_now (job, job->origin, data->description, false, data->samples, &failure);
  if (failure == NULL)
    return true;
  g_propagate_error (error, g_steal_pointer (&failure));
  return false;
}

/* An interval may be a week: what failed is tried again sooner, though less and less often. */
static void
retry_sooner (Guest *guest)
{
  guint doublings = MIN (guest->failures - 1, RETRY_DOUBLINGS);
  gint64 again = g_get_monotonic_time () + (RETRY_US << doublings);
  if (guest->due)
    guest->due = MIN (guest->due, again);
}

/* Waiting for several in a row would tell nobody for weeks, and the room has to come from somewhere. */
static void
capture_full (Job *job, const GError *error)
{
  daemon_alarm_full (job->daemon, job->guest, error->message);
  if (guest_snapshots (job->guest) > 0)
    daemon_prune_soon (job->daemon, job->guest->uuid);
}

static void
capture_failed (Job *job, const GError *error)
{
  Guest *guest = job->guest;
  bool full = g_error_matches (error, POOL_ERROR, POOL_ERROR_FULL)
              || g_error_matches (error, STORAGE_ERROR, STORAGE_ERROR_FULL);
  guest->failures++;
  retry_sooner (guest);
  g_free (guest->last_error);
  guest->last_error = g_strdup (error->message);
  json_object *event = describe_guest_event (guest);
  json_add_string (event, "error", error->message);
  control_event (job->daemon->control, "SNAPSHOT_FAILED", event);
  /* Once an interval for hours would bury everything else. */
  if (guest->failures <= 3 || guest->failures % 100 == 0)
    g_warning ("%s: snapshot failed (%u in a row): %s", guest->name, guest->failures, error->message);
  if (full && guest->pool)
    capture_full (job, error);
  else if (guest->failures == DAEMON_STALE_ALARM)
    daemon_alarm_stale (job->daemon, guest);
  roster_refresh (job->daemon->roster, guest->uuid, "checked");
  job_sweep (guest);
}

static void
capture_succeeded (Job *job)
{
  Guest *guest = job->guest;
  CaptureData *data = job->data;
  if (guest->failures > 0)
    g_message ("%s: snapshots work again after %u failures", guest->name, guest->failures);
  guest->failures = 0;
  g_clear_pointer (&guest->last_error, g_free);
  daemon_alarm_full_over (job->daemon, guest);
  if (data->snapshot == NULL) {
    guest->unchanged++;
    return;
  }
  control_event (job->daemon->control, "SNAPSHOT_CREATED", describe_snapshot (data->snapshot));
  daemon_prune_soon (job->daemon, guest->uuid);
  job_watch (job->daemon, guest, data->snapshot, g_steal_pointer (&data->samples));
}

/* A start of the guest ends the reading of its images: nothing is wrong, and who asked still wants one, were
 * it the schedule. */
static void
capture_again (Job *job)
{
  const CaptureData *data = job->data;
  Guest *guest = job->guest;
  if (job->call == NULL && guest->due)
    guest->due = g_get_monotonic_time ();
  if (job->call == NULL || job->daemon->stopping || guest->domain == NULL
      || !domain_is_active (guest->domain))
    return;
  job_start (
      job_capture_new (job->daemon, guest, job->origin, data->description, g_steal_pointer (&job->call)));
}

static void
capture_done (Job *job, const GError *error)
{
  const CaptureData *data = job->data;
  if (job->call && data->snapshot)
    control_call_return (g_steal_pointer (&job->call), describe_snapshot (data->snapshot));
  if (error && g_cancellable_is_cancelled (job->cancellable))
    capture_again (job);
  else if (error)
    capture_failed (job, error);
  else
    capture_succeeded (job);
}

Job *
job_capture_new (Daemon *daemon, Guest *guest, const char *origin, const char *description, ControlCall *call)
{
  Job *job = job_new (daemon, guest, call);
  CaptureData *data = g_new0 (CaptureData, 1);
  data->description = g_strdup (description);
  job->data = data;
  job->data_free = data_free;
  job->origin = origin;
  job->capture = true;
  job->run = capture_run;
  job->done = capture_done;
  return job;
}
