/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.h: what LVM knows of a volume group.
 */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

/* All wait while somebody changes the group. */
/* Adds "uuid", "extent_bytes" and "lvs" as protocol.h has them.  Asks the devices, too. */
bool report_group (const char *vg, json_object *answer, GError **error);
/* Without its dashes, as in the UUIDs of devices; g_free().  Asks no device, which may be suspended. */
char *report_uuid (const char *vg, GError **error);
/* Is any of these (strings) there? */
bool report_has_any (const char *vg, json_object *names, bool *any, GError **error);
