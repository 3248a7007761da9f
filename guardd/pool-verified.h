/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool-verified.h: what one who verifies several snapshots of a domain has found good, so that the images on
 * which many of them stand are read once, and not once for each.
 *
 * For one go: what is damaged afterwards does not show.  Threads: one at a time.
 */
#pragma once

#include "guardd/storage.h"

#include <glib.h>
#include <stdbool.h>

typedef struct PoolVerified PoolVerified;

PoolVerified *pool_verified_new (void);
void pool_verified_free (PoolVerified *verified); /* NULL is fine, here and below: nothing is known */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PoolVerified, pool_verified_free)

/* The image was good when its index had this hash: one that maintenance puts in its place has another. */
void pool_verified_add (PoolVerified *verified, guint64 number, const char *disk, const guint8 *index_hash);
bool pool_verified_has (const PoolVerified *verified, guint64 number, const char *disk,
                        const guint8 *index_hash);

/* So were, in that generation of the domain's images, all on which it stands. */
void pool_verified_add_chain (PoolVerified *verified, guint64 number, const char *disk, guint64 generation);
bool pool_verified_has_chain (const PoolVerified *verified, guint64 number, const char *disk,
                              guint64 generation);
