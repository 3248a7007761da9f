/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.h: moves blocks between files, as reflinks where the filesystem has them; adjacent ones in one go.
 */
#pragma once

#include "fail.h"

typedef struct {
  int to;
  const char *to_path; /* for messages */
  int from;
  guint64 from_offset, to_offset, length; /* collected, not copied yet; length 0: nothing */
} CopyRun;

/* One block. */
int copy_run_add (CopyRun *run, const struct guardd_call *call, int from, guint64 from_offset,
                  guint64 to_offset);
int copy_run_flush (CopyRun *run, const struct guardd_call *call);
/* One block of the file reads as zero from now on. */
int copy_zero (const struct guardd_call *call, int to, const char *path, guint64 offset, guint64 length);
