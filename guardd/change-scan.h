/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * change-scan.h: what the changed blocks of a disk turned into, against what they were.
 *
 * Arithmetic on bytes, no format: this may be done where nothing of a guest's is parsed.
 */
#pragma once

#include "content-sample.h"
#include "sentinel/wire.h"
#include "storage.h"

typedef struct {
  GArray *runs;        /* struct wire_run; at most WIRE_RUNS_MAX */
  guint64 data_factor; /* each run of the sample stands for so many */
} ChangeScan;

void change_scan_clear (ChangeScan *scan);
/* now, before: the same disk.  Blocks that became zero are all told, by the images' indexes.  Of the others
 * where they are (WIRE_CHANGED), and those that are in the sample, whose blocks of `before` alone are read.
 * Where none was taken (NULL, or empty: the storage has cloned the disk, or too many snapshots waited) some
 * are chosen now, and read from both. */
bool change_scan (StorageReader *now, StorageReader *before, ContentSample *sample, ChangeScan *scan,
                  GError **error);

/* Shannon's entropy, bits a byte; pure. */
double entropy_bits (const guint8 *data, size_t length);
/* What a piece of 4096 bytes turned into; pure. */
enum guardd_change_class change_classify (const guint8 *before, const guint8 *now, size_t length);
