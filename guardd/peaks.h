/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peaks.h: the most that a filesystem held within the last hour, day and week.  A value; what happened longer
 * ago falls out by itself.
 *
 * Held is what was there at each look of half an hour: what a build, an unpacked archive or a temporary file
 * adds and takes away again is neither a peak nor, when it goes, a loss.  Before the first look nothing is
 * known, so what that sees has been there for long.
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
typedef enum {
  PEAKS_INODES,
  PEAKS_BYTES,
  PEAKS_COUNTERS,
} PeaksCounter;

/* When the counter, which says `is` now, was last as high as within the horizon, or nearly: what came later
 * is a fall.  A fiftieth of the fall may be missing, or a 500th of all; where files came and went for longer
 * than an hour, a fiftieth of all.  0: not known. */
gint64 peaks_last_high (const Peaks *peaks, gint64 now_us, enum guardd_horizon horizon, PeaksCounter counter,
                        guint64 is);
json_object *peaks_to_json (const Peaks *peaks);
Peaks *peaks_from_json (json_object *json);
