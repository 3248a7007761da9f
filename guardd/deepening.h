/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deepening.h: one comparison of two lists of a guest's files, from its start until what it says is told. */
#pragma once

#include "job.h"

typedef struct {
  char *incident;  /* the one that is looked into; NULL: by schedule, or on suspicion */
  bool encrypting; /* what it has found so far */
  bool again;      /* it was looked into before: whether all is back, or worse, is asked */
  Suspicion suspicion;
  gint64 before_us;        /* suspected: the newest snapshot of before is compared with; 0: not suspected */
  guint64 from, to;        /* numbers; from 0: the newest older one that has a list; to 0: the newest */
  gint64 times_us[2];      /* theirs */
  Pool *pool;              /* where they are pinned until all is told */
  bool pinned[2];          /* from, to */
  json_object *difference; /* NULL: there is nothing to compare with */
  GPtrArray *findings;
  GPtrArray *problems; /* sentences for the log */
  bool opened;         /* an incident */
  bool news;           /* for the incident */
  Incident *over;      /* the incident that has ended; NULL: none */
  char uuid[37];       /* the guest's */
} Deepening;

/* incident NULL: by schedule, or on suspicion. */
Deepening *deepening_new (const Guest *guest, const Incident *incident, guint64 to);
void deepening_free (gpointer opaque);

/* --- job-listed.c --- */
/* What the files say belongs to the incident that is open, or makes one, or ends one; and is told.  Takes
 * data over. */
void job_listed (Daemon *daemon, Guest *guest, Deepening *data);
