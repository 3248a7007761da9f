/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "job.h"

#define WAITING_MAX 16u
#define SLOW_MAX 1000u /* an intruder on the host may have every guest suspected at once */

typedef struct {
  Job *job;
  GError *error;
} Outcome;

Job *
job_new (Daemon *daemon, Guest *guest, ControlCall *call)
{
  Job *job = g_new0 (Job, 1);
  job->daemon = daemon;
  job->guest = guest;
  job->call = call;
  job->pool = guest ? guest->pool : NULL;
  job->cancellable = g_cancellable_new ();
  return job;
}

void
job_free (Job *job)
{
  if (job->data_free)
    job->data_free (job->data);
  g_clear_pointer (&job->domain, domain_unref);
  engine_verdict_clear (&job->chosen);
  g_object_unref (job->cancellable);
  g_free (job);
}

static void
job_answer (Job *job, const GError *error)
{
  ControlCall *call = g_steal_pointer (&job->call);
  if (call == NULL)
    return;
  if (error)
    control_call_error (call, error);
  else
    control_call_return (call, NULL);
}

static void
job_launch (Job *job)
{
  Daemon *daemon = job->daemon;
  job->started = g_get_monotonic_time ();
  if (job->guest) {
    g_clear_pointer (&job->domain, domain_unref);
    job->engine = job->guest->policy ? job->guest->policy->engine : ENGINE_CHOICE_AUTO;
    job->domain = job->guest->domain ? domain_ref (job->guest->domain) : NULL;
  }
  g_ptr_array_add (daemon->running, job);
  daemon->captures += job->capture;
  g_thread_pool_push (daemon->threads, job, NULL);
}

static void
jobs_fail (GQueue *jobs, const char *why)
{
  Job *job;
  while ((job = g_queue_pop_head (jobs)) != NULL) {
    g_autoptr (GError) error
        = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s: %s", job->guest->name, why);
    job_answer (job, error);
    job_free (job);
  }
}

static void
slow_next (Daemon *daemon)
{
  if (daemon->stopping)
    jobs_fail (&daemon->slow_waiting, "guardd is ending");
  daemon->slow = g_queue_pop_head (&daemon->slow_waiting);
  if (daemon->slow)
    job_launch (daemon->slow);
}

static void
look_next (const Daemon *daemon, Guest *guest)
{
  guest->looking = NULL;
  if (daemon->stopping)
    jobs_fail (&guest->looks, "guardd is ending");
  guest->looking = g_queue_pop_head (&guest->looks);
  if (guest->looking)
    job_launch (guest->looking);
}

static gboolean
job_finish (gpointer data)
{
  Outcome *outcome = data;
  Job *job = outcome->job;
  Daemon *daemon = job->daemon;
  Guest *guest = job->guest;
  bool owner = guest && guest->busy == job, looked = guest && guest->looking == job;
  bool slow = daemon->slow == job;
  g_ptr_array_remove_fast (daemon->running, job);
  daemon->captures -= job->capture;
  if (owner) {
    guest->busy = NULL;
    guest->silent = false;
  }
  if (guest && job->chosen.reason) {
    engine_verdict_clear (&guest->engine);
    guest->engine = job->chosen;
    job->chosen.reason = NULL;
  }
  if (guest && job->left)
    job_sweep (guest);
  if (job->done)
    job->done (job, outcome->error);
  job_answer (job, outcome->error);
  job_free (job);
  g_clear_error (&outcome->error);
  g_free (outcome);
  if (looked)
    look_next (daemon, guest);
  if (slow)
    slow_next (daemon);
  Job *next = owner && guest->busy == NULL ? g_queue_pop_head (&guest->waiting) : NULL;
  if (next && !daemon->stopping) {
    guest->busy = next;
    job_launch (next);
  } else if (next) {
    g_queue_push_head (&guest->waiting, next);
    job_fail_waiting (guest, "guardd is ending");
  }
  if (daemon->stopping && daemon->running->len == 0)
    g_main_loop_quit (daemon->loop);
  else
    daemon_schedule (daemon);
  return G_SOURCE_REMOVE;
}

void
job_thread (gpointer data, gpointer opaque)
{
  Outcome *outcome = g_new0 (Outcome, 1);
  outcome->job = data;
  outcome->job->run (outcome->job, &outcome->error);
  g_main_context_invoke (NULL, job_finish, outcome);
}

void
job_start_beside (Job *job)
{
  job_launch (job);
}

bool
job_start_slow (Job *job)
{
  Daemon *daemon = job->daemon;
  if (daemon->slow == NULL) {
    daemon->slow = job;
    job_launch (job);
  } else if (g_queue_get_length (&daemon->slow_waiting) < SLOW_MAX) {
    g_queue_push_tail (&daemon->slow_waiting, job);
  } else {
    g_autoptr (GError) error
        = g_error_new (G_IO_ERROR, G_IO_ERROR_BUSY, "%u inspections are waiting already", SLOW_MAX);
    g_warning ("%s: %s: this one is left out", job->guest->name, error->message);
    job_answer (job, error);
    job_free (job);
    return false;
  }
  return true;
}

void
job_start_look (Job *job)
{
  Guest *guest = job->guest;
  if (guest->looking == NULL) {
    guest->looking = job;
    job_launch (job);
  } else if (!job->dispensable || g_queue_get_length (&guest->looks) < WAITING_MAX) {
    g_queue_push_tail (&guest->looks, job);
  } else {
    g_autoptr (GError) error = g_error_new (G_IO_ERROR, G_IO_ERROR_BUSY,
                                            "%s has %u snapshots to be looked at", guest->name, WAITING_MAX);
    g_warning ("%s: that one is left out", error->message);
    job_answer (job, error);
    job_free (job);
  }
}

void
job_start (Job *job)
{
  Guest *guest = job->guest;
  if (guest == NULL || guest->busy == NULL) {
    if (guest)
      guest->busy = job;
    job_launch (job);
  } else if (g_queue_get_length (&guest->waiting) < WAITING_MAX)
    g_queue_push_tail (&guest->waiting, job);
  else {
    g_autoptr (GError) error = g_error_new (G_IO_ERROR, G_IO_ERROR_BUSY, "%s has %u commands waiting already",
                                            guest->name, WAITING_MAX);
    job_answer (job, error);
    job_free (job);
  }
}

bool
job_any (const Daemon *daemon, const Guest *guest)
{
  if (guest->busy || guest->looking)
    return true;
  for (guint i = 0; i < daemon->running->len; i++)
    if (((const Job *)daemon->running->pdata[i])->guest == guest)
      return true;
  for (const GList *at = daemon->slow_waiting.head; at; at = at->next)
    if (((const Job *)at->data)->guest == guest)
      return true;
  return false;
}

void
job_fail_waiting (Guest *guest, const char *why)
{
  jobs_fail (&guest->waiting, why);
}
