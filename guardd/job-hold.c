/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests that an earlier guardd, or one that lost libvirt, left suspended in the middle of a snapshot go on.
 */
#define G_LOG_DOMAIN "guardd"
#include "job.h"

static bool
hold_run (Job *job, GError **error)
{
  return guest_hold_release (job->daemon->holds, job->guest->uuid, error);
}

static void
hold_done (Job *job, const GError *error)
{
  if (error)
    g_warning ("%s: %s; guardd tries again with its next snapshot", job->guest->name, error->message);
  roster_refresh (job->daemon->roster, job->guest->uuid, "checked");
}

void
job_release_held (Daemon *daemon)
{
  g_auto (GStrv) uuids = guest_holds_list (daemon->holds);
  for (char **uuid = uuids; *uuid; uuid++) {
    Guest *guest = g_hash_table_lookup (daemon->guests, *uuid);
    if (guest == NULL || guest->domain == NULL) {
      guest_hold_forget (daemon->holds, *uuid);
      continue;
    }
    Job *job = job_new (daemon, guest, NULL);
    job->run = hold_run;
    job->done = hold_done;
    job_start (job);
  }
}
