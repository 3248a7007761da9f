/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sentinel.h"

#include "base/hex.h"
#include "base/json.h"

#include <string.h>

static const char *const kind_names[GUARDD_STRUCTURE_KINDS] = {
  [GUARDD_STRUCTURE_UNKNOWN] = "unknown", [GUARDD_STRUCTURE_MBR] = "mbr",
  [GUARDD_STRUCTURE_GPT] = "gpt",         [GUARDD_STRUCTURE_PARTITION] = "partition",
  [GUARDD_STRUCTURE_EXT] = "ext",         [GUARDD_STRUCTURE_XFS] = "xfs",
  [GUARDD_STRUCTURE_BTRFS] = "btrfs",     [GUARDD_STRUCTURE_NTFS] = "ntfs",
  [GUARDD_STRUCTURE_FAT] = "fat",         [GUARDD_STRUCTURE_EXFAT] = "exfat",
  [GUARDD_STRUCTURE_SWAP] = "swap",       [GUARDD_STRUCTURE_PV] = "lvm-pv",
  [GUARDD_STRUCTURE_LV] = "lvm-lv",       [GUARDD_STRUCTURE_MD] = "md",
  [GUARDD_STRUCTURE_LUKS] = "luks",       [GUARDD_STRUCTURE_BITLOCKER] = "bitlocker",
};

static const char *const class_names[GUARDD_CHANGE_CLASSES] = {
  [GUARDD_CHANGE_OTHER] = "other",
  [GUARDD_CHANGE_TO_ZERO] = "to-zero",
  [GUARDD_CHANGE_LOW_TO_HIGH] = "low-to-high",
  [GUARDD_CHANGE_LOW_TO_MID] = "low-to-mid",
  [GUARDD_CHANGE_HIGH] = "high",
  [GUARDD_CHANGE_FROM_ZERO] = "from-zero",
  [GUARDD_CHANGE_ZERO_TO_HIGH] = "zero-to-high",
  [GUARDD_CHANGE_COLLAPSED] = "collapsed",
};

static const char *const place_names[GUARDD_PLACES] = {
  [GUARDD_PLACE_UNKNOWN] = "unknown",   [GUARDD_PLACE_FREE] = "free", [GUARDD_PLACE_KEPT] = "kept",
  [GUARDD_PLACE_METADATA] = "metadata", [GUARDD_PLACE_NEW] = "new",   [GUARDD_PLACE_LATE] = "late",
  [GUARDD_PLACE_RUINED] = "ruined",
};

static bool
path_is_plain (const char path[64])
{
  return memchr (path, '\0', 64) != NULL
         && strspn (path, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "+_.-/") == strlen (path);
}

static bool
refuse (GError **error, const char *what)
{
  g_set_error (error, SENTINEL_ERROR, SENTINEL_ERROR_BLIND, "the sentinel says what cannot be: %s", what);
  return false;
}

bool
observation_check (const struct guardd_observation *seen, GError **error)
{
  if (seen->size_of != sizeof *seen)
    return refuse (error, "an observation of another size");
  if (seen->n_structures > GUARDD_STRUCTURES_MAX)
    return refuse (error, "too many structures");
  for (guint i = 0; i < seen->n_structures; i++) {
    const struct guardd_structure *is = &seen->structures[i];
    if (is->kind >= GUARDD_STRUCTURE_KINDS || !path_is_plain (is->path))
      return refuse (error, "a structure that there is not");
    if (is->offset > seen->disk_size || is->length > seen->disk_size)
      return refuse (error, "a structure outside the disk");
  }
  return true;
}

/* JSON numbers are signed here; UINT64_MAX means unknown and is left out. */
static void
add_number (json_object *object, const char *key, guint64 value)
{
  if (value != G_MAXUINT64)
    json_add_u64 (object, key, MIN (value, (guint64)G_MAXINT64));
}

static void
add_hex (json_object *object, const char *key, const void *data, size_t length)
{
  g_autofree char *text = hex_format (data, length);
  json_add_string (object, key, text);
}

