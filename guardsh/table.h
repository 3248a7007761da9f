/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.h: JSON as people read it: aligned tables and lists of "name: value".
 */
#pragma once

#include "base/json.h"

#include <glib.h>

typedef enum {
  CELL_TEXT,
  CELL_NUMBER,
  CELL_SIZE, /* bytes */
  CELL_MS,   /* duration in milliseconds */
  CELL_US,   /* in microseconds */
  CELL_TIME, /* ISO 8601, shown in local time */
  CELL_AGE,  /* ISO 8601, shown as "2 min ago" */
  CELL_YES,  /* bool: yes, no */
  CELL_ID,   /* UUID: its first part is enough for people */
  CELL_NOTE, /* text or null: what is held, and the like; "" for null */
} CellType;

typedef struct {
  const char *header; /* NULL ends the table */
  const char *key;    /* of the JSON object; "latest.time" goes into it */
  CellType type;
} Column;

/* One row per object of the array. */
void table_print (json_object *rows, const Column *columns);
/* One line per column of one object. */
void table_print_one (json_object *object, const Column *columns);
/* One cell; g_free().  now_us: for ages. */
char *table_cell (json_object *object, const Column *column, gint64 now_us);
