/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json.h"
#include "qmp-block.h"

static json_object *
bitmap_arguments (const char *node, const char *name)
{
  json_object *arguments = json_object_new_object ();

  json_add_string (arguments, "node", node);
  json_add_string (arguments, "name", name);
  return arguments;
}

static bool
run_bitmap_command (QmpClient *client, const char *command, json_object *arguments, GError **error)
{
  g_autoptr (json_object) reply = qmp_client_call (client, command, arguments, NULL, 0, 0, error);

  return reply != NULL;
}

bool
qmp_bitmap_add (QmpClient *client, const char *node, const char *name, guint32 granularity, GError **error)
{
  json_object *arguments = bitmap_arguments (node, name);

  json_add_u64 (arguments, "granularity", granularity);
  return run_bitmap_command (client, "block-dirty-bitmap-add", arguments, error);
}

bool
qmp_bitmap_merge (QmpClient *client, const char *node, const char *target, const char *source, GError **error)
{
  json_object *arguments = json_object_new_object ();
  json_object *sources = json_object_new_array ();

  json_add_string (arguments, "node", node);
  json_add_string (arguments, "target", target);
  json_object_array_add (sources, json_object_new_string (source));
  json_object_object_add (arguments, "bitmaps", sources);
  return run_bitmap_command (client, "block-dirty-bitmap-merge", arguments, error);
}

bool
qmp_bitmap_remove (QmpClient *client, const char *node, const char *name, GError **error)
{
  return run_bitmap_command (client, "block-dirty-bitmap-remove", bitmap_arguments (node, name), error);
}
