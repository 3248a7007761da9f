/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-fleece.h: the point in time inside QEMU: scratch nodes, one transaction, exports; and their end.
 */
#pragma once

#include "capture-plan.h"

/* Scratches and bitmaps; the guest does not notice.  After a failure, here or in capture_fleece_begin(), call
 * capture_fleece_end() and capture_fleece_settle() all the same. */
bool capture_fleece_prepare (CapturePlan *plan, QmpClient *client, GError **error);

/* Everything up to connected NBD sockets in the plan.  *stall_us, *time_us: the transaction's duration and
 * wall-clock instant. */
bool capture_fleece_begin (CapturePlan *plan, QmpClient *client, guint64 *stall_us, gint64 *time_us,
                           GError **error);

/* Between the plan and the transaction somebody may have put another node on top (an external snapshot, a
 * pivot) or resized the disk: what was frozen would then not be what the guest sees.  Asks QEMU, from another
 * thread while the bytes are read: nobody may use the client meanwhile. */
bool capture_fleece_check (const CapturePlan *plan, QmpClient *client, GError **error);

/* Takes exports, jobs, nodes and descriptors out of QEMU: the guest's writes go straight again. Goes on after
 * a failure; false with the first error when something may be left. */
bool capture_fleece_end (CapturePlan *plan, QmpClient *client, GError **error);

/* Bitmaps: both have recorded all the time.  Sealed: the old one goes; not sealed: the new one.  And disks
 * that were unplugged meanwhile are closed (capture-orphan.h). */
bool capture_fleece_settle (CapturePlan *plan, QmpClient *client, bool sealed, GError **error);
