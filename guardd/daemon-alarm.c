/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "base/json.h"
#include "base/text.h"
#include "base/units.h"

#include "describe.h"
#include "job.h"
#include "listing.h"

#include <string.h>
#include <unistd.h>

/* Bytes: what a person reads on a telephone, and what a chat takes. */
#define SUMMARY_MAX 500u
#define WORST_MAX 350u /* leaves room for what is said behind it */
#define UNTOLD_MAX 64u
#define UNTOLD_AGAIN_US (10 * G_USEC_PER_SEC)

/* Takes it over. */
static void
keep_untold (Daemon *daemon, Alert *alert, const GError *why)
{
  bool kept = g_queue_get_length (&daemon->untold) < UNTOLD_MAX;
  g_warning ("%s: alert %.8s could not be stored and %s: %s", alert->domain, alert->id,
             kept ? "is tried again in a while" : "reaches nobody", why->message);
  daemon->untold_due = g_get_monotonic_time () + UNTOLD_AGAIN_US;
  if (kept)
    g_queue_push_tail (&daemon->untold, alert);
  else
    alert_free (alert);
}

void
daemon_alarm_again (Daemon *daemon)
{
  g_autoptr (GError) error = NULL;
  while (!g_queue_is_empty (&daemon->untold) && g_get_monotonic_time () >= daemon->untold_due) {
    if (alerts_raise (daemon->alerts, g_queue_peek_head (&daemon->untold), &error))
      alert_free (g_queue_pop_head (&daemon->untold));
    else
      daemon->untold_due = g_get_monotonic_time () + UNTOLD_AGAIN_US;
    g_clear_error (&error);
  }
}

