/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "base/json.h"

#include "describe.h"
#include "job.h"
#include "schedule.h"

#define AGAIN_US (G_USEC_PER_SEC / 2)        /* when somebody is due and there is no slot */
#define MISSED_TOLD_US (60 * G_USEC_PER_SEC) /* between two reports of one guest */

/* --- what is due --- */

static gint
compare_due (gconstpointer a, gconstpointer b)
{
  gint64 x = (*(const Guest *const *)a)->due, y = (*(const Guest *const *)b)->due;
  return x < y ? -1 : x > y;
}

static GPtrArray *
guests_due (const Daemon *daemon, gint64 now)
{
  GPtrArray *due = g_ptr_array_new ();
  GHashTableIter iter;
  Guest *guest;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest))
    if (guest->due && guest->due <= now && guest->policy && guest->domain && !guest->unfinished)
      g_ptr_array_add (due, guest);
  g_ptr_array_sort (due, compare_due);
  return due;
}

static guint
slots_free (const Daemon *daemon, gint64 now)
{
  guint overdue = 0;
  for (guint i = 0; i < daemon->running->len; i++) {
    const Job *job = daemon->running->pdata[i];
    overdue += job->capture && now - job->started > SCHEDULE_SHARE_US;
  }
  return schedule_slots (daemon->config->parallel, daemon->captures, overdue);
}

/* Why an interval passed.  What was due and waited for nothing was looked at too late. */
static char *
missed_reason (const Guest *guest, gint64 now)
{
  if (guest->busy)
    return g_strdup_printf ("the snapshot before it has been under way for %.1f s",
                            (double)(now - guest->busy->started) / G_USEC_PER_SEC);
  return g_strdup (guest->waits_for ? guest->waits_for : "libvirt was away, or the host left guardd no time");
}

static void
guest_missed (Daemon *daemon, Guest *guest, guint64 missed, gint64 now)
{
  guest->missed += missed;
  if (missed == 0 || (guest->missed_told && now - guest->missed_told < MISSED_TOLD_US))
    return;
  guest->missed_told = now;
  g_autofree char *reason = missed_reason (guest, now);
  json_object *event = describe_guest_event (guest);
  json_add_u64 (event, "missed", missed);
  json_add_string (event, "reason", reason);
  control_event (daemon->control, "INTERVAL_MISSED", event);
  g_message ("%s: %" G_GUINT64_FORMAT " intervals passed without a snapshot: %s (%" G_GUINT64_FORMAT
             " since the start of guardd)",
             guest->name, missed, reason, guest->missed);
}

static void
guest_advance (Daemon *daemon, Guest *guest, gint64 now, bool taken)
{
  guint64 missed = 0;
  guest->due = schedule_next (guest->due, daemon_guest_interval (guest), now, &missed);
  guest_missed (daemon, guest, missed + (taken ? 0 : 1), now);
  guest->waits_for = NULL;
}

static void
guest_start (Daemon *daemon, Guest *guest)
{
  bool off = guest->shutdown_due && !domain_is_active (guest->domain);
  guest->shutdown_due = false;
  job_start (job_capture_new (daemon, guest, off ? "shutdown" : "schedule", NULL, NULL));
}

/* What is due waits for the end of a sweep or a rollback, and what a shutdown left for that of a capture:
 * with an interval of a week it would else come a week later. */
static bool
guest_is_kept (const Guest *guest)
{
  return guest->busy && (!guest->busy->capture || guest->shutdown_due);
}

/* False: no slot; somebody waits. */
static bool
schedule_run_due (Daemon *daemon, gint64 now)
{
  g_autoptr (GPtrArray) due = guests_due (daemon, now);
  guint slots = slots_free (daemon, now);
  bool waiting = false;
  for (guint i = 0; i < due->len; i++) {
    Guest *guest = due->pdata[i];
    if (guest_is_kept (guest))
      guest->waits_for = "what else was done with the guest (a sweep, a rollback) went first";
    else if (guest->busy && !waiting)
      guest_advance (daemon, guest, now, false);
    else if (slots == 0) {
      guest->waits_for = "as many snapshots as \"parallel\" allows were being taken of other guests";
      waiting = true;
    } else {
      slots--;
      guest_advance (daemon, guest, now, true);
      guest_start (daemon, guest);
    }
  }
  return !waiting;
}

