/* SPDX-License-Identifier: GPL-2.0-or-later */
/* On suspicion, and on a slow schedule: which files are gone or encrypted, by the inspector. */
#define G_LOG_DOMAIN "guardd"
#include "base/json.h"

#include "deepening.h"
#include "describe.h"
#include "job-inspect.h"
#include "listing.h"
#include "tally.h"

/* Between two inspections of a guest on suspicion: twice as long each time, while it lasts. */
#define SUSPECT_PAUSE_US ((guint64)60 * G_USEC_PER_SEC)
#define SUSPECT_PAUSE_MAX_US ((guint64)3600 * G_USEC_PER_SEC)

/* --- on the job's thread --- */

static const Snapshot *
find_newest (const GPtrArray *all, guint64 number)
{
  for (guint i = all->len; i > 0; i--) {
    const Snapshot *snapshot = all->pdata[i - 1];
    if (number == 0 || snapshot->manifest->number == number)
      return snapshot;
  }
  return NULL;
}

static const Snapshot *
find_listed (Job *job, const GPtrArray *all, guint64 before)
{
  for (guint i = all->len; i > 0; i--) {
    const Snapshot *snapshot = all->pdata[i - 1];
    guint64 number = snapshot->manifest->number;
    if (number < before && pool_inventory_exists (job->pool, job->guest->uuid, number))
      return snapshot;
  }
  return NULL;
}

/* The oldest, if none is so old. */
static const Snapshot *
find_before (const GPtrArray *all, const Snapshot *to, gint64 time_us)
{
  const Snapshot *found = NULL;
  for (guint i = 0; i < all->len; i++) {
    const Snapshot *snapshot = all->pdata[i];
    if (snapshot->state->evidence || snapshot->manifest->number >= to->manifest->number
        || (found && snapshot->manifest->time_us >= time_us))
      continue;
    found = snapshot;
  }
  return found;
}

/* Nothing removes them until all is told. */
static bool
pin (Job *job, Deepening *data, const Snapshot *snapshot, guint which, GError **error)
{
  data->pool = job->pool;
  data->times_us[which] = snapshot->manifest->time_us;
  data->pinned[which] = pool_pin (job->pool, data->uuid, snapshot->manifest->number, error);
  return data->pinned[which];
}

static bool
deepen_run (Job *job, GError **error)
{
  Deepening *data = job->data;
  g_autoptr (GPtrArray) all = pool_snapshots (job->pool, job->guest->uuid);
  const Snapshot *to = find_newest (all, data->to);
  const Snapshot *from = to == NULL        ? NULL
                         : data->before_us ? find_before (all, to, data->before_us)
                         : data->from      ? find_newest (all, data->from)
                                           : find_listed (job, all, to->manifest->number);
  if (to == NULL)
    return true;
  data->to = to->manifest->number;
  if (!pin (job, data, to, 1, error))
    return false;
  if (from == NULL) {
    g_autoptr (json_object) summary = job_inspect_now (job, to->manifest, -1, error);
    return summary != NULL;
  }
  data->from = from->manifest->number;
  if (!pin (job, data, from, 0, error)
      || (data->difference = job_compare_now (job, from->manifest, to->manifest, error)) == NULL)
    return false;
  if (data->suspicion == SUSPICION_ENCRYPTED && !data->again)
    listing_judge_encrypted (data->difference, data->encrypting, data->findings);
  else
    listing_judge (data->difference, data->encrypting, data->findings);
  return true;
}

static void
tell_event (Job *job, const Deepening *data)
{
  json_object *event = describe_guest_event (job->guest);
  json_add_u64 (event, "from", data->from);
  json_add_u64 (event, "to", data->to);
  json_add_string (event, "level", level_name (findings_level (data->findings)));
  json_object_object_add (event, "findings", findings_to_json (data->findings));
  json_object_object_add (event, "losses", data->difference ? listing_excerpt (data->difference) : NULL);
  control_event (job->daemon->control, "INSPECTED", event);
}

