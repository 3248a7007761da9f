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

/* The most that a structure held within each horizon, before now; 0: not known.  Held is what was there for
 * half an hour, or since this disk is known. */
struct guardd_peak {
  uint64_t used_bytes, used_inodes, used_dirs;
};

/* What is counted of a disk, of what happened between two snapshots. */
enum guardd_feature {
  GUARDD_FEATURE_CHANGED = 0, /* bytes that changed, but for what became zero where nothing is in use */
  GUARDD_FEATURE_ZEROED,      /* bytes that became zero while in use */
  GUARDD_FEATURE_INODES_LOST, /* fewer in use than before, all filesystems of the disk together */
  GUARDD_FEATURE_BYTES_LOST,
  GUARDD_FEATURE_RISEN, /* bytes in use whose entropy rose (GUARDD_CHANGE_LOW_TO_HIGH, _LOW_TO_MID) */
  GUARDD_FEATURES,
};

/* Of values of one feature, each of them the most in one hour's windows of ten minutes. */
struct guardd_reference {
  uint32_t samples;
  double median, mad, most; /* mad: median of the distances from the median */
};

struct guardd_baseline {
  double now;                   /* within the window of ten minutes that the snapshot ends, so far */
  struct guardd_reference hour; /* the same hour of the week, and the hours beside it */
  struct guardd_reference all;  /* all hours */
};

#define GUARDD_HISTORY_WINDOWS 144u /* a day */

/* What is usual on this disk.  Nothing is added to it while an incident is open. */
struct guardd_history {
  uint32_t size_of;
  uint32_t n_windows; /* of inodes_lost */
  uint64_t age_s;     /* since the first that was learnt */
  struct guardd_baseline features[GUARDD_FEATURES];
  double inodes_lost[GUARDD_HISTORY_WINDOWS]; /* net, in each of the last windows; the newest is the last */
  /* Of lately changed bytes: compared with what they were, and of these high in entropy before and after. */
  double sampled_bytes, high_bytes;
  double mapped_bytes,
      unmapped_bytes; /* of what changed: with and without a map, in time, of what is in use */
};

/* A person said that a soft rule was wrong on this guest. */
struct guardd_relief {
  const char *rule;
  uint32_t percent; /* to be added to the rule's threshold, which then is 90 % at most */
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
  const struct guardd_history *history; /* NULL: nothing is remembered */
  const struct guardd_relief *reliefs;
  uint32_t n_reliefs;
  const struct guardd_recent *recent; /* NULL: nothing is remembered; `now` is all there is */
};

/* Where the beginning of what was found is to be looked for. */
enum guardd_slow {
  GUARDD_SLOW_NOT = 0,
  GUARDD_SLOW_PEAK,   /* fewer inodes in use: it may have begun before `before` was seen, within `horizon` */
  GUARDD_SLOW_RECENT, /* found in `recent`: it may have begun in any of its snapshots */
  GUARDD_SLOW_PEAK_BYTES, /* fewer bytes in use, likewise */
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
  /* Guardd takes a finding that ends here, too. */
  int soft;            /* nonzero: a false positive relieves this rule on this guest (struct guardd_relief) */
  const char *horizon; /* what `expected` is of: "last-good", "1h", "24h", "7d"; NULL: it does not apply */
  /* Sentences: benign explanations that were tested, and by which number each was rejected. */
  const char *const *considered;
  uint32_t n_considered;
};

/* Rules that see nothing, or not in time, whatever happens. */
struct guardd_blind {
  uint32_t size_of;
  const char *rules;     /* with a space between: "deletion slow-deletion" */
  const char *structure; /* path of where; "": the disk */
  const char *why;       /* "encrypted by the guest: its files cannot be counted" */
  int late;              /* nonzero: they see it, but minutes later */
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
  /* May be missing: reports which of its rules are blind on this disk; as pure as judge(). */
  int (*blind) (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
                void (*report) (void *opaque, const struct guardd_blind *blind), void *opaque);
};

#ifdef __cplusplus
}
#endif
#endif