/* The slow look at all files.  Spread over the interval: not all guests of a host after its start. */
static void
inspections_run_due (Daemon *daemon, gint64 now)
{
  GHashTableIter iter;
  Guest *guest;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest)) {
    gint64 every = guest->policy ? (gint64)guest->policy->inspect_every_us : 0;
    if (job_deepen_when (guest) <= now)
      job_deepen_suspected (daemon, guest, SUSPICION_NONE, 0);
    if (every == 0)
      guest->inspect_due = 0;
    else if (guest->inspect_due == 0)
      guest->inspect_due
          = now + every / 2 + (gint64)(g_str_hash (guest->uuid) / (double)G_MAXUINT * (double)every / 2);
    else if (guest->inspect_due <= now) {
      guest->inspect_due = now + every;
      job_deepen_scheduled (daemon, guest);
    }
  }
}

static gint64
schedule_next_due (const Daemon *daemon)
{
  gint64 next = G_MAXINT64;
  GHashTableIter iter;
  const Guest *guest;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest)) {
    if (guest->due && guest->policy && guest->domain && !guest->unfinished && !guest_is_kept (guest))
      next = MIN (next, guest->due);
    if (guest->inspect_due)
      next = MIN (next, guest->inspect_due);
    next = MIN (next, job_deepen_when (guest));
  }
  return next;
}

static gboolean
schedule_tick (gpointer data)
{
  Daemon *daemon = data;
  daemon->tick = 0;
  daemon_schedule (daemon);
  return G_SOURCE_REMOVE;
}

void
daemon_schedule (Daemon *daemon)
{
  if (daemon->tick)
    g_source_remove (daemon->tick);
  daemon->tick = 0;
  /* Without libvirt nobody knows which guests run.  Looked at again, and counted, when it is back. */
  if (daemon->stopping || !daemon->libvirt_connected)
    return;
  gint64 now = g_get_monotonic_time ();
  bool all = schedule_run_due (daemon, now);
  inspections_run_due (daemon, now);
  gint64 sweep = job_sweep_due (daemon, now);
  gint64 next = MIN (sweep, all ? schedule_next_due (daemon) : now + AGAIN_US);
  if (next == G_MAXINT64)
    return;
  now = g_get_monotonic_time ();
  /* Rounded up: a tick that comes early finds nothing due. */
  daemon->tick = g_timeout_add ((guint)(MAX (0, next - now) / 1000 + 1), schedule_tick, daemon);
}

/* --- pruning --- */

#define PRUNE_DELAY_SECONDS 10

typedef struct {
  char *uuid, *name;
  Pool *pool;
  const Retention
      *keep;       /* the configuration's, which outlives every job; NULL: remove none, keep chains short */
  GArray *removed; /* guint64 */
  bool filling;    /* the storage wants more removed, and nothing more may be */
} Prune;

static void
prune_free (gpointer data)
{
  Prune *prune = data;
  g_free (prune->uuid);
  g_free (prune->name);
  g_array_unref (prune->removed);
  g_free (prune);
}

/* Both ascend. */
static void
note_removed (Prune *prune, const GArray *before, const GArray *after)
{
  for (guint i = 0, left = 0; i < before->len; i++) {
    guint64 number = g_array_index (before, guint64, i);
    while (left < after->len && g_array_index (after, guint64, left) < number)
      left++;
    if (left == after->len || g_array_index (after, guint64, left) != number)
      g_array_append_val (prune->removed, number);
  }
}

static bool
prune_one (Prune *prune, GCancellable *cancellable, GError **error)
{
  guint64 removed = 0;
  if (prune->keep == NULL)
    return pool_delete (prune->pool, prune->uuid, NULL, 0, false, cancellable, error);
  g_autoptr (GArray) before = pool_numbers (prune->pool, prune->uuid);
  if (!pool_prune (prune->pool, prune->uuid, prune->keep, g_get_real_time (), &removed, cancellable, error))
    return false;
  if (!pool_make_room (prune->pool, prune->uuid, &removed, cancellable, error))
    return false;
  if (removed > 0)
    g_warning ("%s: the storage of pool %s is filling: %" G_GUINT64_FORMAT
               " of its oldest snapshots were removed before their time",
               prune->name, pool_name (prune->pool), removed);
  prune->filling = pool_is_filling (prune->pool);
  g_autoptr (GArray) after = pool_numbers (prune->pool, prune->uuid);
  note_removed (prune, before, after);
  return true;
}

