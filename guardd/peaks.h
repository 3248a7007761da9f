/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peaks.h: the most that a filesystem's counters said within the last hour, day and week.  A value; what
 * happened longer ago falls out by itself.
 */
#pragma once

#include <glib.h>
#include <guardd/detector.h>
#include <json-c/json.h>
#include <stdbool.h>

typedef struct Peaks Peaks;

Peaks *peaks_new (void);
void peaks_free (gpointer peaks);
/* now_us: since 1970.  UINT64_MAX in the structure: not known, nothing is remembered of it. */
void peaks_add (Peaks *peaks, gint64 now_us, const struct guardd_structure *is);
void peaks_get (const Peaks *peaks, gint64 now_us, struct guardd_peak peaks_of[GUARDD_HORIZONS]);
/* When used_inodes was last within a 500th of its most within the hour, if that is nearly the week's; else
 * within a fiftieth of the week's: what came later is a fall.  0: not known. */
gint64 peaks_last_high (const Peaks *peaks, gint64 now_us);
json_object *peaks_to_json (const Peaks *peaks);
Peaks *peaks_from_json (json_object *json);
