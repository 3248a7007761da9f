/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks for what a guardd that died, or a capture that failed, left in a running guest's QEMU: a
 * copy-before-write job would go on, and its scratch memory would grow, until the next snapshot. */
#define G_LOG_DOMAIN "guardd"
#include "job.h"

static bool
sweep_run (Job *job, GError **error)
{
  Session *session = job->guest->session;
  return session_engine (session, job->pool, job->domain, job->engine, &job->chosen, error)
         && (job->chosen.engine != ENGINE_QMP || session_client (session, job->pool, error) != NULL);
}

static void
sweep_done (Job *job, const GError *error)
{
  if (error)
    g_warning ("%s: cannot look for leftovers in its QEMU, the next snapshot will: %s", job->guest->name,
               error->message);
}

void
job_sweep (Daemon *daemon, Guest *guest)
{
  if (guest->busy || guest->unfinished || guest->pool == NULL || guest->domain == NULL
      || !domain_is_active (guest->domain))
    return;
  Job *job = job_new (daemon, guest, NULL);
  job->run = sweep_run;
  job->done = sweep_done;
  job_start (job);
}
