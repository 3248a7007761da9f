/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "table.h"

#include "base/units.h"

#include "shell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* "latest.time" */
static json_object *
value_find (json_object *object, const char *key)
{
  g_auto (GStrv) parts = g_strsplit (key, ".", 4);
  for (char **part = parts; *part; part++)
    if (!json_object_is_type (object, json_type_object)
        || !json_object_object_get_ex (object, *part, &object))
      return NULL;
  return object;
}

static char *
format_age (const char *text, gint64 now_us)
{
  gint64 time_us;
  if (!time_parse (text, &time_us, NULL))
    return g_strdup (text);
  gint64 seconds = (now_us - time_us) / G_USEC_PER_SEC;
  if (seconds < 0)
    return g_strdup ("in the future");
  if (seconds < 120)
    return g_strdup_printf ("%" G_GINT64_FORMAT " s ago", seconds);
  if (seconds < 2 * 3600)
    return g_strdup_printf ("%" G_GINT64_FORMAT " min ago", seconds / 60);
  if (seconds < 2 * 86400)
    return g_strdup_printf ("%" G_GINT64_FORMAT " h ago", seconds / 3600);
  return g_strdup_printf ("%" G_GINT64_FORMAT " days ago", seconds / 86400);
}

static char *
format_time (const char *text)
{
  gint64 time_us;
  if (!time_parse (text, &time_us, NULL))
    return g_strdup (text);
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_local (time_us / G_USEC_PER_SEC);
  return g_date_time_format (time, "%Y-%m-%d %H:%M:%S");
}

char *
table_cell (json_object *object, const Column *column, gint64 now_us)
{
  json_object *value = value_find (object, column->key);
  if (value == NULL)
    return g_strdup (column->type == CELL_NOTE ? "" : "-");
  const char *text = json_object_get_string (value);
  guint64 number = (guint64)MAX (0, json_object_get_int64 (value));
  switch (column->type) {
  case CELL_ID:
    return g_strndup (text, 8);
  case CELL_SIZE:
    return size_format (number);
  case CELL_MS:
    return duration_format (number * 1000);
  case CELL_US:
    return duration_format (number);
  case CELL_TIME:
    return format_time (text);
  case CELL_AGE:
    return format_age (text, now_us);
  case CELL_YES:
    return g_strdup (json_object_get_boolean (value) ? "yes" : "no");
  case CELL_NUMBER:
    if (json_object_is_type (value, json_type_double)) {
      double real = json_object_get_double (value);
      return g_strdup_printf ("%.*f", real == floor (real) ? 0 : 1, real);
    }
    break;
  case CELL_TEXT:
  case CELL_NOTE:
    break;
  }
  return shell_escape (text);
}

static bool
is_right (CellType type)
{
  return type == CELL_NUMBER || type == CELL_SIZE || type == CELL_MS || type == CELL_US;
}

static void
cell_print (const char *text, glong width, bool right, bool last)
{
  int pad = (int)(width - g_utf8_strlen (text, -1));
  if (right)
    printf ("%*s%s%s", pad, "", text, last ? "\n" : "   ");
  else if (last)
    printf ("%s\n", text);
  else
    printf ("%s%*s   ", text, pad, "");
}

void
table_print (json_object *rows, const Column *columns)
{
  guint n = 0;
  size_t n_rows = json_object_array_length (rows);
  gint64 now = g_get_real_time ();
  while (columns[n].header)
    n++;
  g_autoptr (GPtrArray) cells = g_ptr_array_new_with_free_func (g_free);
  g_autofree glong *width = g_new (glong, n);
  for (guint c = 0; c < n; c++)
    width[c] = (glong)strlen (columns[c].header);
  for (size_t r = 0; r < n_rows; r++)
    for (guint c = 0; c < n; c++) {
      char *cell = table_cell (json_object_array_get_idx (rows, r), &columns[c], now);
      g_ptr_array_add (cells, cell);
      width[c] = MAX (width[c], g_utf8_strlen (cell, -1));
    }
  glong sum = 0;
  for (guint c = 0; c < n; c++) {
    cell_print (columns[c].header, width[c], is_right (columns[c].type), c == n - 1);
    sum += width[c] + 3;
  }
  for (glong i = 0; i < sum - 3; i++)
    putchar ('-');
  putchar ('\n');
  for (size_t r = 0; r < n_rows; r++)
    for (guint c = 0; c < n; c++)
      cell_print (cells->pdata[r * n + c], width[c], is_right (columns[c].type), c == n - 1);
}

void
table_print_one (json_object *object, const Column *columns)
{
  gint64 now = g_get_real_time ();
  for (; columns->header; columns++) {
    g_autofree char *cell = table_cell (object, columns, now);
    printf ("%-18s %s\n", columns->header, cell);
  }
}
