/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * retention.h: which snapshots stay.  Pure: values in, values out.
 *
 * A retention is a list of steps COUNTxPERIOD, e.g. "60x1min 24x1h 14x1d 8x1w":
 * of each of the last COUNT periods that hold a snapshot, the newest in it stays.
 * Periods without snapshots do not count, so a host that was off loses nothing.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct Retention Retention;

/* Parses; the error says which word is wrong and what is accepted.  Zero steps are refused. */
Retention *retention_parse (const char *text, GError **error);
void retention_free (Retention *retention);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Retention, retention_free)
char *retention_to_string (const Retention *retention);

typedef struct {
  guint64 number;
  gint64 time_us;
  bool pinned; /* held, evidence: stays whatever the steps say, and uses up no period */
  bool keep;   /* out */
} RetentionItem;

/* Sets keep of each item.  Items in any order; the one with the highest number always stays.
 * Times in the future and equal times are fine.  Same items, same answer: now is not asked. */
void retention_apply (const Retention *retention, RetentionItem *items, size_t n);
