/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.h: the small files of an image that is a volume, while it is a draft.
 */
#pragma once

#include "instance.h"

typedef struct {
  ThinInstance *instance;
  ImageName *name;  /* of the draft */
  ImageName *base;  /* of a baseline; else NULL */
  char *lv;         /* the volume's name */
  char *parent;     /* the parent's volume; NULL: a baseline */
  IndexFacts facts; /* the overlay's */
  int dir_fd;
} Record;

/* Everything from the spec; nothing is made yet. */
int record_open (Record *record, ThinInstance *instance, const struct guardd_call *call,
                 const struct guardd_image_spec *spec);
void record_clear (Record *record);

/* Writes indexes and vda.lv.  entries: of the base where there is one, else of the overlay; unread: of a base
 * that nobody has read.  volume: for the identity; NULL: facts has it. */
int record_write (Record *record, const struct guardd_call *call, const Volume *volume, GArray *entries,
                  bool unread, struct guardd_image_info *info);
/* Turns what was begun as an overlay into a baseline. */
int record_make_base (Record *record, const struct guardd_call *call);
/* Removes files and volume. */
void record_discard (Record *record);
