/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "baseline-private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_US (6 * BASELINE_WINDOW_US)
#define DAY_US (24 * HOUR_US)
#define EDGE 6.0        /* of what is usual, in spreads: what is beyond is not learnt in full */
#define DAILY_RISE 1.25 /* of that edge */
#define MIB 1048576.0

/* Changes below this mean nothing on any guest; a spread is not less. */
static const double grain[GUARDD_FEATURES] = {
  [GUARDD_FEATURE_CHANGED] = 64 * MIB, [GUARDD_FEATURE_ZEROED] = 64 * MIB,
  [GUARDD_FEATURE_INODES_LOST] = 100,  [GUARDD_FEATURE_BYTES_LOST] = 64 * MIB,
  [GUARDD_FEATURE_RISEN] = 16 * MIB,
};

Baseline *
baseline_new (void)
{
  Baseline *baseline = g_new0 (Baseline, 1);
  memset (baseline->kept, 0xff, sizeof baseline->kept);
  return baseline;
}

void
baseline_free (Baseline *baseline)
{
  g_free (baseline);
}

gint64
baseline_last_us (const Baseline *baseline)
{
  return baseline->last_us;
}

/* --- values, in two bytes: 2 % is as near as anybody needs --- */

static guint16
pack (double value)
{
  return value > 0 ? (guint16)MIN (round (BASELINE_STEPS * log2 (1 + value)), BASELINE_UNUSED - 1.0) : 0;
}

static double
unpack (guint16 packed)
{
  return exp2 (packed / BASELINE_STEPS) - 1;
}

static int
compare_packed (const void *a, const void *b)
{
  return (int)*(const guint16 *)a - (int)*(const guint16 *)b;
}

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Sorts `values`. */
static struct guardd_reference
summarize (guint16 *values, guint n)
{
  struct guardd_reference of = { .samples = n };
  double distances[BASELINE_BINS * BASELINE_KEPT];
  if (n == 0)
    return of;
  qsort (values, n, sizeof *values, compare_packed);
  of.median = unpack (values[n / 2]);
  of.most = unpack (values[n - 1]);
  for (guint i = 0; i < n; i++)
    distances[i] = fabs (unpack (values[i]) - of.median);
  qsort (distances, n, sizeof *distances, compare_doubles);
  of.mad = distances[n / 2];
  return of;
}

static guint
take_bin (const Baseline *baseline, guint feature, guint bin, guint16 *values, guint n)
{
  for (guint i = 0; i < BASELINE_KEPT; i++)
    if (baseline->kept[feature][bin][i] != BASELINE_UNUSED)
      values[n++] = baseline->kept[feature][bin][i];
  return n;
}

static guint
bin_of (gint64 time_us)
{
  return (guint)(time_us / HOUR_US % BASELINE_BINS);
}

static struct guardd_reference
hour_of_week (const Baseline *baseline, guint feature, gint64 time_us)
{
  guint16 values[3 * BASELINE_KEPT];
  guint n = 0, bin = bin_of (time_us);
  for (guint beside = BASELINE_BINS - 1; beside <= BASELINE_BINS + 1; beside++)
    n = take_bin (baseline, feature, (bin + beside) % BASELINE_BINS, values, n);
  return summarize (values, n);
}

static struct guardd_reference
all_hours (const Baseline *baseline, guint feature)
{
  guint16 values[BASELINE_BINS * BASELINE_KEPT];
  guint n = 0;
  for (guint bin = 0; bin < BASELINE_BINS; bin++)
    n = take_bin (baseline, feature, bin, values, n);
  return summarize (values, n);
}

void
baseline_summarize (Baseline *baseline)
{
  for (guint i = 0; i < GUARDD_FEATURES; i++)
    baseline->all[i] = all_hours (baseline, i);
}

/* --- looking --- */

/* What the window that `time_us` is in holds with this step. */
static double
value_with (const Baseline *baseline, guint feature, gint64 time_us, const BaselineStep *step)
{
  double value = step->features[feature];
  if (step->span_us <= 0)
    return 0;
  if (step->span_us > BASELINE_WINDOW_US)
    value *= (double)BASELINE_WINDOW_US / (double)step->span_us;
  else if (time_us / BASELINE_WINDOW_US == baseline->window)
    value += baseline->sums[feature];
  return MAX (value, 0);
}

