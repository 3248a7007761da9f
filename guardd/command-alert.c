/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/json.h"
#include "base/units.h"

#include "commands.h"
#include "describe.h"
#include "job.h"

#include <string.h>

#define LIST_MAX 1000u

static json_object *
alert_to_json (const Alert *alert)
{
  json_object *object = json_object_new_object ();
  g_autofree char *time = time_format (alert->time_us);
  json_add_string (object, "id", alert->id);
  json_add_string (object, "time", time);
  json_add_string (object, "level", alert->level);
  json_add_string (object, "domain", alert->domain);
  json_add_string (object, "uuid", alert->uuid);
  json_add_string (object, "summary", alert->summary);
  json_add_string (object, "rollback", alert->rollback[0] ? alert->rollback : NULL);
  json_add_string (object, "resolved", alert->resolved);
  json_add_string (object, "reason", alert->reason);
  json_add_u64 (object, "undelivered", alert->undelivered);
  return object;
}

void
command_alert_list (ControlCall *call)
{
  Daemon *daemon = control_call_opaque (call);
  g_autoptr (GError) error = NULL;
  const Guest *guest = NULL;
  if (control_call_has (call, "domain") && (guest = command_guest (call)) == NULL)
    return;
  g_autoptr (GPtrArray) alerts
      = alert_store_list (alerts_store (daemon->alerts), guest ? guest->uuid : NULL, LIST_MAX, &error);
  if (alerts == NULL) {
    control_call_error (call, error);
    return;
  }
  json_object *answer = json_object_new_object (), *array = json_object_new_array ();
  for (guint i = 0; i < alerts->len; i++)
    json_object_array_add (array, alert_to_json (alerts->pdata[i]));
  json_object_object_add (answer, "alerts", array);
  control_call_return (call, answer);
}

/* NULL: answered already. */
static Alert *
find_alert (ControlCall *call)
{
  Daemon *daemon = control_call_opaque (call);
  g_autoptr (GError) error = NULL;
  Alert *alert
      = alert_store_find (alerts_store (daemon->alerts), control_call_string (call, "alert"), &error);
  if (alert == NULL)
    control_call_error (call, error);
  return alert;
}

void
command_alert_info (ControlCall *call)
{
  g_autoptr (Alert) alert = find_alert (call);
  if (alert == NULL)
    return;
  json_object *answer = alert_to_json (alert);
  g_autoptr (json_object) body = json_parse (alert->id, alert->json, strlen (alert->json), NULL);
  json_object_object_add (answer, "alert", g_steal_pointer (&body));
  control_call_return (call, answer);
}

/* --- ack --- */

typedef struct {
  char *incident;
  GPtrArray *findings; /* Finding: of the alert */
  GPtrArray *reliefs;  /* Relief: as they are then */
} ForgetData;

static void
forget_data_free (gpointer opaque)
{
  ForgetData *data = opaque;
  g_free (data->incident);
  g_ptr_array_unref (data->findings);
  g_clear_pointer (&data->reliefs, g_ptr_array_unref);
  g_free (data);
}

static bool
forget_run (Job *job, GError **error)
{
  Guest *guest = job->guest;
  ForgetData *data = job->data;
  gint64 now = g_get_real_time ();
  watch_false_positive (guest->watch, data->incident, data->findings, now);
  data->reliefs = watch_reliefs (guest->watch, now);
  return true;
}

static void
forget_done (Job *job, const GError *error)
{
  Guest *guest = job->guest;
  ForgetData *data = job->data;
  if (data->reliefs) {
    g_clear_pointer (&guest->reliefs, g_ptr_array_unref);
    guest->reliefs = g_steal_pointer (&data->reliefs);
  }
  if (guest->incident && strcmp (guest->incident->id, data->incident) == 0) {
    g_clear_pointer (&guest->incident, incident_free);
    guest->level = LEVEL_OK;
  }
}

/* Of an alert that a person has answered already, nothing is relieved. */
static GPtrArray *
alert_findings (const Alert *alert)
{
  g_autoptr (json_object) body = json_parse (alert->id, alert->json, strlen (alert->json), NULL);
  json_object *array;
  GPtrArray *findings = NULL;
  bool answered = alert->resolved && strcmp (alert->resolved, "recovered") != 0;
  if (!answered && body && json_get_array (body, "findings", &array, NULL))
    findings = findings_from_json (array, NULL);
  return findings ? findings : findings_new ();
}

/* What is there now is what is normal: on a job, since the watch belongs to one at a time. */
static void
forget (ControlCall *call, Daemon *daemon, const Alert *alert)
{
  Guest *guest = g_hash_table_lookup (daemon->guests, alert->uuid);
  if (guest == NULL || alert->incident == NULL) {
    control_call_return (call, NULL);
    return;
  }
  Job *job = job_new (daemon, guest, call);
  ForgetData *data = g_new0 (ForgetData, 1);
  *data = (ForgetData){ g_strdup (alert->incident), alert_findings (alert), NULL };
  job->data = data;
  job->data_free = forget_data_free;
  job->run = forget_run;
  job->done = forget_done;
  job_start_look (job);
}

void
command_alert_ack (ControlCall *call)
{
  Daemon *daemon = control_call_opaque (call);
  const char *as = control_call_string (call, "as");
  g_autoptr (GError) error = NULL;
  if (strcmp (as, "real") != 0 && strcmp (as, "false-positive") != 0) {
    control_call_fail (call, "InvalidArgument", "\"%s\": an alert is \"real\" or a \"false-positive\"", as);
    return;
  }
  g_autoptr (Alert) alert = find_alert (call);
  if (alert == NULL)
    return;
  const char *incident = alert->incident ? alert->incident : alert->id;
  if (!alert_store_resolve (alerts_store (daemon->alerts), incident, as, control_call_string (call, "reason"),
                            &error))
    control_call_error (call, error);
  else if (strcmp (as, "false-positive") == 0)
    forget (call, daemon, alert);
  else
    control_call_return (call, NULL);
}

void
command_alert_test (ControlCall *call)
{
  Daemon *daemon = control_call_opaque (call);
  g_autoptr (GError) error = NULL;
  g_autoptr (Alert) alert = g_new0 (Alert, 1);
  alert->id = g_uuid_string_random ();
  alert->uuid = g_strdup ("");
  alert->domain = g_strdup ("(test)");
  alert->level = g_strdup ("info");
  alert->summary = g_strdup ("This is a test of guardd's alerts: nothing has happened.");
  alert->rollback = g_strdup ("");
  alert->time_us = g_get_real_time ();
  g_autoptr (json_object) body = describe_alarm (alert, NULL, NULL, NULL);
  alert->json = g_strdup (json_object_to_json_string_ext (body, JSON_C_TO_STRING_PLAIN));
  if (alerts_raise_by (daemon->alerts, alert, control_call_string (call, "channel"), &error))
    control_call_return (call, alert_to_json (alert));
  else
    control_call_error (call, error);
}
