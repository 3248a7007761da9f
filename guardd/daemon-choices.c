/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "base/files.h"
#include "base/json.h"

#include "daemon.h"

#include <fcntl.h>
#include <string.h>

/* STATE_DIR/protect.json: {"<uuid>": {"name": "web01", "protect": true, "policy": null}, …} */

static char *
choices_path (const Daemon *daemon)
{
  return g_build_filename (daemon->config->state_dir, "protect.json", NULL);
}

static bool
choice_load (Daemon *daemon, const char *uuid, json_object *value, GError **error)
{
  const char *name = NULL, *policy = NULL;
  bool protect = false;
  if (!json_get_string (value, "name", &name, error) || !json_get_bool (value, "protect", &protect, error)
      || !json_opt_string (value, "policy", &policy, error))
    return false;
  Guest *guest = daemon_guest (daemon, uuid, name);
  guest->choice = protect ? CHOICE_PROTECT : CHOICE_UNPROTECT;
  guest->choice_policy = g_strdup (policy);
  return true;
}

bool
daemon_choices_load (Daemon *daemon, GError **error)
{
  g_autofree char *path = choices_path (daemon);
  g_autoptr (GError) missing = NULL;
  g_autoptr (GBytes) content = files_read (AT_FDCWD, path, FILES_SMALL_MAX, &missing);
  if (content == NULL) {
    if (g_error_matches (missing, G_FILE_ERROR, G_FILE_ERROR_NOENT))
      return true;
    g_propagate_error (error, g_steal_pointer (&missing));
    return false;
  }
  gsize length = 0;
  const char *text = g_bytes_get_data (content, &length);
  g_autoptr (json_object) all = json_parse (path, text, length, error);
  if (all == NULL)
    return false;
  if (!json_object_is_type (all, json_type_object)) {
    g_set_error (error, JSON_ERROR, 0, "%s: not an object; remove it and protect the domains again", path);
    return false;
  }
  json_object_object_foreach (all, uuid, value)
  {
    if (!choice_load (daemon, uuid, value, error)) {
      g_prefix_error (error, "%s: %s: ", path, uuid);
      return false;
    }
  }
  return true;
}

bool
daemon_choices_save (Daemon *daemon, GError **error)
{
  g_autofree char *path = choices_path (daemon);
  g_autoptr (json_object) all = json_object_new_object ();
  GHashTableIter iter;
  const Guest *guest;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest)) {
    if (guest->choice == CHOICE_NONE)
      continue;
    json_object *value = json_object_new_object ();
    json_add_string (value, "name", guest->name);
    json_add_bool (value, "protect", guest->choice == CHOICE_PROTECT);
    json_add_string (value, "policy", guest->choice_policy);
    json_object_object_add (all, guest->uuid, value);
  }
  const char *text = json_object_to_json_string_ext (all, JSON_C_TO_STRING_PRETTY);
  return files_replace (AT_FDCWD, path, text, strlen (text), 0600, error);
}
