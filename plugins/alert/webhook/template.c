/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "template.h"

#include <json-c/json.h>
#include <string.h>
#include <time.h>

#define SHOWN_SECONDS (24 * 60 * 60)

static const char *const names[TEMPLATES] = {
  [TEMPLATE_GENERIC] = "generic",
  [TEMPLATE_SLACK] = "slack",
  [TEMPLATE_ALERTMANAGER] = "alertmanager",
};

enum template template_find (const char *name)
{
  unsigned i = 0;
  while (i < TEMPLATES && strcmp (names[i], name) != 0)
    i++;
  return (enum template)i;
}

/* What a Slack message takes for its own: "&", "<", ">" (Slack API, "Escaping text").  Cut between
 * characters. */
static void
append_escaped (const char *text, char *to, size_t size)
{
  size_t n = strlen (to);
  while (*text) {
    const char *as = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : text;
    size_t length = 1;
    while ((text[length] & 0xc0) == 0x80)
      length++;
    size_t bytes = as == text ? length : strlen (as);
    if (n + bytes >= size)
      break;
    memcpy (to + n, as, bytes);
    n += bytes;
    text += length;
  }
  to[n] = '\0';
}

/* The way back before the summary, which is the one that may be cut. */
static struct json_object *
slack (const struct guardd_alert *alert)
{
  char text[4096] = ":rotating_light: *guardd* ";
  struct json_object *object = json_object_new_object ();
  append_escaped (alert->level, text, sizeof text);
  append_escaped (": ", text, sizeof text);
  append_escaped (alert->domain, text, sizeof text);
  if (alert->rollback[0]) {
    append_escaped ("\nBring it back: `", text, sizeof text);
    append_escaped (alert->rollback, text, sizeof text);
    append_escaped ("`", text, sizeof text);
  }
  append_escaped (alert->rollback[0] ? "\n" : ": ", text, sizeof text);
  append_escaped (alert->summary, text, sizeof text);
  json_object_object_add (object, "text", json_object_new_string (text));
  return object;
}

static void
add (struct json_object *object, const char *key, const char *value)
{
  json_object_object_add (object, key, json_object_new_string (value));
}

static void
add_time (struct json_object *object, const char *key, time_t seconds)
{
  struct tm utc;
  char text[32];
  gmtime_r (&seconds, &utc);
  strftime (text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  add (object, key, text);
}

/* Prometheus Alertmanager's API v2, POST /api/v2/alerts: an array of alerts.  Without an end, one that is not
 * sent again is over for it after its resolve_timeout, which is five minutes. */
static struct json_object *
alertmanager (const struct guardd_alert *alert)
{
  struct json_object *array = json_object_new_array (), *entry = json_object_new_object ();
  struct json_object *labels = json_object_new_object (), *annotations = json_object_new_object ();
  add (labels, "alertname", "GuarddAlert");
  add (labels, "severity", strcmp (alert->level, "critical") == 0 ? "critical" : "warning");
  add (labels, "domain", alert->domain);
  add (labels, "alert_id", alert->id);
  add (annotations, "summary", alert->summary);
  add (annotations, "rollback", alert->rollback);
  json_object_object_add (entry, "labels", labels);
  json_object_object_add (entry, "annotations", annotations);
  add_time (entry, "startsAt", (time_t)(alert->time_us / 1000000));
  add_time (entry, "endsAt", time (NULL) + SHOWN_SECONDS);
  json_object_array_add (array, entry);
  return array;
}

char *
template_body (enum template form, const struct guardd_alert *alert)
{
  struct json_object *object = form == TEMPLATE_SLACK          ? slack (alert)
                               : form == TEMPLATE_ALERTMANAGER ? alertmanager (alert)
                                                               : NULL;
  if (form == TEMPLATE_GENERIC)
    return strdup (alert->json);
  if (object == NULL)
    return NULL;
  char *body = strdup (
      json_object_to_json_string_ext (object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put (object);
  return body;
}
