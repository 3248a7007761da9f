/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relief.h"

#include "base/json.h"
#include "base/units.h"

#include <string.h>

static void
relief_free (gpointer data)
{
  Relief *relief = data;
  g_free (relief->rule);
  g_free (relief);
}

GPtrArray *
reliefs_new (void)
{
  return g_ptr_array_new_with_free_func (relief_free);
}

static Relief *
find (GPtrArray *reliefs, const char *rule)
{
  for (guint i = 0; i < reliefs->len; i++) {
    Relief *relief = reliefs->pdata[i];
    if (strcmp (relief->rule, rule) == 0)
      return relief;
  }
  return NULL;
}

void
reliefs_add (GPtrArray *reliefs, const char *rule, gint64 now_us)
{
  reliefs_expire (reliefs, now_us);
  Relief *relief = find (reliefs, rule);
  if (relief == NULL && reliefs->len >= RELIEFS_MAX)
    return;
  if (relief == NULL) {
    relief = g_new0 (Relief, 1);
    relief->rule = g_strdup (rule);
    g_ptr_array_add (reliefs, relief);
  }
  relief->percent = MIN (relief->percent + RELIEF_STEP_PERCENT, RELIEF_MAX_PERCENT);
  relief->until_us = now_us + RELIEF_TIME_US;
}

void
reliefs_expire (GPtrArray *reliefs, gint64 now_us)
{
  for (guint i = reliefs->len; i-- > 0;) {
    Relief *relief = reliefs->pdata[i];
    /* A clock that was set back must not prolong it. */
    relief->until_us = MIN (relief->until_us, now_us + RELIEF_TIME_US);
    if (relief->until_us <= now_us)
      g_ptr_array_remove_index (reliefs, i);
  }
}

GPtrArray *
reliefs_copy (const GPtrArray *reliefs)
{
  GPtrArray *copy = reliefs_new ();
  for (guint i = 0; i < reliefs->len; i++) {
    Relief *relief = g_memdup2 (reliefs->pdata[i], sizeof *relief);
    relief->rule = g_strdup (relief->rule);
    g_ptr_array_add (copy, relief);
  }
  return copy;
}

struct guardd_relief *
reliefs_for_detector (const GPtrArray *reliefs)
{
  struct guardd_relief *all = g_new0 (struct guardd_relief, reliefs->len);
  for (guint i = 0; i < reliefs->len; i++) {
    const Relief *relief = reliefs->pdata[i];
    all[i] = (struct guardd_relief){ relief->rule, relief->percent };
  }
  return all;
}

json_object *
reliefs_to_json (const GPtrArray *reliefs)
{
  json_object *array = json_object_new_array ();
  for (guint i = 0; i < reliefs->len; i++) {
    const Relief *relief = reliefs->pdata[i];
    json_object *object = json_object_new_object ();
    g_autofree char *until = time_format (relief->until_us);
    json_add_string (object, "rule", relief->rule);
    json_add_u64 (object, "percent", relief->percent);
    json_add_string (object, "until", until);
    json_object_array_add (array, object);
  }
  return array;
}

GPtrArray *
reliefs_from_json (json_object *json)
{
  GPtrArray *reliefs = reliefs_new ();
  size_t n = json_object_is_type (json, json_type_array) ? json_object_array_length (json) : 0;
  for (size_t i = 0; i < MIN (n, RELIEFS_MAX); i++) {
    json_object *object = json_object_array_get_idx (json, i);
    const char *rule, *until;
    guint64 percent;
    gint64 until_us;
    if (!json_get_string (object, "rule", &rule, NULL) || !json_get_string (object, "until", &until, NULL)
        || !json_get_u64 (object, "percent", &percent, NULL) || percent > RELIEF_MAX_PERCENT
        || !time_parse (until, &until_us, NULL))
      continue;
    Relief *relief = g_new0 (Relief, 1);
    *relief = (Relief){ g_strdup (rule), (guint)percent, until_us };
    g_ptr_array_add (reliefs, relief);
  }
  return reliefs;
}
