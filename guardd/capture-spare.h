/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-spare.h: scratches whose descriptor sets a paused QEMU keeps.
 *
 * QEMU drops a descriptor set only while its guest runs (monitor_fdset_cleanup()).  One more with every
 * snapshot of a guest that is paused, and whose disks change all the same, would use its descriptors up: so
 * the set is used again instead.  Threads: those of the session that it belongs to.
 */
#pragma once

#include "scratch.h"

#include "qmp/qmp-block.h"

typedef struct CaptureSpares CaptureSpares;

CaptureSpares *capture_spares_new (void);
/* The sets themselves are left to capture_qmp_sweep(). */
void capture_spares_free (CaptureSpares *spares);

/* A scratch in memory that QEMU has already, emptied for a disk of `size`; its set in *fdset.  NULL: none.
 * Arguments as scratch_new()'s. */
Scratch *capture_spares_take (CaptureSpares *spares, guint64 size, guint64 limit, gint64 *fdset);
/* Takes the scratch over. */
void capture_spares_put (CaptureSpares *spares, Scratch *scratch, gint64 fdset);
bool capture_spares_any (const CaptureSpares *spares);
/* The guest runs again: takes all sets out of QEMU.  Goes on after a failure. */
bool capture_spares_drop (CaptureSpares *spares, QmpClient *client, GError **error);
