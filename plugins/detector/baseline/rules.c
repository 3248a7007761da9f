/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules.h"

#include <math.h>
#include <stdio.h>

#define SPREADS_MAX 40.0  /* one value, however wild, is worth no more */
#define EVIDENCE_MAX 0.95 /* of one family: nothing soft is certain */
#define SEEN_FACTOR 1.5   /* what was seen at this hour of the week, and half as much again, is its habit */
/* One-sided CUSUM, k = 1 and h = 5: at this pace of samples a false alarm a year, if losses were independent
 * (Brook and Evans); they are not, so three windows at least must agree, and a share of all files be lost. */
#define CUSUM_SLACK 1.0
#define CUSUM_LIMIT 5.0
#define CUSUM_STEP_MAX 3.0

enum family { FAMILY_VOLUME, FAMILY_COUNTERS, FAMILY_CONTENT, FAMILIES };
static const double weights[FAMILIES] = { 0.5, 0.8, 0.8 };

static const struct {
  enum family family;
  size_t floor; /* offset in struct thresholds */
  double unit;
  const char *words;
} features[GUARDD_FEATURES] = {
  [GUARDD_FEATURE_CHANGED]
  = { FAMILY_VOLUME, offsetof (struct thresholds, changed_bytes), 1048576, "MiB changed" },
  [GUARDD_FEATURE_ZEROED]
  = { FAMILY_VOLUME, offsetof (struct thresholds, zeroed_bytes), 1048576, "MiB zeroed" },
  [GUARDD_FEATURE_INODES_LOST]
  = { FAMILY_COUNTERS, offsetof (struct thresholds, lost_inodes), 1, "files fewer" },
  [GUARDD_FEATURE_BYTES_LOST]
  = { FAMILY_COUNTERS, offsetof (struct thresholds, lost_bytes), 1048576, "MiB in use fewer" },
  [GUARDD_FEATURE_RISEN]
  = { FAMILY_CONTENT, offsetof (struct thresholds, risen_bytes), 1048576, "MiB in use became random" },
};

static double
floor_of (const struct thresholds *limit, unsigned feature)
{
  return (double)*(const uint64_t *)(const void *)((const char *)limit + features[feature].floor);
}

bool
history_is_settled (const struct thresholds *limit, const struct guardd_history *history)
{
  return history->age_s >= limit->settle_days * 86400 + 3600
         && history->features[0].all.samples >= limit->samples;
}

/* In spreads from the median; a spread is never small, or a quiet guest would be unusual with every file. */
static double
distance (double value, const struct guardd_reference *of, double least)
{
  double spread = fmax (fmax (1.4826 * of->mad, of->median / 20), least);
  return fmin (fmax ((value - of->median) / spread, 0), SPREADS_MAX);
}

static double
feature_distance (const struct thresholds *limit, const struct guardd_baseline *is, unsigned feature)
{
  /* Few samples of this hour do not say what is usual, but what was seen is no news. */
  if (is->now <= SEEN_FACTOR * is->hour.most)
    return 0;
  const struct guardd_reference *of = is->hour.samples >= limit->samples ? &is->hour : &is->all;
  return distance (is->now, of, floor_of (limit, feature));
}

struct evidence {
  double distance; /* of the family: its farthest */
  unsigned feature;
};

static void
say_unusual (const struct thresholds *limit, const struct say *to, const struct evidence *of, double score,
             double least)
{
  struct say_considered considered = { .n = 0 };
  char list[320] = "";
  size_t length = 0;
  unsigned speaking = 0;
  for (unsigned family = 0; family < FAMILIES; family++) {
    if (of[family].distance < (double)limit->spreads)
      continue;
    const struct guardd_baseline *is = &to->input->history->features[of[family].feature];
    double unit = features[of[family].feature].unit;
    int n = snprintf (list + length, sizeof list - length, "%s%.0f %s (usual: %.0f)", speaking++ ? ", " : "",
                      is->now / unit, features[of[family].feature].words,
                      (is->hour.samples >= limit->samples ? is->hour.median : is->all.median) / unit);
    length += n > 0 && (size_t)n < sizeof list - length ? (size_t)n : 0;
    say_considered (&considered,
                    "not what it does at this hour of the week: at most %.0f %s so far, in %u such hours",
                    is->hour.most / unit, features[of[family].feature].words, is->hour.samples);
  }
  say_considered (&considered,
                  "not one sign alone: %u of 3 families of evidence are %llu spreads or more from usual",
                  speaking, (unsigned long long)limit->spreads);
  const struct guardd_finding finding = { .rule = "unusual",
                                          .level = GUARDD_LEVEL_WARN,
                                          .structure = "",
                                          .seen = 100 * score,
                                          .expected = 100 * least,
                                          .unit = "percent of certainty",
                                          .soft = 1,
                                          .horizon = "hour-of-week",
                                          .considered = considered.sentences,
                                          .n_considered = considered.n };
  say (to, finding, "disk %s: unlike this guest, within ten minutes: %s", to->input->disk, list);
}