/* Takes id and summary; incident NULL: about something else; losses NULL: not known. */
static void
tell_as (char *id, Daemon *daemon, const Guest *guest, const char *level, char *summary,
         const Incident *incident, json_object *losses)
{
  g_autoptr (Alert) alert = g_new0 (Alert, 1);
  g_autoptr (GError) error = NULL;
  alert->id = id;
  alert->incident = g_strdup (incident ? incident->id : NULL);
  alert->uuid = g_strdup (guest->uuid);
  alert->domain = g_strdup (guest->name);
  alert->level = g_strdup (level);
  g_autofree char *words = summary; /* with names that the guest chose */
  alert->summary = text_to_line (words, SUMMARY_MAX);
  g_autofree char *quoted = g_shell_quote (guest->name);
  bool plain = strspn (guest->name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-") == strlen (guest->name);
  alert->rollback = incident && incident->good
                        ? g_strdup_printf ("guardsh rollback %s %" G_GUINT64_FORMAT,
                                           plain ? guest->name : quoted, incident->good)
                        : g_strdup ("");
  alert->time_us = g_get_real_time ();
  g_autoptr (json_object) body = describe_alarm (alert, guest->blind_spots, incident, losses);
  alert->json = g_strdup (
      json_object_to_json_string_ext (body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
  g_warning ("%s: ALERT %.8s: %s: %s%s%s", guest->name, alert->id, level, alert->summary,
             alert->rollback[0] ? "; " : "", alert->rollback);
  if (!alerts_raise (daemon->alerts, alert, &error))
    keep_untold (daemon, g_steal_pointer (&alert), error);
  control_event (daemon->control, "ALERT", json_object_get (body));
}

static void
tell (Daemon *daemon, const Guest *guest, const char *level, char *summary, const Incident *incident,
      json_object *losses)
{
  tell_as (g_uuid_string_random (), daemon, guest, level, summary, incident, losses);
}

void
daemon_alarm (Daemon *daemon, Guest *guest)
{
  Incident *incident = guest->incident;
  if (incident == NULL)
    return;
  const Finding *worst = findings_worst (incident->findings);
  guint others = incident->findings->len - 1, guests = daemon_fleet_note (daemon, guest, worst->rule);
  g_autofree char *text = text_to_line (worst->text, WORST_MAX);
  GString *summary = g_string_new (text);
  if (others)
    g_string_append_printf (summary, " (and %u more findings)", others);
  if (guests) {
    g_string_append_printf (summary,
                            "; the same was found on %u other guests within an hour: no guest of this host "
                            "is safe",
                            guests);
    incident->level = LEVEL_CRITICAL;
  }
  tell (daemon, guest, level_name (incident->level), g_string_free (summary, FALSE), incident, NULL);
  if (incident->level == LEVEL_CRITICAL)
    job_respond (daemon, guest);
}

void
daemon_alarm_untold (Daemon *daemon)
{
  GHashTableIter iter;
  Guest *guest;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest)) {
    g_autoptr (GError) error = NULL;
    bool told = false;
    if (guest->incident == NULL)
      continue;
    if (!alert_store_knows (alerts_store (daemon->alerts), guest->incident->id,
                            level_name (guest->incident->level), &told, &error))
      g_warning ("%s: %s: its open incident %.8s is told again", guest->name, error->message,
                 guest->incident->id);
    if (!told)
      daemon_alarm (daemon, guest);
  }
}

void
daemon_alarm_over (Daemon *daemon, const Guest *guest, const Incident *incident)
{
  g_autoptr (GError) error = NULL;
  if (!alert_store_resolve (alerts_store (daemon->alerts), incident->id, "recovered", NULL, &error))
    g_warning ("%s: %s; its alerts stay open, ignoring", guest->name, error->message);
}

void
daemon_alarm_files (Daemon *daemon, Guest *guest, const char *incident, const GPtrArray *findings,
                    json_object *difference)
{
  const Incident *open
      = guest->incident && g_strcmp0 (guest->incident->id, incident) == 0 ? guest->incident : NULL;
  Level level = MAX (findings_level (findings), open ? open->level : LEVEL_OK);
  g_autoptr (json_object) losses = listing_excerpt (difference);
  g_autofree char *gone = listing_summary (difference);
  const Finding *worst = findings_worst (findings);
  if (incident && findings_level (findings) < LEVEL_WARN)
    level = MIN (level, LEVEL_INFO); /* nothing that the alert before has not said */
  tell (daemon, guest, level_name (level),
        g_strdup (worst && worst->level >= LEVEL_WARN ? worst->text : gone), open, losses);
}

void
daemon_alarm_unlisted (Daemon *daemon, Guest *guest, guint64 number, const char *why)
{
  tell (daemon, guest, level_name (LEVEL_BLIND),
        g_strdup_printf ("the files of snapshot %" G_GUINT64_FORMAT " could not be listed: %s", number, why),
        guest->incident, NULL);
}

void
daemon_alarm_response (Daemon *daemon, Guest *guest, const char *incident, const char *outcome)
{
  bool open = guest->incident && g_strcmp0 (guest->incident->id, incident) == 0;
  tell (daemon, guest, level_name (LEVEL_CRITICAL), g_strdup_printf ("on_critical: %s", outcome),
        open ? guest->incident : NULL, NULL);
}

void
daemon_alarm_blind (Daemon *daemon, Guest *guest, const Finding *why)
{
  tell (daemon, guest, level_name (LEVEL_BLIND),
        g_strdup_printf ("%u snapshots in a row could not be looked at: %s", guest->blind,
                         why ? why->text : "no reason is known"),
        NULL, NULL);
}

void
daemon_alarm_silent (Daemon *daemon, Guest *guest, const char *why)
{
  tell (daemon, guest, level_name (LEVEL_BLIND), g_strdup (why), NULL, NULL);
}

void
daemon_alarm_stale (Daemon *daemon, Guest *guest)
{
  tell (daemon, guest, level_name (LEVEL_BLIND),
        g_strdup_printf ("no snapshot for %u attempts: %s", guest->failures,
                         guest->last_error ? guest->last_error : "no reason is known"),
        NULL, NULL);
}

/* Of the same pool, and full as well; NULL: none. */
static Guest *
find_full (const Daemon *daemon, const Guest *guest)
{
  GHashTableIter iter;
  Guest *other;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&other))
    if (other != guest && other->pool == guest->pool && other->full)
      return other;
  return NULL;
}

void
daemon_alarm_full (Daemon *daemon, Guest *guest, const char *why)
{
  if (guest->full)
    return;
  bool told = find_full (daemon, guest) != NULL;
  guest->full = told ? g_strdup ("") : g_uuid_string_random ();
  if (!told)
    tell_as (g_strdup (guest->full), daemon, guest, level_name (LEVEL_BLIND),
             g_strdup_printf ("pool %s is full: %s", pool_name (guest->pool), why), NULL, NULL);
}

void
daemon_alarm_full_over (Daemon *daemon, Guest *guest)
{
  g_autoptr (GError) error = NULL;
  if (guest->full == NULL || guest->failures > 0 || pool_is_filling (guest->pool))
    return;
  g_autofree char *id = g_steal_pointer (&guest->full);
  Guest *heir = *id ? find_full (daemon, guest) : NULL;
  if (heir) {
    g_free (heir->full);
    heir->full = g_steal_pointer (&id);
  } else if (*id && !alert_store_resolve (alerts_store (daemon->alerts), id, "recovered", NULL, &error)) {
    g_warning ("%s: %s; the alert that its pool is full stays open, ignoring", guest->name, error->message);
  }
}
