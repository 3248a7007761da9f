/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.h: a thin pool and guardd's volumes in it.
 *
 * A volume is active while somebody uses it, and for a moment after: sentinel, scan and inspector open a
 * snapshot one after the other, and each activation is an LVM command.  A sealed volume is read-only, flagged
 * to be skipped by `vgchange -ay`, and tagged guardd and guardd-<first eight digits of the pool's id>.
 *
 * Thread-safe.  LVM commands wait for one another.
 */
#pragma once

#include "../common/instance.h"

typedef struct ThinPool ThinPool;
typedef struct Volume Volume; /* one use of an active volume */

/* path: of guardd's pool, for messages and the helper's lock.  Checks that thin pool and helper are there. */
ThinPool *thin_pool_open (const struct guardd_call *call, const char *path, const struct guardd_param *params,
                          size_t n_params);
void thin_pool_close (ThinPool *pool); /* NULL is fine */

/* What a rollback appends to the name of the evidence's volume: for the disk that was there, and for the
 * clone until it has the disk's name. */
#define THIN_POOL_KEPT "-kept"
#define THIN_POOL_FRESH "-new"
/* "guardd-1a2b3c4d-<domain without dashes>-00000042-vda"; g_free().  Of a draft: as it will be called.  NULL:
 * too long for LVM, were it only with the above. */
char *thin_pool_volume_name (const ThinPool *pool, const struct guardd_call *call, const ImageName *name);
/* "vg0/guardd-…"; g_free() */
char *thin_pool_full_name (const ThinPool *pool, const char *lv);

/* --- room --- */
/* ENOSPC when data or metadata are filled beyond refuse_at, or the kernel has stopped the pool. */
int thin_pool_check_room (ThinPool *pool, const struct guardd_call *call);
int thin_pool_space (ThinPool *pool, const struct guardd_call *call, struct guardd_space *space);
/* Discarding whole chunks of this many bytes makes them zero; 0: it does not. */
guint64 thin_pool_discard_bytes (ThinPool *pool);

/* --- volumes --- */
/* An empty one, or a copy of `origin`; in use, writable.  What is there under that name is removed first: it
 * is a draft's that died. */
Volume *volume_create (ThinPool *pool, const struct guardd_call *call, const char *lv, guint64 size);
Volume *volume_copy (ThinPool *pool, const struct guardd_call *call, const char *lv, const char *origin);
/* Activates it.  identity: what volume_identity() said when it was sealed; another volume is an error.  NULL:
 * any. */
Volume *volume_acquire (ThinPool *pool, const struct guardd_call *call, const char *lv,
                        const guint8 *identity);
void volume_release (Volume *volume); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Volume, volume_release)
const char *volume_path (const Volume *volume); /* "/dev/mapper/…" */
/* Of which volume this is: from its UUID, which LVM gives once. */
int volume_identity (const Volume *volume, const struct guardd_call *call, guint8 *identity);
int volume_extend (Volume *volume, const struct guardd_call *call, guint64 size);
int volume_protect (Volume *volume, const struct guardd_call *call); /* read-only from now on */

/* One that is in use goes when it is released.  One that is not there is success. */
int thin_pool_remove (ThinPool *pool, const struct guardd_call *call, const char *lv);
/* Removes all of ours that begin with `prefix` and are not in `keep` (a set of names), and deactivates all of
 * ours that nobody uses. */
int thin_pool_sweep (ThinPool *pool, const struct guardd_call *call, const char *prefix, GHashTable *keep);
/* "guardd-1a2b3c4d-<domain>-"; g_free() */
char *thin_pool_prefix (const ThinPool *pool, const char *domain);
