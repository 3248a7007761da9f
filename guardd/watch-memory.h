/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch-memory.h: the inside of a Watch, and its file.  Private to the watch files. */
#pragma once

#include "peaks.h"
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
  GPtrArray *structures; /* WatchStructure */
  Tally *tally;
} WatchMemory;

struct Watch {
  char *state_dir, *uuid;
  GHashTable *disks; /* target -> WatchMemory */
  Incident *incident;
  guint64 good; /* number of the last snapshot that was */
  gint64 saved; /* monotonic */
};

WatchMemory *watch_memory (Watch *watch, const char *target); /* made when it is new */
WatchStructure *watch_structure (WatchMemory *memory, const struct guardd_structure *is, bool make);
void watch_structure_free (gpointer structure);

/* --- watch-file.c --- */
void watch_load (Watch *watch);
void watch_save (Watch *watch); /* a failure is a warning */
