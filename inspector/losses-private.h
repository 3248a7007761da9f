/* SPDX-License-Identifier: GPL-2.0-or-later */
/* losses-private.h: what losses.c collects and losses-report.c tells. */
#pragma once

#include "losses.h"

typedef struct {
  guint64 files, bytes;
} Sum;

typedef enum { BY_DIRECTORY, BY_EXTENSION, BY_OWNER, KINDS } Kind;

typedef struct {
  char *name;
  Sum lost;
} Group;

typedef struct {
  GHashTable *by_name; /* Group.name -> index + 1 */
  GArray *groups;      /* Group; the first is for all that do not fit */
} Groups;

typedef struct {
  guint64 inode, size;
  gint64 mtime;
  guint32 filesystem;
  guint32 groups[KINDS];
  bool renamed;
} Record;

typedef struct {
  char *path;
  const char *what;
  guint64 bytes, weight;
  gint64 record; /* of the deleted one; -1: none */
} Sample;

struct Losses {
  Sum deleted, emptied, shrunk, added, rewritten, renamed;
  Groups kinds[KINDS];
  GArray *gone, *fresh; /* Record */
  GArray *samples;      /* Sample, heaviest first */
  GArray *tampered;     /* Sample: records */
  GArray *watched;      /* Sample, as found */
  GHashTable *names;    /* of new files: name -> copies */
  GHashTable *suffixes; /* appended to names: suffix -> files */
  char *last_deleted;   /* path */
  guint32 filesystem;
};

void sum_add (Sum *sum, guint64 bytes);
void losses_add_to_groups (Losses *losses, const guint32 *groups, guint64 bytes);
