/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollback-write.h: writes a snapshot's blocks into a guest's own image, whatever its format, through
 * qemu-nbd.
 */
#pragma once

#include "nbd-socket.h"
#include "storage.h"

typedef struct {
  const char *run_dir, *path, *format;
  guint64 size;                                   /* of the disk; both readers' must be the same */
  StorageReader *from;                            /* what the image holds now */
  StorageReader *to;                              /* what it is to hold */
  void (*progress) (guint64 bytes, void *opaque); /* written so far, of this disk; may be NULL */
  void *opaque;
} RollbackWrite;

/* Bytes in blocks that differ; zero: those of them that become zero. */
bool rollback_measure (StorageReader *from, StorageReader *to, guint64 *differing, guint64 *zero,
                       GError **error);
/* Everything that would have to be written can be read, and is what was stored. */
bool rollback_check (StorageReader *from, StorageReader *to, GError **error);
/* Can be repeated; durable when it returns true. *written: bytes. */
bool rollback_write (const RollbackWrite *write, guint64 *written, GError **error);
