/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * relief.h: soft rules that were wrong on a guest, as a person said: each time its threshold rises by 5
 * points of a hundred, for 30 days (as Veeam's malware detection does).  Pure: the time is given.
 */
#pragma once

#include <glib.h>
#include <guardd/detector.h>
#include <json-c/json.h>

#define RELIEF_STEP_PERCENT 5u
#define RELIEF_MAX_PERCENT 90u
#define RELIEF_TIME_US ((gint64)30 * 24 * 3600 * G_USEC_PER_SEC)
#define RELIEFS_MAX 64u /* rules of one guest */

typedef struct {
  char *rule;
  guint percent;
  gint64 until_us; /* since 1970 */
} Relief;

GPtrArray *reliefs_new (void);
/* One more false positive; the time begins anew. */
void reliefs_add (GPtrArray *reliefs, const char *rule, gint64 now_us);
void reliefs_expire (GPtrArray *reliefs, gint64 now_us);
GPtrArray *reliefs_copy (const GPtrArray *reliefs);
/* For a detector's input; what it points to belongs to `reliefs`.  g_free() */
struct guardd_relief *reliefs_for_detector (const GPtrArray *reliefs);
json_object *reliefs_to_json (const GPtrArray *reliefs);
GPtrArray *reliefs_from_json (json_object *json); /* what is no relief is left out */
