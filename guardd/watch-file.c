/* SPDX-License-Identifier: GPL-2.0-or-later */
/* STATE_DIR/watch/UUID.json: what a Watch remembers over a restart. */
#define G_LOG_DOMAIN "guardd"
#include "sentinel.h"
#include "watch-memory.h"

#include "base/files.h"
#include "base/hex.h"
#include "base/json.h"

#include <fcntl.h>
#include <string.h>

static char *
file_path (const Watch *watch)
{
  return g_strdup_printf ("%s/watch/%s.json", watch->state_dir, watch->uuid);
}

static json_object *
memory_to_json (const WatchMemory *memory)
{
  json_object *object = json_object_new_object (), *structures = json_object_new_array ();
  json_object_object_add (object, "good", memory->good ? observation_to_json (memory->good) : NULL);
  for (guint i = 0; i < memory->structures->len; i++) {
    const WatchStructure *structure = memory->structures->pdata[i];
    json_object *entry = json_object_new_object ();
    g_autofree char *uuid = hex_format (structure->uuid, sizeof structure->uuid);
    json_add_string (entry, "path", structure->path);
    json_add_u64 (entry, "kind", structure->kind);
    json_add_string (entry, "uuid", uuid);
    json_object_object_add (entry, "peaks", peaks_to_json (structure->peaks));
    json_object_array_add (structures, entry);
  }
  json_object_object_add (object, "structures", structures);
  json_object_object_add (object, "baseline", baseline_to_json (memory->baseline));
  return object;
}

void
watch_save (Watch *watch)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (json_object) object = json_object_new_object ();
  json_object *disks = json_object_new_object ();
  g_autofree char *path = file_path (watch), *folder = g_path_get_dirname (path);
  GHashTableIter iter;
  gpointer target, memory;
  json_add_u64 (object, "good", watch->good);
  json_object_object_add (object, "reliefs", reliefs_to_json (watch->reliefs));
  json_object_object_add (object, "incident", watch->incident ? incident_to_json (watch->incident) : NULL);
  g_hash_table_iter_init (&iter, watch->disks);
  while (g_hash_table_iter_next (&iter, &target, &memory))
    json_object_object_add (disks, target, memory_to_json (memory));
  json_object_object_add (object, "disks", disks);
  const char *text = json_object_to_json_string_ext (object, JSON_C_TO_STRING_PLAIN);
  g_mkdir_with_parents (folder, 0700);
  watch->unsaved = false;
  if (!files_replace (AT_FDCWD, path, text, strlen (text), 0600, &error))
    g_warning ("%s; what is normal for this guest is forgotten at the next start", error->message);
}

static bool
structure_load (WatchMemory *memory, json_object *json, GError **error)
{
  struct guardd_structure is = { 0 };
  const char *path, *uuid;
  guint64 kind;
  json_object *peaks;
  if (!json_get_string (json, "path", &path, error) || !json_get_string (json, "uuid", &uuid, error)
      || !json_get_u64 (json, "kind", &kind, error) || !json_get_array (json, "peaks", &peaks, error))
    return false;
  if (!hex_parse (uuid, is.uuid, sizeof is.uuid))
    return true;
  is.kind = (guint32)kind;
  g_strlcpy (is.path, path, sizeof is.path);
  WatchStructure *structure = watch_structure (memory, &is, true);
  if (structure) {
    peaks_free (structure->peaks);
    structure->peaks = peaks_from_json (peaks);
  }
  return true;
}

static bool
memory_load (WatchMemory *memory, json_object *json, GError **error)
{
  json_object *good = NULL, *structures, *baseline = NULL;
  if (!json_get_array (json, "structures", &structures, error))
    return false;
  for (size_t i = 0; i < json_object_array_length (structures); i++)
    if (!structure_load (memory, json_object_array_get_idx (structures, i), error))
      return false;
  json_object_object_get_ex (json, "baseline", &baseline);
  baseline_free (memory->baseline);
  memory->baseline = baseline_from_json (baseline);
  memory->last_us = baseline_last_us (memory->baseline);
  if (!json_object_object_get_ex (json, "good", &good) || good == NULL)
    return true;
  memory->good = g_new0 (struct guardd_observation, 1);
  return observation_from_json (good, memory->good, error);
}

static bool
take_up (Watch *watch, json_object *json, GError **error)
{
  json_object *disks, *incident = NULL, *reliefs = NULL;
  if (!json_get_u64 (json, "good", &watch->good, error) || !json_get_object (json, "disks", &disks, error))
    return false;
  json_object_object_get_ex (json, "reliefs", &reliefs);
  g_ptr_array_unref (watch->reliefs);
  watch->reliefs = reliefs_from_json (reliefs);
  if (json_object_object_get_ex (json, "incident", &incident) && incident) {
    watch->incident = incident_from_json (incident, error);
    if (watch->incident == NULL)
      return false;
  }
  json_object_object_foreach (
      disks, target, memory) if (!memory_load (watch_memory (watch, target), memory, error)) return false;
  return true;
}

void
watch_load (Watch *watch)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = file_path (watch);
  g_autoptr (GBytes) bytes = files_read (AT_FDCWD, path, FILES_SMALL_MAX, &error);
  if (bytes == NULL && g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return;
  gsize length = 0;
  const char *text = bytes ? g_bytes_get_data (bytes, &length) : NULL;
  g_autoptr (json_object) json = text ? json_parse (path, text, length, &error) : NULL;
  if (json && take_up (watch, json, &error))
    return;
  g_warning ("%s: cannot be used (%s); what is normal for this guest is learnt anew", path,
             error ? error->message : "unreadable");
  g_clear_pointer (&watch->incident, incident_free);
  g_hash_table_remove_all (watch->disks);
}
