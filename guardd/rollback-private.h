/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollback-private.h: what rollback*.c share.
 */
#pragma once

#include "job.h"
#include "rollback-journal.h"
#include "rollback.h"

typedef struct {
  RollbackOptions *options; /* NULL: finishing what an earlier guardd began */
  RollbackJournal *journal;
  Snapshot *target;
  guint64 *differing, *written; /* bytes, by disk of the journal */
  bool started;
  gint64 down_since, down_until; /* monotonic; 0: was not down */
} RollbackData;

/* --- rollback-plan.c: checks everything before anything is touched --- */
bool rollback_plan (Job *job, GError **error);
/* The guest stands still, and this is its state: what is to be done to each disk. */
bool rollback_prepare (Job *job, const Snapshot *evidence, GError **error);
/* Bytes that differ between snapshot `from` and the target, and whether they fit.  check: also that they are
 * intact, by reading them.  Disks that are replaced by a clone are left out. */
bool rollback_compare (Job *job, guint64 from, bool check, GError **error);

/* --- rollback-steps.c: on the job's thread --- */
/* From the step in the journal on to the end. */
bool rollback_carry_out (Job *job, GError **error);
/* Before anything was written: the guest goes on as it was. */
void rollback_undo (Job *job);
/* Journal first, then the event. */
bool rollback_enter (Job *job, RollbackStep step, GError **error, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
virDomainPtr rollback_domain (Job *job, GError **error);
bool rollback_libvirt_fail (const Job *job, const char *what, GError **error);
