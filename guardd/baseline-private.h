/* SPDX-License-Identifier: GPL-2.0-or-later */
/* baseline-private.h: the inside of a Baseline; private to the baseline files. */
#pragma once

#include "baseline.h"

#include <stdbool.h>

#define BASELINE_BINS 168u /* hours of a week, from a Thursday's midnight on */
#define BASELINE_KEPT 8u
#define BASELINE_STEPS 32.0 /* to a doubling */
#define BASELINE_UNUSED 0xffffu

struct Baseline {
  gint64 first_us, last_us; /* when learning began, and the last step; 0: never */
  gint64 window;            /* number since 1970 of the one that is open */
  gint64 day;               /* for which edge[] holds */
  double sums[GUARDD_FEATURES], hour_most[GUARDD_FEATURES], edge[GUARDD_FEATURES];
  double sampled, high, mapped, unmapped;
  guint16 kept[GUARDD_FEATURES][BASELINE_BINS][BASELINE_KEPT]; /* the newest is the last */
  guint16 lost[GUARDD_HISTORY_WINDOWS];
  guint n_lost;
  struct guardd_reference
      all[GUARDD_FEATURES]; /* of kept[]: it takes a millisecond, and changes once an hour */
};

/* After kept[] has changed. */
void baseline_summarize (Baseline *baseline);
