/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * settle.h: what an LVM command of guardd's that was killed has left undone in a volume group.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Devices go on that are suspended (GPtrArray of their names), and a thin volume of ours whose making was
 * begun does not keep everybody from its thin pool.  Repeatable.  NULL on failure. */
GPtrArray *settle_group (const char *vg, GError **error);
