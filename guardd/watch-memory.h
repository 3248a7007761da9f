/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch-memory.h: the inside of a Watch, and its file.  Private to the watch files. */
#pragma once

#include "baseline.h"
#include "peaks.h"
#include "relief.h"
#include "tally.h"
#include "watch.h"

typedef struct {
  char *path;
  guint32 kind;
  guint8 uuid[16];
  Peaks *peaks;
} WatchStructure;

typedef struct {
  struct guardd_observation *good; /* as it was when nothing was wrong; NULL: not seen yet */
  struct guardd_observation *last;
  gint64 last_us;        /* its time; after a restart, of `good` */
  GPtrArray *structures; /* WatchStructure */
  Baseline *baseline;
  BaselineStep step; /* to `last` from the one before */
  bool stepped;      /* it has not been learnt */
  Tally *tally;
} WatchMemory;

struct Watch {
  char *state_dir, *uuid;
  GHashTable *disks; /* target -> WatchMemory */
  Incident *incident;
  guint64 good;       /* number of the last snapshot that was */
  gint64 saved;       /* monotonic */
  bool unsaved;       /* a look has added to it */
  GPtrArray *reliefs; /* Relief */
};

WatchMemory *watch_memory (Watch *watch, const char *target); /* made when it is new */
WatchStructure *watch_structure (WatchMemory *memory, const struct guardd_structure *is, bool make);
void watch_structure_free (gpointer structure);

/* --- watch-disk.c --- */
/* Adds to `findings` and `blind` what the detectors say of one disk. */
Suspicion watch_judge_disk (Watch *watch, const Detectors *detectors, gint64 time_us, const WatchDisk *disk,
                            GPtrArray *findings, GPtrArray *blind);
/* What was judged last becomes what is normal. */
void watch_learn (Watch *watch, gint64 time_us);

/* --- watch-sign.c --- */
/* Nothing from then on is good. */
gint64 watch_first_sign (Watch *watch, const GPtrArray *findings, gint64 time_us);

/* --- watch-file.c --- */
void watch_load (Watch *watch);
void watch_save (Watch *watch); /* a failure is a warning */