void
judge_unusual (const struct thresholds *limit, const struct say *to)
{
  struct evidence of[FAMILIES] = { { 0 } };
  double doubt = 1, least = (double)say_relieved (to, "unusual", limit->score_percent) / 100;
  unsigned speaking = 0;
  for (unsigned i = 0; i < GUARDD_FEATURES; i++) {
    double far = feature_distance (limit, &to->input->history->features[i], i);
    struct evidence *family = &of[features[i].family];
    if (far > family->distance)
      *family = (struct evidence){ far, i };
  }
  for (unsigned family = 0; family < FAMILIES; family++) {
    if (of[family].distance < (double)limit->spreads)
      continue;
    speaking++;
    doubt *= 1 - weights[family] * fmin (1 / (1 + exp (-(of[family].distance - 4) / 2)), EVIDENCE_MAX);
  }
  if (speaking >= 2 && 1 - doubt >= least)
    say_unusual (limit, to, of, 1 - doubt, least);
}

/* --- many small losses --- */

struct run {
  double sum, lost;
  unsigned windows;
};

/* The run of losses that the newest window is in. */
static struct run
find_run (const struct thresholds *limit, const struct guardd_history *history)
{
  const struct guardd_reference *usual = &history->features[GUARDD_FEATURE_INODES_LOST].all;
  struct run run = { 0 };
  for (uint32_t i = 0; i < history->n_windows && i < GUARDD_HISTORY_WINDOWS; i++) {
    double far = distance (history->inodes_lost[i], usual, (double)limit->lost_inodes);
    run.sum = fmax (run.sum + fmin (far, CUSUM_STEP_MAX) - CUSUM_SLACK, 0);
    run.lost = run.sum > 0 ? run.lost + history->inodes_lost[i] : 0;
    run.windows = run.sum > 0 ? run.windows + 1 : 0;
  }
  return run;
}

static double
files_of (const struct guardd_observation *seen)
{
  double sum = 0;
  for (uint32_t i = 0; i < seen->n_structures; i++)
    if (seen->structures[i].flags & GUARDD_STRUCTURE_COUNTED && seen->structures[i].used_inodes != UINT64_MAX)
      sum += (double)seen->structures[i].used_inodes;
  return sum;
}

void
judge_steady (const struct thresholds *limit, const struct say *to)
{
  struct run run = find_run (limit, to->input->history);
  double percent = 100 * run.lost / fmax (run.lost + files_of (to->input->now), 1);
  double least = (double)say_relieved (to, "steady-loss", limit->steady_percent);
  if (run.sum < CUSUM_LIMIT || run.lost < (double)limit->steady_inodes || percent < least)
    return;
  struct say_considered considered = { .n = 0 };
  say_considered (&considered, "not one cleanup: it went on through %u windows of ten minutes", run.windows);
  say_considered (&considered,
                  "not its usual coming and going: a window loses %.0f as a rule, and %.0f at most",
                  to->input->history->features[GUARDD_FEATURE_INODES_LOST].all.median,
                  to->input->history->features[GUARDD_FEATURE_INODES_LOST].all.most);
  const struct guardd_finding finding = { .rule = "steady-loss",
                                          .level = GUARDD_LEVEL_WARN,
                                          .structure = "",
                                          .slow = 1,
                                          .seen = percent,
                                          .expected = least,
                                          .unit = "percent of its files",
                                          .soft = 1,
                                          .horizon = "24h",
                                          .considered = considered.sentences,
                                          .n_considered = considered.n };
  say (to, finding, "disk %s: ever more files are gone: %.0f within %u minutes, %.0f %% of what was there",
       to->input->disk, run.lost, run.windows * 10, percent);
}
