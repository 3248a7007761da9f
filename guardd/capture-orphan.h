/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-orphan.h: nodes of a disk that was unplugged while a scratch of guardd's stood on them.
 *
 * libvirt deletes a disk's nodes once, right after the unplugging; QEMU refuses that while they are in use,
 * and libvirt leaves it at that: the image would stay open, and locked, until QEMU ends.
 */
#pragma once

#include "capture-plan.h"

/* The nodes that those with this prefix stand on; names, g_ptr_array_unref().  To be asked before they are
 * deleted.  NULL: QEMU does not say. */
GPtrArray *capture_orphans_under (QmpClient *client, const char *prefix, char **nodes, GError **error);
/* Of these top nodes of disks, deletes those that nothing uses any more, with what they alone stand on: only
 * libvirt's.  False with the first error when one may be left. */
bool capture_orphans_delete (QmpClient *client, const GPtrArray *nodes, GError **error);
/* Has a disk of the plan been unplugged?  Also true when QEMU does not say.  Asked once its scratches are
 * gone: from then on libvirt deletes nodes by itself. */
bool capture_orphans_any (const CapturePlan *plan, QmpClient *client);
/* capture_orphans_delete() for the disks of a plan, once nothing of guardd's stands on them. */
bool capture_orphans_close (const CapturePlan *plan, QmpClient *client, GError **error);
