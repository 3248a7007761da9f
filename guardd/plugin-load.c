/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin-load.h"

#include <dlfcn.h>
#include <string.h>

const char *
plugin_kind_name (enum guardd_plugin_kind kind)
{
  switch (kind) {
  case GUARDD_PLUGIN_STORAGE:
    return "storage";
  case GUARDD_PLUGIN_DETECTOR:
    return "detector";
  case GUARDD_PLUGIN_ALERT:
    return "alert";
  }
  return "unknown";
}

static bool
plugin_check (const Plugin *loaded, enum guardd_plugin_kind kind, size_t ops_size, GError **error)
{
  const struct guardd_plugin *plugin = loaded->plugin;
  if (plugin == NULL || plugin->size < sizeof *plugin)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: its description is too short; rebuild it",
                 loaded->path);
  else if (plugin->api != GUARDD_PLUGIN_API)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: is for plugin API %u, this guardd has %u",
                 loaded->path, plugin->api, GUARDD_PLUGIN_API);
  else if (plugin->kind != kind)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: is no %s plugin", loaded->path,
                 plugin_kind_name (kind));
  /* Every kind's ops begin with their size. */
  else if (plugin->ops == NULL || *(const uint32_t *)plugin->ops < ops_size)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: lacks operations; rebuild it",
                 loaded->path);
  else
    return true;
  return false;
}

bool
plugin_load (Plugin *plugin, const char *plugin_dir, enum guardd_plugin_kind kind, const char *name,
             size_t ops_size, GError **error)
{
  guardd_plugin_entry_fn entry = NULL;
  plugin->path = g_strdup_printf ("%s/%s-%s.so", plugin_dir, plugin_kind_name (kind), name);
  plugin->handle = dlopen (plugin->path, RTLD_NOW | RTLD_LOCAL);
  if (plugin->handle)
    *(void **)&entry = dlsym (plugin->handle, "guardd_plugin_entry");
  if (entry == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "cannot load %s plugin \"%s\": %s; plugin_dir of guardd.conf says where they are",
                 plugin_kind_name (kind), name, dlerror ());
    plugin_unload (plugin);
    return false;
  }
  plugin->plugin = entry ();
  if (plugin_check (plugin, kind, ops_size, error))
    return true;
  plugin_unload (plugin);
  return false;
}

void
plugin_unload (Plugin *plugin)
{
  if (plugin->handle)
    dlclose (plugin->handle);
  g_free (plugin->path);
  *plugin = (Plugin){ 0 };
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

char **
plugin_names (const char *plugin_dir, enum guardd_plugin_kind kind)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *prefix = g_strconcat (plugin_kind_name (kind), "-", NULL);
  g_autoptr (GDir) dir = g_dir_open (plugin_dir, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, prefix) && g_str_has_suffix (name, ".so"))
      g_ptr_array_add (names, g_strndup (name + strlen (prefix), strlen (name) - strlen (prefix) - 3));
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&names), FALSE);
}