static void
use_difference (Job *job)
{
  Deepening *data = job->data;
  const Guest *guest = job->guest;
  g_autofree char *summary = listing_summary (data->difference);
  g_message ("%s: from snapshot %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT ": %s", guest->name, data->from,
             data->to, summary);
  if (data->incident == NULL && findings_level (data->findings) < LEVEL_WARN)
    return;
  job->data_free = NULL;
  job_listed (job->daemon, job->guest, g_steal_pointer (&job->data));
}

static void
deepen_done (Job *job, const GError *error)
{
  const Deepening *data = job->data;
  Guest *guest = job->guest;
  guest->deepening = false;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  if (error)
    daemon_alarm_unlisted (job->daemon, guest, data->to, error->message);
  else
    tell_event (job, data);
  if (error == NULL && data->difference)
    use_difference (job);
  if (guest->deepen_owed)
    job_deepen (job->daemon, guest);
}

static void
start (Daemon *daemon, Guest *guest, Deepening *data)
{
  Job *job = job_new (daemon, guest, NULL);
  job->data = data;
  job->data_free = deepening_free;
  job->run = deepen_run;
  job->done = deepen_done;
  guest->deepening = job_start_slow (job);
}

static bool
is_wanted (const Guest *guest)
{
  return guest->policy && guest->pool && guest->policy->inspect == INSPECT_AUTO && !guest->deepening;
}

void
job_deepen (Daemon *daemon, Guest *guest)
{
  const Incident *incident = guest->incident;
  guest->deepen_owed = incident && guest->deepening;
  if (incident && is_wanted (guest))
    start (daemon, guest, deepening_new (guest, incident, incident->first_bad));
}

/* What is removed slowly is listed while it goes on, so what is worse may come. */
static bool
may_be_worse (const Guest *guest)
{
  return guest->incident == NULL || guest->incident->level < LEVEL_CRITICAL;
}

void
job_deepen_suspected (Daemon *daemon, Guest *guest, Suspicion suspicion, gint64 time_us)
{
  gint64 now = g_get_monotonic_time ();
  if (!may_be_worse (guest) || guest->policy == NULL || guest->policy->inspect != INSPECT_AUTO) {
    guest->suspect_us = 0;
    guest->suspicion = SUSPICION_NONE;
    return;
  }
  if (suspicion != SUSPICION_NONE && guest->suspect_us == 0)
    guest->suspect_us = time_us - TALLY_US;
  guest->suspicion = MAX (guest->suspicion, suspicion);
  if (guest->suspicion > guest->suspected) /* does not wait for what was milder */
    guest->suspect_due = MIN (guest->suspect_due, now);
  if (guest->suspect_us == 0 || now < guest->suspect_due || !is_wanted (guest))
    return;
  bool lasts = now - guest->suspect_due < (gint64)guest->suspect_pause_us;
  guest->suspect_pause_us
      = lasts ? MIN (2 * guest->suspect_pause_us, SUSPECT_PAUSE_MAX_US) : SUSPECT_PAUSE_US;
  guest->suspect_due = now + (gint64)guest->suspect_pause_us;
  Deepening *data = deepening_new (guest, guest->incident, 0);
  data->again = guest->incident != NULL;
  data->before_us = guest->incident ? 0 : guest->suspect_us; /* its good one is compared with, then */
  data->suspicion = guest->suspected = guest->suspicion;
  guest->suspect_us = 0;
  guest->suspicion = SUSPICION_NONE;
  start (daemon, guest, data);
}

gint64
job_deepen_when (const Guest *guest)
{
  return guest->suspect_us && is_wanted (guest) ? guest->suspect_due : G_MAXINT64;
}

void
job_deepen_scheduled (Daemon *daemon, Guest *guest)
{
  if ((guest->incident == NULL || guest->incident->listed) && is_wanted (guest))
    start (daemon, guest, deepening_new (guest, guest->incident, 0));
}
