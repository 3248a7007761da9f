/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plugin-load.h: opens <plugin_dir>/<kind>-<name>.so and checks what it says of itself.
 */
#pragma once

#include <gio/gio.h>
#include <glib.h>
#include <guardd/plugin.h>
#include <stdbool.h>

typedef struct {
  void *handle;
  const struct guardd_plugin *plugin; /* lives as long as the handle */
  char *path;
} Plugin;

/* ops_size: what its ops must have at least.  Errors: G_IO_ERROR, naming the file and what to do. */
bool plugin_load (Plugin *plugin, const char *plugin_dir, enum guardd_plugin_kind kind, const char *name,
                  size_t ops_size, GError **error);
void plugin_unload (Plugin *plugin); /* also of a zeroed one */
/* Names of the plugins of a kind that are there, sorted; g_strfreev() */
char **plugin_names (const char *plugin_dir, enum guardd_plugin_kind kind);
const char *plugin_kind_name (enum guardd_plugin_kind kind); /* "storage", … */
