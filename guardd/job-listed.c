/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of what two lists of files say: an incident is opened, raised or over. */
#define G_LOG_DOMAIN "guardd"
#include "deepening.h"

#include <string.h>

/* What went since a snapshot of long ago is what goes on any server. */
#define RAISE_SPAN_US ((gint64)86400 * G_USEC_PER_SEC)

Deepening *
deepening_new (const Guest *guest, const Incident *incident, guint64 to)
{
  Deepening *data = g_new0 (Deepening, 1);
  data->to = to;
  data->findings = findings_new ();
  data->problems = g_ptr_array_new_with_free_func (g_free);
  g_strlcpy (data->uuid, guest->uuid, sizeof data->uuid);
  if (incident) {
    data->incident = g_strdup (incident->id);
    data->from = incident->good;
    data->encrypting = incident_is_encrypting (incident);
    data->again = incident->listed;
  }
  return data;
}

void
deepening_free (gpointer opaque)
{
  Deepening *data = opaque;
  if (data->pinned[0])
    pool_unpin (data->pool, data->uuid, data->from);
  if (data->pinned[1])
    pool_unpin (data->pool, data->uuid, data->to);
  g_free (data->incident);
  json_object_put (data->difference);
  g_ptr_array_unref (data->findings);
  g_ptr_array_unref (data->problems);
  incident_free (data->over);
  g_free (data);
}

/* --- on the job's thread, which owns the watch --- */

/* What is there still, and told, is not told again. */
static void
add_news (Watch *watch, const Incident *open, Deepening *data)
{
  bool worse = findings_level (data->findings) > open->level
               && data->times_us[1] - data->times_us[0] <= RAISE_SPAN_US;
  bool first = findings_level (data->findings) >= LEVEL_WARN && !incident_has_lists (open);
  data->news = worse || first;
  if (data->news)
    watch_add_findings (watch, open->id, data->findings);
}

static void
judge_again (Watch *watch, const Incident *open, Deepening *data)
{
  bool same = open && strcmp (open->id, data->incident) == 0;
  if (same && findings_level (data->findings) >= LEVEL_WARN)
    add_news (watch, open, data);
  else if (data->suspicion == SUSPICION_NONE) /* else it goes on, and what is back may go again */
    data->over = watch_end_listed (watch, data->incident);
}

static bool
listed_run (Job *job, GError **error)
{
  Deepening *data = job->data;
  Watch *watch = job->guest->watch;
  const WatchListed listed = { data->from, data->to, data->times_us[0], data->times_us[1] };
  const Incident *open = watch_incident (watch);
  if (data->incident && data->again) {
    judge_again (watch, open, data);
  } else if (data->incident) {
    watch_add_findings (watch, data->incident, data->findings);
    data->news = true;                                                /* that nothing is gone is one, too */
  } else if (open && findings_level (data->findings) >= LEVEL_WARN) { /* opened meanwhile */
    data->incident = g_strdup (open->id);
    add_news (watch, open, data);
  } else if (findings_level (data->findings) >= LEVEL_WARN) {
    data->opened = data->news = watch_open_listed (watch, &listed, data->findings);
    data->incident = g_strdup (watch_incident (watch)->id);
  }
  if (data->opened)
    job_protect (job, data->problems);
  return true;
}

/* --- on the main thread --- */

static void
tell (Job *job, const Deepening *data, Level before)
{
  Guest *guest = job->guest;
  if (findings_level (data->findings) >= LEVEL_WARN)
    daemon_fleet_note (job->daemon, guest, findings_worst (data->findings)->rule);
  daemon_alarm_files (job->daemon, guest, data->incident, data->findings, data->difference);
  if (guest->incident->level == LEVEL_CRITICAL && before < LEVEL_CRITICAL)
    job_respond (job->daemon, guest);
}

static void
listed_done (Job *job, const GError *error)
{
  const Deepening *data = job->data;
  Guest *guest = job->guest;
  const Incident *incident = watch_incident (guest->watch);
  Level before = guest->incident ? guest->incident->level : LEVEL_OK;
  for (guint i = 0; i < data->problems->len; i++)
    g_warning ("%s: %s", guest->name, (const char *)data->problems->pdata[i]);
  incident_free (guest->incident);
  guest->incident = incident_copy (incident);
  if (data->over) {
    g_message ("%s: all files are back: alert %.8s is over", guest->name, data->over->id);
    daemon_alarm_over (job->daemon, guest, data->over);
  }
  if (data->news && incident && strcmp (incident->id, data->incident) == 0)
    tell (job, data, before);
  if (data->opened) {
    guest->suspect_due = g_get_monotonic_time (); /* what was listed may have been going on */
    job_deepen_suspected (job->daemon, guest, SUSPICION_NONE, 0);
  }
}

void
job_listed (Daemon *daemon, Guest *guest, Deepening *data)
{
  Job *job = job_new (daemon, guest, NULL);
  job->data = data;
  job->data_free = deepening_free;
  job->run = listed_run;
  job->done = listed_done;
  job_start_look (job);
}

typedef struct {
  guint64 number;
} RolledBack;

static bool
rolled_back_run (Job *job, GError **error)
{
  const RolledBack *data = job->data;
  watch_rolled_back (job->guest->watch, data->number);
  return true;
}

/* Looks at what is there after the rollback come later, and end it. */
static void
note_rolled_back (Daemon *daemon, Guest *guest, guint64 number)
{
  RolledBack *data = g_new0 (RolledBack, 1);
  data->number = number;
  Job *job = job_new (daemon, guest, NULL);
  job->data = data;
  job->data_free = g_free;
  job->run = rolled_back_run;
  job_start_look (job);
}

void
job_rolled_back (Daemon *daemon, Guest *guest, guint64 number)
{
  const Incident *incident = guest->incident;
  note_rolled_back (daemon, guest, number);
  if (incident == NULL || !incident->listed || number > incident->good)
    return;
  job_listed (daemon, guest, deepening_new (guest, incident, 0)); /* without a finding */
}
