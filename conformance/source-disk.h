/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source-disk.h: a disk of a guest, as the guest writes to it. */
#pragma once

#include <glib.h>
#include <guardd/storage.h>
#include <stdbool.h>

#define BLOCK GUARDD_BLOCK_SIZE

typedef struct {
  const char *path;
  char disk[8];
  guint64 size;
  guint8 *now;     /* what it holds */
  guint8 *then[3]; /* what it held when the snapshot of that number was taken; 1 and 2 */
} Source;

/* Writes `now` to it. */
bool source_store (const Source *source);
bool source_holds (const Source *source, const guint8 *content);
/* Changes `now` in so many places, some to zero, one only in a part. */
void source_change (Source *source, GRand *random, guint writes);
