/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollback-journal.h: how far a rollback is, on disk before it is so.  STATE_DIR/rollback/<uuid>.json
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum { STEP_SUSPEND, STEP_EVIDENCE, STEP_DESTROY, STEP_WRITE, STEP_STATE, STEP_START } RollbackStep;
const char *rollback_step_name (RollbackStep step);

typedef struct {
  char *target, *path, *format;
  guint64 size;
  bool clone; /* the storage puts a clone of the snapshot in its place, instead of writing what differs */
} RollbackDisk;

typedef struct {
  char *uuid, *name, *pool;
  RollbackStep step;
  guint64 snapshot, evidence;             /* evidence 0: not yet */
  bool was_active, was_running, no_start; /* active: running, or paused by somebody */
  /* The disks (at most these) are so by an earlier rollback, which failed: until this one has written them
   * they are no guest's. */
  bool half_written;
  GPtrArray *disks; /* RollbackDisk */
} RollbackJournal;

RollbackJournal *rollback_journal_new (void);
void rollback_journal_free (RollbackJournal *journal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RollbackJournal, rollback_journal_free)
RollbackDisk *rollback_journal_add_disk (RollbackJournal *journal, const char *target, const char *path,
                                         const char *format, guint64 size);

/* The disks are neither what they were nor what they are to be. */
bool rollback_journal_guards (const RollbackJournal *journal);

/* Durable when it returns true. */
bool rollback_journal_save (const RollbackJournal *journal, const char *state_dir, GError **error);
bool rollback_journal_remove (const RollbackJournal *journal, const char *state_dir, GError **error);
/* False only when there is surely none. */
bool rollback_journal_exists (const char *uuid, const char *state_dir);
/* NULL without error: there is none. */
RollbackJournal *rollback_journal_load (const char *uuid, const char *state_dir, GError **error);
/* Every journal there is.  One that cannot be read is an error: somebody must look. */
GPtrArray *rollback_journal_load_all (const char *state_dir, GError **error);
