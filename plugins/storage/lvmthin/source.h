/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source.h: which thin volume the path of a guest's disk leads to.  Thread-safe.
 */
#pragma once

#include "ask.h"
#include "pool.h"

/* What LVM knows of the volume group (lvm/protocol.h); json_object_put().  NULL on failure. */
json_object *source_report (ThinPool *pool, const struct guardd_call *call);
/* The report's; NULL: there is none. */
json_object *source_by_name (json_object *report, const char *name);
/* The report's, and remembered.  NULL: the path leads to no thin volume of this thin pool, or to one of
 * guardd's. */
json_object *source_find (ThinPool *pool, const struct guardd_call *call, json_object *report,
                          const char *path);
/* "web" of a path that is, or leads by links to, "/dev/vg0/web" or "/dev/mapper/vg0-web", whether that is
 * there or not: whatever gets this name is found at the path.  g_free().  NULL: it leads to no name. */
char *source_name (const ThinPool *pool, const char *path);
/* The name of the volume that was found last at the path, without asking LVM; g_free().  NULL: none, or the
 * path leads elsewhere now. */
char *source_recall (ThinPool *pool, const char *path);