static json_object *
structure_to_json (const struct guardd_structure *is)
{
  json_object *object = json_object_new_object ();
  json_add_string (object, "kind", kind_names[is->kind]);
  json_add_string (object, "path", is->path);
  json_add_u64 (object, "flags", is->flags);
  add_hex (object, "uuid", is->uuid, sizeof is->uuid);
  add_number (object, "offset", is->offset);
  add_number (object, "length", is->length);
  add_number (object, "made", is->made);
  add_hex (object, "generation", &is->generation, sizeof is->generation);
  add_hex (object, "digest", &is->digest, sizeof is->digest);
  if (is->key != 0)
    add_hex (object, "key", &is->key, sizeof is->key);
  add_number (object, "total_bytes", is->total_bytes);
  add_number (object, "used_bytes", is->used_bytes);
  add_number (object, "total_inodes", is->total_inodes);
  add_number (object, "used_inodes", is->used_inodes);
  add_number (object, "used_dirs", is->used_dirs);
  return object;
}

json_object *
observation_to_json (const struct guardd_observation *seen)
{
  json_object *object = json_object_new_object (), *structures = json_object_new_array ();
  json_object *changed = json_object_new_object ();
  json_add_u64 (object, "disk_size", seen->disk_size);
  json_add_u64 (object, "read_bytes", seen->read_bytes);
  json_add_u64 (object, "elapsed_us", seen->elapsed_us);
  for (guint i = 0; i < GUARDD_CHANGE_CLASSES; i++)
    for (guint n = 0; n < GUARDD_PLACES; n++) {
      g_autofree char *key = g_strdup_printf ("%s %s", class_names[i], place_names[n]);
      if (seen->changed[i][n] > 0)
        add_number (changed, key, seen->changed[i][n]);
    }
  json_object_object_add (object, "changed_bytes", changed);
  for (guint i = 0; i < seen->n_structures; i++)
    json_object_array_add (structures, structure_to_json (&seen->structures[i]));
  json_object_object_add (object, "structures", structures);
  return object;
}

static bool
get_hex (json_object *object, const char *key, void *data, size_t length, GError **error)
{
  const char *text;
  if (!json_get_string (object, key, &text, error))
    return false;
  if (hex_parse (text, data, length))
    return true;
  g_set_error (error, JSON_ERROR, 0, "%s: not %zu bytes in hexadecimal", key, length);
  return false;
}

static bool
structure_from_json (json_object *object, struct guardd_structure *is, GError **error)
{
  const char *kind, *path;
  guint64 flags;
  is->used_bytes = is->used_inodes = is->used_dirs = G_MAXUINT64;
  if (!json_get_string (object, "kind", &kind, error) || !json_get_string (object, "path", &path, error)
      || !json_get_u64 (object, "flags", &flags, error)
      || !get_hex (object, "uuid", is->uuid, sizeof is->uuid, error)
      || !get_hex (object, "generation", &is->generation, sizeof is->generation, error)
      || !get_hex (object, "digest", &is->digest, sizeof is->digest, error)
      || (json_object_object_get_ex (object, "key", NULL)
          && !get_hex (object, "key", &is->key, sizeof is->key, error))
      || !json_opt_u64 (object, "offset", &is->offset, error)
      || !json_opt_u64 (object, "length", &is->length, error)
      || !json_opt_u64 (object, "made", &is->made, error)
      || !json_opt_u64 (object, "total_bytes", &is->total_bytes, error)
      || !json_opt_u64 (object, "used_bytes", &is->used_bytes, error)
      || !json_opt_u64 (object, "total_inodes", &is->total_inodes, error)
      || !json_opt_u64 (object, "used_inodes", &is->used_inodes, error)
      || !json_opt_u64 (object, "used_dirs", &is->used_dirs, error))
    return false;
  for (is->kind = 0; is->kind < GUARDD_STRUCTURE_KINDS && strcmp (kind_names[is->kind], kind) != 0;)
    is->kind++;
  is->flags = (guint32)flags;
  g_strlcpy (is->path, path, sizeof is->path);
  return true;
}

bool
observation_from_json (json_object *json, struct guardd_observation *seen, GError **error)
{
  json_object *structures;
  memset (seen, 0, sizeof *seen);
  seen->size_of = sizeof *seen;
  if (!json_get_u64 (json, "disk_size", &seen->disk_size, error)
      || !json_get_array (json, "structures", &structures, error))
    return false;
  size_t n = json_object_array_length (structures);
  if (n > GUARDD_STRUCTURES_MAX)
    return refuse (error, "too many structures");
  for (size_t i = 0; i < n; i++)
    if (!structure_from_json (json_object_array_get_idx (structures, i), &seen->structures[i], error))
      return false;
  seen->n_structures = (guint)n;
  return observation_check (seen, error);
}
