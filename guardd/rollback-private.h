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
  int still;                    /* VIR_DOMAIN_*: as it stood when its evidence was begun */
  bool left_paused;             /* an earlier rollback suspended it, and could not resume it */
  bool entered;                 /* the journal is of this one */
  bool stuck;                   /* the guest cannot be resumed, or started, just now: again, until it is */
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

/* --- rollback-guest.c: on the job's thread --- */
/* job->domain becomes what libvirt says now.  G_IO_ERROR_NOT_FOUND: it knows none. */
bool rollback_describe (Job *job, GError **error);
/* Enters the step.  The guest stands still, and how is remembered. */
bool rollback_suspend (Job *job, GError **error);
/* The same of one that does already. */
bool rollback_watch (Job *job, virDomainPtr domain, GError **error);
Snapshot *rollback_evidence (Job *job, GError **error);
/* Ends its process, if it still stands as it did: what ran since is no evidence. */
bool rollback_destroy (Job *job, GError **error);
/* True only when libvirt says so. */
bool rollback_is_off (Job *job, GError **error);
/* libvirt does, whatever it says. */
bool rollback_answers (Job *job);
/* Before anything was written: the guest goes on as it was, disks that an earlier one has half written stay
 * guarded.  False: the journal remains. */
bool rollback_undo (Job *job, GError **error);
virDomainPtr rollback_domain (Job *job, GError **error);
bool rollback_libvirt_fail (const Job *job, const char *what, GError **error);

/* --- rollback-steps.c: on the job's thread --- */
/* From the step in the journal on to the end.  When it fails with a step up to STEP_DESTROY, nothing has been
 * written: rollback_undo(). */
bool rollback_carry_out (Job *job, GError **error);
/* Journal first, then the event. */
bool rollback_enter (Job *job, RollbackStep step, GError **error, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

/* --- rollback-recover.c: on the main thread --- */
/* After each: whoever captures the guest must know whether a journal remains. */
void rollback_settle (const Job *job);
/* For job->data_free. */
void rollback_data_free (gpointer data);
