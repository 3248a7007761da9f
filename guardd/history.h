/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history.h: the append-only, hash-chained file that says what was ever done to a
 * domain's snapshots.  This file knows lines and their chain; what they mean is
 * ledger.h.
 *
 * Format of POOL/<domain>/history: one JSON object per line, in UTF-8, ended by
 * "\n", always of the form
 *
 *   {"n":7,"time":"2026-11-24T02:00:00.123456Z","op":"create",…,"prev":"<64 hex>","hash":"<64 hex>"}
 *
 * n     counts lines up by one, also across segments
 * hash  SHA-256 of this very line's bytes from its "{" up to but excluding the
 *       last comma (the one before "hash"); it is always the last member
 * prev  hash of the line before; 64 zeros in the first line ever
 *
 * So a changed, removed or inserted line shows at the next one, and a changed
 * last line by its own hash.  A cut-off tail shows only against a remembered
 * head (history_head(); the catalog keeps one).
 *
 * A file that has grown long is replaced by one whose first line (a checkpoint)
 * sums up what is alive; its prev is the last hash of the old file, which stays
 * beside it as "history.old" for one more turn.
 *
 * Threads: one at a time.
 */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

#define HISTORY_HASH_SIZE 32
#define HISTORY_FILE "history"
#define HISTORY_SIZE_MAX ((size_t)64 * 1024 * 1024)

typedef struct History History;

typedef struct {
  guint64 n; /* of the last good line; 0: none */
  guint8 hash[HISTORY_HASH_SIZE];
} HistoryHead;

/* Called for every readable line in order, a damaged neighbourhood or not.  A sentence in *problem (g_free'd
 * by the caller) says that the line makes no sense; it is listed, and reading goes on. */
typedef void (*HistoryEach) (json_object *line, void *opaque, char **problem);

/* Reads the domain directory's history; one that does not exist is empty and made by the first append.
 * Everything wrong with it is added to problems (char *); only an I/O error is an error.  dir_fd is dup'ed.
 */
History *history_open (int dir_fd, HistoryEach each, void *opaque, GPtrArray *problems, GError **error);
void history_close (History *history);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (History, history_close)

/* The last line is not whole: a crash while it was written, or damage.  history_drop_torn() cuts it off. */
bool history_is_torn (const History *history);
bool history_drop_torn (History *history, GError **error);
/* A write or fsync() failed and nobody knows what the file has: only history_rotate() helps. */
bool history_is_broken (const History *history);
/* The file did not exist. */
bool history_is_new (const History *history);
guint64 history_size (const History *history);
void history_head (const History *history, HistoryHead *head);
/* The hash of line n, if the present file has it. */
bool history_hash_of (const History *history, guint64 n, guint8 *hash);

/* Adds a line with these members (taken over) and returns it (borrowed until the next call), or NULL.  It is
 * durable after history_sync() only. */
json_object *history_append (History *history, const char *op, json_object *members, GError **error);
bool history_sync (History *history, GError **error);
/* Takes the last appended line back, if nobody has seen it succeed.  On failure the history is
 * broken. */
void history_take_back (History *history);
/* Starts a new file with one line (see above), durably. */
json_object *history_rotate (History *history, const char *op, json_object *members, GError **error);

/* Checking in two steps, since only the first is short: the file as it is now, where it should end and its
 * path (g_free()); and, without the history, every line of it and that it does end there. */
GBytes *history_read (const History *history, HistoryHead *head, char **path, GError **error);
bool history_check (GBytes *content, const HistoryHead *head, const char *path, GError **error);
