/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch.h: what is remembered of one guest from snapshot to snapshot: how its disks looked when they were
 * last good, the most that they held, and the incident that is open.
 *
 * While an incident is open the memory is frozen: a ruined disk must not become what is normal.
 * Threads: one at a time; the job that owns the guest.
 */
#pragma once

#include "detectors.h"
#include "suspicion.h"

typedef struct Watch Watch;

typedef struct {
  const char *target;                    /* "vda" */
  const struct guardd_observation *seen; /* NULL: nobody could look */
  const char *why;                       /* then: why not */
} WatchDisk;

typedef struct {
  char *id;            /* UUID; the alert's as well */
  Level level;         /* the highest so far: warn or critical */
  gint64 opened_us;    /* the snapshot's in which it was first seen */
  gint64 last_us;      /* when something was last found */
  guint64 first_bad;   /* number of that snapshot */
  guint64 good;        /* number of the newest snapshot before the first sign; 0: there is none */
  gint64 sign_us;      /* nothing from here on is good */
  gint64 quiet_us;     /* since when nothing has been found, and all was seen; 0: something has */
  bool listed;         /* lists of files have opened it: no look at blocks can see that it is over */
  bool rolled_back;    /* by guardd, to what was good: it ends with the next look that finds nothing */
  GPtrArray *findings; /* Finding: of when it was opened, or raised */
} Incident;

typedef struct {
  Level level;         /* the snapshot's: at least the open incident's */
  GPtrArray *findings; /* Finding: of this snapshot */
  GPtrArray *blind;    /* BlindSpot: what its rules cannot see */
  bool opened, raised; /* by this snapshot */
  Suspicion suspicion; /* whether its files should be listed */
  Incident *resolved;  /* that it ended: quiet for an hour, or rolled back; NULL: none */
} Verdict;
void verdict_clear (Verdict *verdict);

/* Takes up what was remembered in `state_dir`; what cannot be read is forgotten with a warning. */
Watch *watch_new (const char *state_dir, const char *uuid);
void watch_free (Watch *watch); /* saves it; NULL is fine */
/* Judges one snapshot; *verdict is filled. */
void watch_judge (Watch *watch, const Detectors *detectors, guint64 number, gint64 time_us,
                  const WatchDisk *disks, guint n_disks, Verdict *verdict);
/* Borrowed until the next call; NULL: none is open. */
const Incident *watch_incident (const Watch *watch);
/* The snapshot before the first sign, when the caller knows better (slow deletion). */
void watch_set_good (Watch *watch, guint64 number);
/* What else was found of the open incident `id` (NULL, or another than the open one: nothing happens), in the
 * place of what the same rules have found in the same places; its level follows. */
void watch_add_findings (Watch *watch, const char *id, const GPtrArray *findings);
typedef struct {
  guint64 good, number; /* snapshots, older one first */
  gint64 good_time_us, time_us;
} WatchListed;
/* What two lists of files say, warn at least, when nobody had suspected anything: opens an incident; false:
 * one is open already, and they are added to it. */
bool watch_open_listed (Watch *watch, const WatchListed *listed, const GPtrArray *findings);
/* Guardd has put all disks back to what snapshot `number` has. */
void watch_rolled_back (Watch *watch, guint64 number);
/* All files are back: ends the incident `id` if lists have opened it, and returns it, to be freed; NULL:
 * nothing has happened. */
Incident *watch_end_listed (Watch *watch, const char *id);
/* It was a false positive: an open incident with this id ends, and what is there now is what is normal.  Soft
 * rules among `findings` are relieved on this guest, whether it is open still or not. */
void watch_false_positive (Watch *watch, const char *id, const GPtrArray *findings, gint64 now_us);
/* Relief: what holds at that time; g_ptr_array_unref() */
GPtrArray *watch_reliefs (Watch *watch, gint64 now_us);
json_object *incident_to_json (const Incident *incident);
Incident *incident_from_json (json_object *json, GError **error);
Incident *incident_copy (const Incident *incident);
void incident_free (Incident *incident);
bool incident_has_lists (const Incident *incident); /* of what lists have found */
bool incident_is_encrypting (const Incident *incident);
