/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks for what a guardd that died, or a capture that failed, left in a running guest's QEMU: a
 * copy-before-write job would go on, and its scratch memory would grow, until the next snapshot. */
#define G_LOG_DOMAIN "guardd"
#include "job.h"

static bool
sweep_run (Job *job, GError **error)
{
  Session *session = job->guest->session;
  virDomainPtr domain;
  if (!session_engine (session, job->pool, job->domain, job->engine, &job->chosen, error))
    return false;
  switch (job->chosen.engine) {
  case ENGINE_QMP:
    return session_client (session, job->pool, error) != NULL;
  case ENGINE_LIBVIRT:
    domain = session_domain (session, job->pool, error);
    if (domain)
      virDomainFree (domain);
    return domain != NULL;
  case ENGINE_NATIVE:
  case ENGINE_OFFLINE:
    break;
  }
  return true;
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
