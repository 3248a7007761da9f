/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inspector-child.h: one process of the inspector, and what it says: bounded, and until a deadline.  Private
 * to inspector.c.
 */
#pragma once

#include "inspector.h"

#define CHILD_FDS_MAX 3u

typedef struct {
  pid_t pid;
  int words;  /* its stderr */
  int answer; /* where it leaves JSON; -1: nowhere */
  int bulk;   /* where the inventory comes from; -1: nowhere */
  GString *said, *answered;
  gint64 end; /* monotonic */
  GCancellable *cancellable;
} Child;

void child_init (Child *child, gint64 time_us, GCancellable *cancellable);
/* Starts it, with given[i] as its descriptor 3 + i and `output` as its 1 (-1: its stderr).  memory: bytes of
 * addresses that it and each of its children may have; 0: any. */
bool child_spawn (Child *child, char *const *argv, const int *given, guint n, int output, guint64 memory,
                  GError **error);
/* Until all its ends are closed; the inventory goes to `to`. */
bool child_listen (Child *child, int to, GError **error);
/* Waits for its end: false when that was no success. */
bool child_end (Child *child, GError **error);
/* What it has left as JSON, an object; NULL on error. */
json_object *child_answer (const Child *child, GError **error);
/* Kills it if it still runs. */
void child_clear (Child *child);
/* Sets an error: "the inspector WHAT".  Always false. */
bool child_blind (GError **error, const char *what);
