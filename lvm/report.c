/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "report.h"

#include "base/json.h"
#include "engine.h"

#include <gio/gio.h>
#include <string.h>

/* Few fields: a line of more than 4096 bytes would be cut (lib/log/log.c of LVM). */
#define VOLUME_FIELDS "lv_name,lv_uuid,lv_attr,lv_size,pool_lv,origin,lv_tags,thin_id,transaction_id"
#define AS_JSON "--reportformat json --units b --nosuffix"

static const struct {
  const char *field, *key;
  bool number;
} fields[] = {
  { "lv_name", "name", false }, { "lv_uuid", "uuid", false },   { "lv_attr", "attr", false },
  { "lv_size", "size", true },  { "pool_lv", "pool", false },   { "origin", "origin", false },
  { "lv_tags", "tags", false }, { "thin_id", "thin_id", true }, { "transaction_id", "transaction_id", true },
};

/* A row of a JSON report is one line, {"lv_name":"…", …}, with or without a comma.  Whatever else was printed
 * (the frame, warnings) is none.  NULL and no error: not a row. */
static json_object *
row_parse (const char *line, GError **error)
{
  g_autofree char *text = g_strstrip (g_strdup (line));
  size_t n = strlen (text);
  if (!g_str_has_prefix (text, "{\""))
    return NULL;
  if (n > 0 && text[n - 1] == ',')
    n--;
  return json_parse ("LVM's report", text, n, error);
}

static void
row_free (gpointer row)
{
  json_object_put (row);
}

/* Rows of a report; g_ptr_array_unref(). */
static GPtrArray *
rows_get (GPtrArray *lines, GError **error)
{
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func (row_free);
  for (guint i = 0; i < lines->len; i++) {
    g_autoptr (GError) failure = NULL;
    json_object *row = row_parse (lines->pdata[i], &failure);
    if (failure != NULL) {
      g_propagate_error (error, g_steal_pointer (&failure));
      return NULL;
    }
    if (row != NULL)
      g_ptr_array_add (rows, row);
  }
  return g_steal_pointer (&rows);
}

static json_object *
volume_new (json_object *row, GError **error)
{
  g_autoptr (json_object) volume = json_object_new_object ();
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++) {
    const char *text = NULL;
    if (!json_get_string (row, fields[i].field, &text, error))
      return NULL;
    if (fields[i].number)
      json_add_u64 (volume, fields[i].key, MIN (g_ascii_strtoull (text, NULL, 10), (guint64)G_MAXINT64));
    else
      json_add_string (volume, fields[i].key, text);
  }
  return g_steal_pointer (&volume);
}

static GPtrArray *
volumes_ask (const char *vg, GError **error)
{
  g_autoptr (GPtrArray) lines = NULL;
  if (!engine_run (&lines, error, "lvs " AS_JSON " -o " VOLUME_FIELDS " %s", vg))
    return NULL;
  return rows_get (lines, error);
}

static json_object *
group_ask (const char *vg, GError **error)
{
  g_autoptr (GPtrArray) lines = NULL, rows = NULL;
  if (!engine_run (&lines, error, "vgs " AS_JSON " -o vg_uuid,vg_extent_size %s", vg))
    return NULL;
  rows = rows_get (lines, error);
  if (rows != NULL && rows->len == 1)
    return json_object_get (rows->pdata[0]);
  if (rows != NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "volume group %s: LVM reports %u of that name", vg,
                 rows->len);
  return NULL;
}

bool
report_group (const char *vg, json_object *answer, GError **error)
{
  const char *uuid = NULL, *extent = NULL;
  g_autoptr (json_object) group = group_ask (vg, error);
  if (group == NULL || !json_get_string (group, "vg_uuid", &uuid, error)
      || !json_get_string (group, "vg_extent_size", &extent, error))
    return false;
  g_autoptr (GPtrArray) rows = volumes_ask (vg, error);
  if (rows == NULL)
    return false;
  json_add_string (answer, "uuid", uuid);
  json_add_u64 (answer, "extent_bytes", MIN (g_ascii_strtoull (extent, NULL, 10), (guint64)G_MAXINT64));
  json_object *list = json_object_new_array ();
  json_object_object_add (answer, "lvs", list);
  for (guint i = 0; i < rows->len; i++) {
    json_object *volume = volume_new (rows->pdata[i], error);
    if (volume == NULL)
      return false;
    json_object_array_add (list, volume);
  }
  return true;
}

char *
report_uuid (const char *vg, GError **error)
{
  const char *uuid = NULL;
  g_autoptr (json_object) group = group_ask (vg, error);
  if (group == NULL || !json_get_string (group, "vg_uuid", &uuid, error))
    return NULL;
  g_auto (GStrv) parts = g_strsplit (uuid, "-", -1);
  return g_strjoinv ("", parts);
}

bool
report_has_any (const char *vg, json_object *names, bool *any, GError **error)
{
  g_autoptr (GPtrArray) rows = volumes_ask (vg, error);
  if (rows == NULL)
    return false;
  *any = false;
  for (guint i = 0; i < rows->len; i++)
    for (size_t n = 0; n < json_object_array_length (names); n++) {
      const char *name = json_object_get_string (json_object_array_get_idx (names, n)), *found = NULL;
      *any = *any || (json_get_string (rows->pdata[i], "lv_name", &found, NULL) && strcmp (name, found) == 0);
    }
  return true;
}
