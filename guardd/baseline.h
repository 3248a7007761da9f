/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * baseline.h: what usually happens on one disk: how much of it changes, is zeroed, is lost, in ten minutes,
 * by the hour of the week.  Of fixed size, whatever the guest does.  Pure: the time is given.
 *
 * Intervals vary, so what happened is summed up in windows of ten minutes; what took longer is averaged over
 * its time.  Of each hour the most of its windows is kept, of each hour of the week (UTC) the last eight.
 * What is learnt is capped: a guest that does ever more raises what is usual by a quarter a day at most.
 */
#pragma once

#include <glib.h>
#include <guardd/detector.h>
#include <json-c/json.h>

#define BASELINE_WINDOW_US ((gint64)600 * G_USEC_PER_SEC)

/* What happened between two snapshots; what was lost may be negative. */
typedef struct {
  double features[GUARDD_FEATURES];
  gint64 span_us; /* between them; not positive: not known, and nothing is made of it */
  double sampled, high, mapped, unmapped; /* bytes: see struct guardd_history */
} BaselineStep;

/* before NULL: nothing is known to be lost. */
void baseline_step (const struct guardd_observation *before, const struct guardd_observation *now,
                    BaselineStep *step);

typedef struct Baseline Baseline;

Baseline *baseline_new (void);
gint64 baseline_last_us (const Baseline *baseline); /* when it learnt last; 0: never */
void baseline_free (Baseline *baseline);            /* NULL is fine */
/* What is usual, and what this step makes of the present window; nothing is learnt of it. */
void baseline_get (const Baseline *baseline, gint64 time_us, const BaselineStep *step,
                   struct guardd_history *history);
void baseline_learn (Baseline *baseline, gint64 time_us, const BaselineStep *step);
json_object *baseline_to_json (const Baseline *baseline);
Baseline *baseline_from_json (json_object *json); /* of anything else: an empty one */
