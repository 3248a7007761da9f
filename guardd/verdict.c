/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict.h"

#include "base/json.h"

#include <string.h>

#define FINDINGS_MAX 256

static const char *const names[] = { [LEVEL_OK] = "ok",
                                     [LEVEL_INFO] = "info",
                                     [LEVEL_BLIND] = "blind",
                                     [LEVEL_WARN] = "warn",
                                     [LEVEL_CRITICAL] = "critical" };

const char *
level_name (Level level)
{
  return names[level];
}

bool
level_from_name (const char *name, Level *level)
{
  for (guint i = 0; name && i < G_N_ELEMENTS (names); i++)
    if (strcmp (names[i], name) == 0) {
      *level = (Level)i;
      return true;
    }
  return false;
}

Level
level_from_detector (enum guardd_level level)
{
  switch (level) {
  case GUARDD_LEVEL_OK:
    return LEVEL_OK;
  case GUARDD_LEVEL_INFO:
    return LEVEL_INFO;
  case GUARDD_LEVEL_WARN:
    return LEVEL_WARN;
  case GUARDD_LEVEL_CRITICAL:
    break;
  }
  return LEVEL_CRITICAL;
}

void
finding_free (gpointer data)
{
  Finding *finding = data;
  if (finding == NULL)
    return;
  g_free (finding->rule);
  g_free (finding->disk);
  g_free (finding->structure);
  g_free (finding->text);
  g_free (finding->unit);
  g_free (finding->horizon);
  g_strfreev (finding->considered);
  g_free (finding);
}

Finding *
finding_copy (const Finding *finding)
{
  Finding *copy = g_memdup2 (finding, sizeof *finding);
  copy->rule = g_strdup (finding->rule);
  copy->disk = g_strdup (finding->disk);
  copy->structure = g_strdup (finding->structure);
  copy->text = g_strdup (finding->text);
  copy->unit = g_strdup (finding->unit);
  copy->horizon = g_strdup (finding->horizon);
  copy->considered = g_strdupv (finding->considered);
  return copy;
}

json_object *
finding_to_json (const Finding *finding)
{
  json_object *object = json_object_new_object ();
  json_add_string (object, "level", level_name (finding->level));
  json_add_string (object, "rule", finding->rule);
  json_add_string (object, "disk", finding->disk);
  json_add_string (object, "structure", finding->structure);
  json_add_string (object, "text", finding->text);
  json_add_bool (object, "lasting", finding->lasting);
  if (finding->unit) {
    json_object_object_add (object, "seen", json_object_new_double (finding->seen));
    json_object_object_add (object, "expected", json_object_new_double (finding->expected));
    json_add_string (object, "unit", finding->unit);
  }
  json_add_string (object, "horizon", finding->horizon);
  json_add_bool (object, "soft", finding->soft);
  json_object *considered = json_object_new_array ();
  for (char **one = finding->considered; one && *one; one++)
    json_object_array_add (considered, json_object_new_string (*one));
  json_object_object_add (object, "considered", considered);
  return object;
}

static double
get_double (json_object *object, const char *key)
{
  json_object *value;
  return json_object_object_get_ex (object, key, &value) ? json_object_get_double (value) : 0;
}

static char **
get_considered (json_object *json)
{
  json_object *array;
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  size_t n = json_get_array (json, "considered", &array, NULL) ? json_object_array_length (array) : 0;
  for (size_t i = 0; i < MIN (n, (size_t)FINDING_CONSIDERED_MAX); i++) {
    const char *text = json_object_get_string (json_object_array_get_idx (array, i));
    if (text)
      g_strv_builder_add (builder, text);
  }
  return n ? g_strv_builder_end (builder) : NULL;
}

Finding *
finding_from_json (json_object *json, GError **error)
{
  const char *level, *rule, *disk, *structure, *text, *unit = NULL, *horizon = NULL;
  bool lasting, soft = false;
  Level known;
  if (!json_get_string (json, "level", &level, error) || !json_get_string (json, "rule", &rule, error)
      || !json_get_string (json, "disk", &disk, error)
      || !json_get_string (json, "structure", &structure, error)
      || !json_get_string (json, "text", &text, error) || !json_get_bool (json, "lasting", &lasting, error)
      || !json_opt_string (json, "unit", &unit, error) || !json_opt_string (json, "horizon", &horizon, error)
      || !json_opt_bool (json, "soft", &soft, error))
    return NULL;
  if (!level_from_name (level, &known)) {
    g_set_error (error, JSON_ERROR, 0, "level: there is no \"%s\"", level);
    return NULL;
  }
  Finding *finding = g_new0 (Finding, 1);
  *finding = (Finding){ .level = known,
                        .rule = g_strdup (rule),
                        .disk = g_strdup (disk),
                        .structure = g_strdup (structure),
                        .text = g_strdup (text),
                        .lasting = lasting,
                        .seen = get_double (json, "seen"),
                        .expected = get_double (json, "expected"),
                        .unit = g_strdup (unit),
                        .horizon = g_strdup (horizon),
                        .soft = soft,
                        .considered = get_considered (json) };
  return finding;
}

GPtrArray *
findings_new (void)
{
  return g_ptr_array_new_with_free_func (finding_free);
}

const Finding *
findings_worst (const GPtrArray *findings)
{
  const Finding *worst = NULL;
  for (guint i = 0; findings && i < findings->len; i++) {
    const Finding *finding = findings->pdata[i];
    if (worst == NULL || finding->level > worst->level)
      worst = finding;
  }
  return worst;
}

Level
findings_level (const GPtrArray *findings)
{
  const Finding *worst = findings_worst (findings);
  return worst ? worst->level : LEVEL_OK;
}

json_object *
findings_to_json (const GPtrArray *findings)
{
  json_object *array = json_object_new_array ();
  for (guint i = 0; i < findings->len; i++)
    json_object_array_add (array, finding_to_json (findings->pdata[i]));
  return array;
}

GPtrArray *
findings_from_json (json_object *json, GError **error)
{
  g_autoptr (GPtrArray) findings = findings_new ();
  size_t n = MIN (json_object_array_length (json), (size_t)FINDINGS_MAX);
  for (size_t i = 0; i < n; i++) {
    Finding *finding = finding_from_json (json_object_array_get_idx (json, i), error);
    if (finding == NULL)
      return NULL;
    g_ptr_array_add (findings, finding);
  }
  return g_steal_pointer (&findings);
}
