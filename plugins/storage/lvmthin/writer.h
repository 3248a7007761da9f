/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer.h: image_create … image_seal of the storage contract.
 */
#pragma once

#include "record.h"

int writer_create (void *instance, const struct guardd_call *call, const struct guardd_image_spec *spec,
                   void **writer);
int writer_write (void *writer, const struct guardd_call *call, guint64 first, guint64 count,
                  const void *data, const guint8 *hashes);
int writer_zero (void *writer, const struct guardd_call *call, guint64 first, guint64 n);
int writer_seal (void *writer, const struct guardd_call *call, struct guardd_image_info *info);
void writer_abort (void *writer);

/* One whose volume is made as a clone by clone.c, under the record's name; nothing is made yet. */
void *writer_new_cloned (ThinInstance *instance, const struct guardd_call *call,
                         const struct guardd_image_spec *spec);
const Record *writer_record (const void *writer);
