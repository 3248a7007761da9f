/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch.h"

#include "base/json.h"

#include <string.h>

void
incident_free (Incident *incident)
{
  if (incident == NULL)
    return;
  g_free (incident->id);
  g_clear_pointer (&incident->findings, g_ptr_array_unref);
  g_free (incident);
}

Incident *
incident_copy (const Incident *incident)
{
  if (incident == NULL)
    return NULL;
  Incident *copy = g_memdup2 (incident, sizeof *incident);
  copy->id = g_strdup (incident->id);
  copy->findings = findings_new ();
  for (guint i = 0; i < incident->findings->len; i++)
    g_ptr_array_add (copy->findings, finding_copy (incident->findings->pdata[i]));
  return copy;
}

bool
incident_has_lists (const Incident *incident)
{
  for (guint i = 0; i < incident->findings->len; i++) {
    const Finding *finding = incident->findings->pdata[i];
    if (finding->level >= LEVEL_WARN && finding->disk[0] == '\0')
      return true;
  }
  return false;
}

bool
incident_is_encrypting (const Incident *incident)
{
  for (guint i = 0; i < incident->findings->len; i++) {
    const Finding *finding = incident->findings->pdata[i];
    if (strcmp (finding->rule, "encryption") == 0 || strcmp (finding->rule, "partial-encryption") == 0)
      return true;
  }
  return false;
}

json_object *
incident_to_json (const Incident *incident)
{
  json_object *object = json_object_new_object ();
  json_add_string (object, "id", incident->id);
  json_add_string (object, "level", level_name (incident->level));
  json_object_object_add (object, "opened_us", json_object_new_int64 (incident->opened_us));
  json_object_object_add (object, "last_us", json_object_new_int64 (incident->last_us));
  json_object_object_add (object, "sign_us", json_object_new_int64 (incident->sign_us));
  json_object_object_add (object, "quiet_us", json_object_new_int64 (incident->quiet_us));
  json_add_bool (object, "listed", incident->listed);
  json_add_bool (object, "rolled_back", incident->rolled_back);
  json_add_u64 (object, "first_bad", incident->first_bad);
  json_add_u64 (object, "good", incident->good);
  json_object_object_add (object, "findings", findings_to_json (incident->findings));
  return object;
}

Incident *
incident_from_json (json_object *json, GError **error)
{
  const char *id, *level;
  json_object *findings;
  Incident *incident = g_new0 (Incident, 1);
  if (json_get_string (json, "id", &id, error) && json_get_string (json, "level", &level, error)
      && json_get_i64 (json, "opened_us", &incident->opened_us, error)
      && json_get_i64 (json, "last_us", &incident->last_us, error)
      && json_get_i64 (json, "sign_us", &incident->sign_us, error)
      && json_get_u64 (json, "first_bad", &incident->first_bad, error)
      && json_get_u64 (json, "good", &incident->good, error)
      && json_get_array (json, "findings", &findings, error)
      && (incident->findings = findings_from_json (findings, error)) != NULL) {
    incident->id = g_strdup (id);
    json_get_i64 (json, "quiet_us", &incident->quiet_us, NULL); /* an earlier guardd wrote none of these */
    json_get_bool (json, "listed", &incident->listed, NULL);
    json_get_bool (json, "rolled_back", &incident->rolled_back, NULL);
    if (level_from_name (level, &incident->level) && g_uuid_string_is_valid (id))
      return incident;
    g_set_error (error, JSON_ERROR, 0, "level or id: there is no such");
  }
  incident_free (incident);
  return NULL;
}
