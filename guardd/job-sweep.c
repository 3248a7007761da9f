/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks for what a guardd that died, or a capture that failed, left in a running guest's QEMU: a
 * copy-before-write job would go on, and its scratch memory would grow, until the next snapshot. */
#define G_LOG_DOMAIN "guardd"
#include "job.h"

#define RETRY_US (G_USEC_PER_SEC / 2)
#define RETRY_DOUBLINGS 6u /* 32 s */

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
  Guest *guest = job->guest;
  if (error == NULL) {
    guest->sweeps_failed = 0;
    return;
  }
  if (guest->sweeps_failed++ == 0)
    g_warning ("%s: cannot look for leftovers in its QEMU, trying again until it is done: %s", guest->name,
               error->message);
  guest->sweep_due = g_get_monotonic_time () + (RETRY_US << MIN (guest->sweeps_failed, RETRY_DOUBLINGS));
}

static void
sweep_start (Daemon *daemon, Guest *guest)
{
  Job *job = job_new (daemon, guest, NULL);
  guest->sweep_due = 0;
  job->run = sweep_run;
  job->done = sweep_done;
  job_start (job);
}

void
job_sweep (Guest *guest)
{
  guest->sweep_due = g_get_monotonic_time ();
}

gint64
job_sweep_due (Daemon *daemon, gint64 now)
{
  gint64 next = G_MAXINT64;
  GHashTableIter iter;
  Guest *guest;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest)) {
    if (guest->pool == NULL || guest->domain == NULL || !domain_is_active (guest->domain))
      guest->sweep_due = 0;
    /* the end of what it is busy with is another look here */
    if (guest->sweep_due == 0 || guest->busy || guest->unfinished)
      continue;
    if (guest->sweep_due <= now)
      sweep_start (daemon, guest);
    else
      next = MIN (next, guest->sweep_due);
  }
  return next;
}
