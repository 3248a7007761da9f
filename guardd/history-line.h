/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history-line.h: the history's lines as text, made and checked; no files.  For history.c alone.
 */
#pragma once

#include "history.h"

#define HISTORY_PROBLEMS_MAX 100
/* Room for a checkpoint of some hundred thousand snapshots. */
#define HISTORY_LINE_MAX ((size_t)48 * 1024 * 1024)

/* The line after `head` with these members (taken over): its text with "\n" is appended, its hash set. */
json_object *history_line_make (const HistoryHead *head, const char *op, json_object *members, GString *text,
                                guint8 *hash);

/* Reads a whole file's content. */
typedef struct {
  HistoryEach each; /* NULL: check only */
  void *opaque;
  GPtrArray *problems;
  const char *path;
  guint64 line_number;
  HistoryHead head;
  guint64 first_n;
  GByteArray *hashes; /* may be NULL */
  guint64 torn_from;
} HistoryReader;

void history_reader_run (HistoryReader *reader, const char *data, size_t size);
G_GNUC_PRINTF (2, 3) void history_reader_problem (HistoryReader *reader, const char *format, ...);
