/* SPDX-License-Identifier: GPL-2.0-or-later */
/* On suspicion, and on a slow schedule: which files are gone or encrypted, by the inspector. */
#define G_LOG_DOMAIN "guardd"
#include "job-inspect.h"

#include "base/json.h"

#include "describe.h"
#include "listing.h"
#include "tally.h"

#include <string.h>

/* Between two inspections of a guest on suspicion: twice as long each time, while it lasts. */
#define SUSPECT_PAUSE_US ((guint64)60 * G_USEC_PER_SEC)
#define SUSPECT_PAUSE_MAX_US ((guint64)3600 * G_USEC_PER_SEC)

typedef struct {
  char *incident;  /* the one that is looked into; NULL: by schedule */
  bool encrypting; /* what it has found so far */
  bool again;      /* lists were told of it: whether all is back, or worse, is asked */
  Suspicion suspicion;
  gint64 before_us;        /* suspected: the newest snapshot of before is compared with; 0: not suspected */
  guint64 from, to;        /* numbers; from 0: the newest older one that has a list; to 0: the newest */
  gint64 times_us[2];      /* theirs */
  json_object *difference; /* NULL: there is nothing to compare with */
  GPtrArray *findings;
  GPtrArray *problems; /* sentences for the log */
  bool opened;         /* an incident, by schedule or on suspicion */
  bool raised;         /* the incident's level */
  Incident *over;      /* the incident that has ended; NULL: none */
} Deepening;

static void
deepening_free (gpointer opaque)
{
  Deepening *data = opaque;
  g_free (data->incident);
  json_object_put (data->difference);
  g_ptr_array_unref (data->findings);
  g_ptr_array_unref (data->problems);
  incident_free (data->over);
  g_free (data);
}

static bool
is_encrypting (const Incident *incident)
{
  for (guint i = 0; i < incident->findings->len; i++) {
    const Finding *finding = incident->findings->pdata[i];
    if (strcmp (finding->rule, "encryption") == 0 || strcmp (finding->rule, "partial-encryption") == 0)
      return true;
  }
  return false;
}

/* incident NULL: by schedule. */
static Deepening *
deepening_new (const Incident *incident, guint64 to)
{
  Deepening *data = g_new0 (Deepening, 1);
  data->to = to;
  data->findings = findings_new ();
  data->problems = g_ptr_array_new_with_free_func (g_free);
  if (incident) {
    data->incident = g_strdup (incident->id);
    data->from = incident->good;
    data->encrypting = is_encrypting (incident);
    data->again = incident_is_listed (incident);
  }
  return data;
}

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
  if (from == NULL) {
    g_autoptr (json_object) summary = job_inspect_now (job, to->manifest, -1, error);
    return summary != NULL;
  }
  data->from = from->manifest->number;
  data->times_us[0] = from->manifest->time_us;
  data->times_us[1] = to->manifest->time_us;
  data->difference = job_compare_now (job, from->manifest, to->manifest, error);
  if (data->difference == NULL)
    return false;
  if (data->suspicion == SUSPICION_ENCRYPTED && !data->again)
    listing_judge_encrypted (data->difference, data->encrypting, data->findings);
  else
    listing_judge (data->difference, data->encrypting, data->findings);
  return true;
}

/* --- what becomes of it --- */

/* What is there still, and told, is not told again. */
static void
raise_again (Watch *watch, Deepening *data)
{
  const Incident *open = watch_incident (watch);
  bool same = open && strcmp (open->id, data->incident) == 0;
  if (findings_level (data->findings) < LEVEL_WARN)
    data->over = watch_end_listed (watch, data->incident);
  else if (same && findings_level (data->findings) > open->level) {
    watch_add_findings (watch, data->incident, data->findings);
    data->raised = true;
  }
}

/* Owns the watch: what the files say belongs to the incident, if that is still open, or makes one. */
static bool
raise_run (Job *job, GError **error)
{
  Deepening *data = job->data;
  Guest *guest = job->guest;
  const WatchListed listed = { data->from, data->to, data->times_us[0], data->times_us[1] };
  const Incident *open = watch_incident (guest->watch);
  if (data->incident == NULL && open && incident_is_listed (open)) {
    data->incident = g_strdup (open->id);
    data->again = true; /* an earlier guardd has told it */
  } else if (data->again) {
    raise_again (guest->watch, data);
  } else if (data->incident) {
    watch_add_findings (guest->watch, data->incident, data->findings);
  } else {
    data->opened = watch_open_listed (guest->watch, &listed, data->findings);
    data->incident = g_strdup (watch_incident (guest->watch)->id);
  }
  if (data->opened)
    job_protect (job, data->problems);
  return true;
}

static void
raise_done (Job *job, const GError *error)
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
  /* All may be as it was again, or still as it was told. */
  if ((data->again && !data->raised) || incident == NULL || strcmp (incident->id, data->incident) != 0)
    return;
  if (data->opened)
    guest->suspect_due = 0; /* what was listed may have been going on */
  if (data->opened || data->raised)
    daemon_fleet_note (job->daemon, guest, findings_worst (data->findings)->rule);
  daemon_alarm_files (job->daemon, guest, data->incident, data->findings, data->difference);
  if (guest->incident->level == LEVEL_CRITICAL && before < LEVEL_CRITICAL)
    job_respond (job->daemon, guest);
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
deepen_done (Job *job, const GError *error)
{
  Deepening *data = job->data;
  Guest *guest = job->guest;
  guest->deepening = false;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  if (error) {
    daemon_alarm_unlisted (job->daemon, guest, data->to, error->message);
    return;
  }
  tell_event (job, data);
  if (data->difference == NULL)
    return;
  g_autofree char *summary = listing_summary (data->difference);
  g_message ("%s: from snapshot %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT ": %s", guest->name, data->from,
             data->to, summary);
  if (data->incident == NULL && findings_level (data->findings) < LEVEL_WARN)
    return;
  Job *next = job_new (job->daemon, guest, NULL);
  next->data = g_steal_pointer (&job->data);
  next->data_free = deepening_free;
  job->data_free = NULL;
  next->run = raise_run;
  next->done = raise_done;
  job_start_look (next);
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
  if (incident && is_wanted (guest))
    start (daemon, guest, deepening_new (incident, incident->first_bad));
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
  Deepening *data = deepening_new (guest->incident, 0);
  data->again = guest->incident != NULL;
  data->before_us = guest->incident ? 0 : guest->suspect_us; /* its good one is compared with, then */
  data->suspicion = guest->suspected = guest->suspicion;
  guest->suspect_us = 0;
  guest->suspicion = SUSPICION_NONE;
  start (daemon, guest, data);
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
  if (incident == NULL || !incident_is_listed (incident) || number > incident->good)
    return;
  Job *job = job_new (daemon, guest, NULL);
  job->data = deepening_new (incident, 0); /* without a finding */
  job->data_free = deepening_free;
  job->run = raise_run;
  job->done = raise_done;
  job_start_look (job);
}

void
job_deepen_scheduled (Daemon *daemon, Guest *guest)
{
  if ((guest->incident == NULL || incident_is_listed (guest->incident)) && is_wanted (guest))
    start (daemon, guest, deepening_new (guest->incident, 0));
}
