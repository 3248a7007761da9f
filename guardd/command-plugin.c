/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/json.h"

#include "commands.h"
#include "plugin-load.h"

static json_object *
describe (const char *directory, enum guardd_plugin_kind kind, const char *name)
{
  g_autoptr (GError) error = NULL;
  Plugin loaded = { 0 };
  json_object *json = json_object_new_object ();
  g_autofree char *file = g_strdup_printf ("%s-%s.so", plugin_kind_name (kind), name);
  g_autofree char *path = g_build_filename (directory, file, NULL);
  json_add_string (json, "kind", plugin_kind_name (kind));
  json_add_string (json, "name", name);
  json_add_string (json, "path", path);
  if (plugin_load (&loaded, directory, kind, name, sizeof (uint32_t), &error)) {
    json_add_string (json, "version", loaded.plugin->version);
    json_add_u64 (json, "api", loaded.plugin->api);
    json_add_string (json, "description", loaded.plugin->description);
  }
  json_add_string (json, "error", error ? error->message : NULL);
  plugin_unload (&loaded);
  return json;
}

void
command_plugin_list (ControlCall *call)
{
  const Daemon *daemon = control_call_opaque (call);
  const char *directory = daemon->config->plugin_dir;
  json_object *answer = json_object_new_object (), *list = json_object_new_array ();
  for (enum guardd_plugin_kind kind = GUARDD_PLUGIN_STORAGE; kind <= GUARDD_PLUGIN_ALERT; kind++) {
    g_auto (GStrv) names = plugin_names (directory, kind);
    for (char **name = names; *name; name++)
      json_object_array_add (list, describe (directory, kind, *name));
  }
  json_object_object_add (answer, "plugins", list);
  control_call_return (call, answer);
}
