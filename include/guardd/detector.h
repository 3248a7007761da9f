/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guardd/detector.h: the contract of a detector plugin.
 *
 * A detector is a set of rules: pure functions from what was seen of a disk, now and earlier, to findings.
 * It reads no file, asks nobody, and keeps nothing between calls; the core remembers.
 *
 * Concurrency: judge() is called for different disks from different threads at the same time.
 */
#ifndef GUARDD_DETECTOR_H
#define GUARDD_DETECTOR_H

#include <guardd/observation.h>
#include <guardd/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

enum guardd_level {
  GUARDD_LEVEL_OK = 0,
  GUARDD_LEVEL_INFO,     /* worth a line in the log: a first format, a resize */
  GUARDD_LEVEL_WARN,     /* the last good snapshot is held from here on */
  GUARDD_LEVEL_CRITICAL, /* and somebody is told at once */
};

enum guardd_horizon {
  GUARDD_HORIZON_HOUR,
  GUARDD_HORIZON_DAY,
  GUARDD_HORIZON_WEEK,
  GUARDD_HORIZONS,
};

/* The most that a structure's counters said within each horizon, the present included; 0: not known. */
struct guardd_peak {
  uint64_t used_bytes, used_inodes, used_dirs;
};

/* As in an observation, summed over the snapshots of the last ten minutes, this one included. */
struct guardd_recent {
  uint64_t changed[GUARDD_CHANGE_CLASSES][GUARDD_PLACES];
  struct guardd_exchange exchange;
};

struct guardd_judge_input {
  uint32_t size_of;
  const char *disk; /* "vda" */
  int64_t time_us;  /* of the snapshot, since 1970 */
  const struct guardd_observation *now;
  const struct guardd_observation *before; /* the last one that was good; NULL: this disk is new here */
  /* For now->structures[i]; NULL: nothing is remembered. */
  const struct guardd_peak (*peaks)[GUARDD_HORIZONS];
  const struct guardd_recent *recent; /* NULL: nothing is remembered; `now` is all there is */
};

/* Where the beginning of what was found is to be looked for. */
enum guardd_slow {
  GUARDD_SLOW_NOT = 0,
  GUARDD_SLOW_PEAK,   /* found against a peak: it began before `before` was seen */
  GUARDD_SLOW_RECENT, /* found in `recent`: it may have begun in any of its snapshots */
};

struct guardd_finding {
  uint32_t size_of;
  enum guardd_level level;
  const char *rule;      /* "structure-changed": stable, [a-z-] */
  const char *structure; /* path of what it is about; "": the disk */
  int lasting;      /* nonzero: is found again until the disk is as it was; else about this change alone */
  int slow;         /* enum guardd_slow */
  const char *text; /* a sentence for people: what was seen, what was expected, and why it is not benign */
  double seen, expected; /* the numbers behind it, in `unit`; unit NULL: there are none */
  const char *unit;
};

struct guardd_detector_ops {
  uint32_t size; /* sizeof (struct guardd_detector_ops) */
  /* params: thresholds, from the configuration.  *instance is set on success; never written to afterwards. */
  int (*open) (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
               void **instance);
  void (*close) (void *instance);
  /* Reports each finding through report(); what it points to need live no longer than that call. */
  int (*judge) (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
                void (*report) (void *opaque, const struct guardd_finding *finding), void *opaque);
};

#ifdef __cplusplus
}
#endif
#endif
