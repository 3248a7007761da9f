/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "blind.h"

#include "base/json.h"

#include <string.h>

static void
blind_spot_free (gpointer data)
{
  BlindSpot *spot = data;
  g_free (spot->disk);
  g_free (spot->structure);
  g_free (spot->why);
  g_strfreev (spot->rules);
  g_free (spot);
}

GPtrArray *
blind_spots_new (void)
{
  return g_ptr_array_new_with_free_func (blind_spot_free);
}

void
blind_spots_add (GPtrArray *spots, const char *disk, const char *structure, const char *rules, bool late,
                 const char *why)
{
  BlindSpot *spot = g_new0 (BlindSpot, 1);
  *spot = (BlindSpot){ .disk = g_strdup (disk),
                       .structure = g_strdup (structure),
                       .rules = g_strsplit (rules, " ", -1),
                       .why = g_strdup (why),
                       .late = late };
  g_ptr_array_add (spots, spot);
}

static json_object *
blind_spot_to_json (const BlindSpot *spot)
{
  json_object *object = json_object_new_object (), *rules = json_object_new_array ();
  json_add_string (object, "disk", spot->disk);
  json_add_string (object, "structure", spot->structure);
  for (char **rule = spot->rules; *rule; rule++)
    if (**rule)
      json_object_array_add (rules, json_object_new_string (*rule));
  json_object_object_add (object, "rules", rules);
  json_add_string (object, "why", spot->why);
  json_add_bool (object, "late", spot->late);
  return object;
}

json_object *
blind_spots_to_json (const GPtrArray *spots, const char *disk)
{
  json_object *array = json_object_new_array ();
  for (guint i = 0; i < spots->len; i++) {
    const BlindSpot *spot = spots->pdata[i];
    if (disk == NULL || strcmp (disk, spot->disk) == 0)
      json_object_array_add (array, blind_spot_to_json (spot));
  }
  return array;
}