static bool
prune_run (Job *job, GError **error)
{
  GPtrArray *list = job->data;
  for (guint i = 0; i < list->len; i++) {
    g_autoptr (GError) failure = NULL;
    if (g_cancellable_set_error_if_cancelled (job->cancellable, error))
      return false;
    /* One that fails must not keep the others from being pruned. */
    if (!prune_one (list->pdata[i], job->cancellable, &failure))
      g_warning ("%s: pruning failed: %s", ((const Prune *)list->pdata[i])->name, failure->message);
  }
  return true;
}

static void
prune_told (Daemon *daemon, const Prune *prune)
{
  Guest *guest = g_hash_table_lookup (daemon->guests, prune->uuid);
  if (guest == NULL || guest->pool != prune->pool)
    return;
  if (prune->filling)
    daemon_alarm_full (daemon, guest,
                       "its storage wants snapshots removed before their time, and of this guest none may go "
                       "(held, evidence, the newest, the last good one): release some, or enlarge it");
  else
    daemon_alarm_full_over (daemon, guest);
}

static void
prune_done (Job *job, const GError *error)
{
  GPtrArray *list = job->data;
  job->daemon->pruning = false;
  for (guint i = 0; i < list->len; i++) {
    const Prune *prune = list->pdata[i];
    prune_told (job->daemon, prune);
    if (prune->removed->len == 0)
      continue;
    json_object *event = json_object_new_object (), *numbers = json_object_new_array ();
    for (guint n = 0; n < prune->removed->len; n++)
      json_object_array_add (numbers,
                             json_object_new_int64 ((gint64)g_array_index (prune->removed, guint64, n)));
    json_add_string (event, "domain", prune->name);
    json_add_string (event, "uuid", prune->uuid);
    json_object_object_add (event, "numbers", numbers);
    control_event (job->daemon->control, "SNAPSHOT_DELETED", event);
  }
}

static gboolean
prune_tick (gpointer data)
{
  Daemon *daemon = data;
  GPtrArray *list = g_ptr_array_new_with_free_func (prune_free);
  GHashTableIter iter;
  const char *uuid;
  g_hash_table_iter_init (&iter, daemon->prunes);
  while (!daemon->pruning && g_hash_table_iter_next (&iter, (gpointer *)&uuid, NULL)) {
    const Guest *guest = g_hash_table_lookup (daemon->guests, uuid);
    if (guest && guest->pool) {
      bool frozen = daemon_is_frozen (daemon, guest);
      Prune *prune = g_new0 (Prune, 1);
      *prune = (Prune){ g_strdup (guest->uuid),
                        g_strdup (guest->name),
                        guest->pool,
                        guest->policy && !frozen ? guest->policy->keep : NULL,
                        g_array_new (FALSE, FALSE, sizeof (guint64)),
                        false };
      g_ptr_array_add (list, prune);
    }
    g_hash_table_iter_remove (&iter);
  }
  if (list->len == 0 || daemon->stopping) {
    g_ptr_array_unref (list);
    return G_SOURCE_CONTINUE;
  }
  Job *job = job_new (daemon, NULL, NULL);
  job->data = list;
  job->data_free = (GDestroyNotify)g_ptr_array_unref;
  job->run = prune_run;
  job->done = prune_done;
  daemon->pruning = true;
  job_start_beside (job);
  return G_SOURCE_CONTINUE;
}

void
daemon_prune_soon (Daemon *daemon, const char *uuid)
{
  if (daemon->prunes == NULL) {
    daemon->prunes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    g_timeout_add_seconds (PRUNE_DELAY_SECONDS, prune_tick, daemon);
  }
  g_hash_table_add (daemon->prunes, g_strdup (uuid));
}