void
baseline_get (const Baseline *baseline, gint64 time_us, const BaselineStep *step,
              struct guardd_history *history)
{
  *history = (struct guardd_history){ .size_of = sizeof *history,
                                      .n_windows = baseline->n_lost,
                                      .sampled_bytes = baseline->sampled + step->sampled,
                                      .high_bytes = baseline->high + step->high,
                                      .mapped_bytes = baseline->mapped + step->mapped,
                                      .unmapped_bytes = baseline->unmapped + step->unmapped };
  if (baseline->first_us && time_us > baseline->first_us)
    history->age_s = (guint64)(time_us - baseline->first_us) / G_USEC_PER_SEC;
  for (guint i = 0; i < GUARDD_FEATURES; i++)
    history->features[i] = (struct guardd_baseline){ value_with (baseline, i, time_us, step),
                                                     hour_of_week (baseline, i, time_us), baseline->all[i] };
  for (guint i = 0; i < baseline->n_lost; i++)
    history->inodes_lost[i] = unpack (baseline->lost[i]);
}

/* --- learning --- */

static void
push_lost (Baseline *baseline, double value)
{
  if (baseline->n_lost == GUARDD_HISTORY_WINDOWS)
    memmove (baseline->lost, baseline->lost + 1, --baseline->n_lost * sizeof baseline->lost[0]);
  baseline->lost[baseline->n_lost++] = pack (value);
}

static void
close_window (Baseline *baseline)
{
  for (guint i = 0; i < GUARDD_FEATURES; i++)
    baseline->hour_most[i] = MAX (baseline->hour_most[i], baseline->sums[i]);
  push_lost (baseline, baseline->sums[GUARDD_FEATURE_INODES_LOST]);
  memset (baseline->sums, 0, sizeof baseline->sums);
}

/* The edge of what is usual, once a day: so slowly it moves. */
static void
raise_edges (Baseline *baseline, gint64 day)
{
  if (baseline->day == day)
    return;
  baseline->day = day;
  for (guint i = 0; i < GUARDD_FEATURES; i++) {
    struct guardd_reference all = baseline->all[i];
    double spread = MAX (MAX (1.4826 * all.mad, all.median / 20), grain[i]);
    baseline->edge[i] = DAILY_RISE * MAX (all.median + EDGE * spread, all.most);
  }
}

static void
close_hour (Baseline *baseline, gint64 time_us)
{
  bool settled = time_us - baseline->first_us > BASELINE_BINS * HOUR_US;
  guint bin = bin_of (time_us);
  raise_edges (baseline, time_us / DAY_US);
  for (guint i = 0; i < GUARDD_FEATURES; i++) {
    double most = baseline->hour_most[i];
    guint16 *kept = baseline->kept[i][bin];
    memmove (kept, kept + 1, (BASELINE_KEPT - 1) * sizeof *kept);
    kept[BASELINE_KEPT - 1] = pack (settled ? MIN (most, baseline->edge[i]) : most);
  }
  memset (baseline->hour_most, 0, sizeof baseline->hour_most);
  baseline_summarize (baseline);
}

/* What was seen of content lately: halved whenever it is a gigabyte. */
static void
learn_content (Baseline *baseline, const BaselineStep *step)
{
  baseline->sampled += step->sampled;
  baseline->high += step->high;
  baseline->mapped += step->mapped;
  baseline->unmapped += step->unmapped;
  while (baseline->sampled > 1024 * MIB) {
    baseline->sampled /= 2;
    baseline->high /= 2;
  }
  while (baseline->mapped + baseline->unmapped > 1024 * MIB) {
    baseline->mapped /= 2;
    baseline->unmapped /= 2;
  }
}

void
baseline_learn (Baseline *baseline, gint64 time_us, const BaselineStep *step)
{
  gint64 span = step->span_us, window = time_us / BASELINE_WINDOW_US;
  learn_content (baseline, step);
  if (baseline->last_us == 0 || span <= 0
      || time_us <= baseline->last_us) { /* the first, or the clock was set back */
    baseline->first_us = baseline->first_us && baseline->first_us < time_us ? baseline->first_us : time_us;
    baseline->last_us = time_us;
    baseline->window = window;
    return;
  }
  double share = span > BASELINE_WINDOW_US ? (double)BASELINE_WINDOW_US / (double)span : 1;
  if (window != baseline->window) {
    gint64 began = baseline->window * BASELINE_WINDOW_US;
    close_window (baseline);
    if (bin_of (began) != bin_of (time_us) || time_us - began > HOUR_US)
      close_hour (baseline, began);
    /* Those that this step covers; what passed while nothing was learnt is not known. */
    gint64 covered = MIN (window - baseline->window - 1, span / BASELINE_WINDOW_US);
    for (gint64 n = MIN (covered, (gint64)GUARDD_HISTORY_WINDOWS); n > 0; n--)
      push_lost (baseline, step->features[GUARDD_FEATURE_INODES_LOST] * share);
    baseline->window = window;
  }
  for (guint i = 0; i < GUARDD_FEATURES; i++)
    baseline->sums[i] += step->features[i] * share;
  baseline->last_us = time_us;
}
