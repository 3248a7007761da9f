/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ledger.h: what a domain's history says is there: pure values, made by replaying
 * its lines one by one.  The only place that knows what the lines mean.
 *
 *   op          members
 *   create      snapshot, manifest (SHA-256 of manifest.json), disks [{disk, index_hash, stored_bytes}],
 *               files [{name, sha256}], state (or absent)
 *   void        snapshot: its create came to nothing
 *   state       snapshot, state (as in state.json)
 *   maintain    remove [numbers], changes [{snapshot, disk, action, index_hash, depth, stored_bytes}]: from
 *               this line on the named snapshots are gone and the changed images are the new ones
 *   maintained  -: all that the last maintain asked for has been done
 *   checkpoint  last (the highest number ever), snapshots [as create]: begins a new history file; "adopted":
 *               true when it was made up from the directory because the history was lost
 *
 * Threads: one at a time.
 */
#pragma once

#include "manifest.h"

#include <glib.h>
#include <guardd/storage.h>
#include <json-c/json.h>
#include <stdbool.h>

typedef struct {
  char disk[32];
  guint8 index_hash[GUARDD_HASH_SIZE]; /* as it is now */
  guint64 stored_bytes;                /* as it is now */
} LedgerDisk;

typedef struct {
  char *name;
  guint8 sha256[GUARDD_HASH_SIZE];
} LedgerFile;

typedef struct {
  guint64 number;
  guint8 manifest[GUARDD_HASH_SIZE]; /* SHA-256 of manifest.json */
  GArray *disks;                     /* LedgerDisk */
  GArray *files;                     /* LedgerFile; without manifest.json and state.json */
  SnapshotState *state;              /* NULL: none */
  bool removing;                     /* named by a maintain that has not been finished */
} LedgerEntry;

typedef struct Ledger Ledger;
Ledger *ledger_new (void);
void ledger_free (Ledger *ledger);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Ledger, ledger_free)

/* Takes one line in.  On error nothing has changed. */
bool ledger_apply (Ledger *ledger, json_object *line, GError **error);

LedgerEntry *ledger_find (const Ledger *ledger, guint64 number);           /* NULL: not there */
LedgerDisk *ledger_find_disk (const LedgerEntry *entry, const char *disk); /* NULL: not there */
const GPtrArray *ledger_entries (const Ledger *ledger);                    /* LedgerEntry, by number */
guint64 ledger_last_number (const Ledger *ledger);                         /* the highest ever; 0: none */
/* The snapshot whose create or state is the very last line; 0: the last line is another.  Only that one may
 * lag behind on disk after a crash. */
guint64 ledger_last_subject (const Ledger *ledger);
const char *ledger_last_op (const Ledger *ledger); /* "": no line yet */
/* A maintain line waits for its maintained line. */
bool ledger_is_maintaining (const Ledger *ledger);
guint64 ledger_stored_bytes (const LedgerEntry *entry);

/* --- members of lines; the caller owns them --- */
LedgerEntry *ledger_entry_new_empty (guint64 number);
LedgerEntry *ledger_entry_new (const Manifest *manifest, const guint8 *manifest_hash,
                               const SnapshotState *state);
void ledger_entry_add_file (LedgerEntry *entry, const char *name, const guint8 *sha256);
void ledger_entry_free (LedgerEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LedgerEntry, ledger_entry_free)
json_object *ledger_create_members (const LedgerEntry *entry);
json_object *ledger_void_members (guint64 number);
json_object *ledger_state_members (guint64 number, const SnapshotState *state);
json_object *ledger_maintain_members (const guint64 *remove, size_t n, const struct guardd_change *changes,
                                      size_t n_changes);
json_object *ledger_checkpoint_members (const Ledger *ledger);
/* The snapshot number that a change is about (the last part of its directory); 0: not understood. */
guint64 ledger_change_number (const struct guardd_change *change);
