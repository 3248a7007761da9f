/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-libvirt-checkpoint.h: guardd's checkpoints in libvirt, which say what has changed since a snapshot.
 *
 * A name is "guardd-cp-", eight digits of the pool's id, and eight of the snapshot's, so none comes twice:
 * an image that was copied back may have a bitmap of any name that ever was.  Other people's checkpoints are
 * not touched.  Threads: blocking.
 */
#pragma once

#include "libvirt-call.h"
#include "pool.h"

/* libvirt itself waits 30 s for others' jobs on the domain. */
#define LIBVIRT_CALL_MS 40000u

char *libvirt_checkpoint_prefix (Pool *pool);                        /* g_free() */
char *libvirt_checkpoint_name (Pool *pool, const char *snapshot_id); /* g_free() */

/* Has libvirt look whether the bitmaps of a checkpoint are there and consistent.  Returns targets of its
 * disks
 * -> bytes that have changed since (guint64 *); NULL with VIR_ERR_NO_DOMAIN_CHECKPOINT or
 * VIR_ERR_CHECKPOINT_INCONSISTENT when it cannot be used any more. */
GHashTable *libvirt_checkpoint_validate (LibvirtCalls *calls, virDomainPtr domain, const char *name,
                                         GError **error);

/* Removes all of the pool's checkpoints but `keep` (NULL: all).  Of a guest that is off, whose bitmaps
 * libvirt cannot remove, they stay for the next time. */
bool libvirt_checkpoints_drop (LibvirtCalls *calls, virDomainPtr domain, Pool *pool, const char *keep,
                               GError **error);
