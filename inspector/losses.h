/* SPDX-License-Identifier: GPL-2.0-or-later */
/* losses.h: what is gone, summed up by directory, extension and owner; bounded, whatever a guest has. */
#pragma once

#include "inventory.h"

#include <glib.h>
#include <json-c/json.h>

typedef struct Losses Losses;

Losses *losses_new (void);
void losses_free (Losses *losses);
/* Files in one order of paths; mountpoint: "-", or what stands before the paths of this filesystem. */
void losses_deleted (Losses *losses, const char *mountpoint, const char *path,
                     const struct inventory_file *file);
void losses_new_file (Losses *losses, const char *path, const struct inventory_file *file);
void losses_changed (Losses *losses, const char *mountpoint, const char *path,
                     const struct inventory_file *before, const struct inventory_file *now);
/* Inodes of another filesystem begin. */
void losses_next_filesystem (Losses *losses);
/* Pairs deleted with new ones (renamed), and adds its members to `to`.  Once. */
void losses_report (Losses *losses, json_object *to);
