/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mapper.h: what is asked of device-mapper directly: it takes no lock and reads no disk, so it may be asked
 * often, and it answers while an LVM command hangs.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
  guint64 data_bytes, data_used_bytes;
  guint64 metadata_bytes, metadata_used_bytes;
  guint64 chunk_bytes;
  guint64 held_root; /* block of the metadata snapshot; 0: none */
  guint64 transaction_id;
  bool discards; /* unmap */
  bool writable; /* the kernel has not stopped it */
} PoolUsage;

/* Failures are told by their errno; device-mapper does not print them too. */
void mapper_start (void);
bool mapper_usage (const char *vg, const char *pool, PoolUsage *usage, GError **error);
/* The metadata as it is now, frozen for thin_delta; one at a time for a pool. */
bool mapper_reserve_metadata (const char *vg, const char *pool, GError **error);
bool mapper_release_metadata (const char *vg, const char *pool, GError **error);
/* "/dev/mapper/vg0-pool_tmeta"; g_free(). */
char *mapper_metadata_path (const char *vg, const char *pool);
/* The pool has no volume of this thin id, which nobody has active. */
bool mapper_forget_volume (const char *vg, const char *pool, guint64 thin_id, GError **error);
/* Ends what a command that died was at with the devices of volume group vg (vg_uuid: without dashes), while
 * nobody has the group's lock: those that are suspended are resumed (their names), those of guardd's volumes
 * that never got a table are removed. */
GPtrArray *mapper_settle (const char *vg, const char *vg_uuid, GError **error);
