/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "manifest.h"

#include "base/hex.h"
#include "base/json.h"

#include <gio/gio.h>
#include <string.h>

#define MANIFEST_FORMAT 1
#define MANIFEST_DISKS_MAX 1024
#define MANIFEST_TARGET_MAX 31 /* struct guardd_change has room for that */

static void
manifest_disk_free (void *pointer)
{
  ManifestDisk *disk = pointer;
  g_free (disk->target);
  g_free (disk->source);
  g_free (disk->format);
  g_free (disk->full_reason);
  g_free (disk);
}

Manifest *
manifest_new (void)
{
  Manifest *manifest = g_new0 (Manifest, 1);
  manifest->disks = g_ptr_array_new_with_free_func (manifest_disk_free);
  return manifest;
}

void
manifest_free (Manifest *manifest)
{
  if (manifest == NULL)
    return;
  g_free (manifest->id);
  g_free (manifest->domain_uuid);
  g_free (manifest->domain_name);
  g_free (manifest->engine);
  g_free (manifest->engine_reason);
  g_free (manifest->origin);
  g_free (manifest->description);
  g_free (manifest->bitmap);
  g_ptr_array_unref (manifest->disks);
  g_free (manifest);
}

Manifest *
manifest_copy (const Manifest *manifest)
{
  Manifest *copy = manifest_new ();
  g_autoptr (GPtrArray) disks = g_steal_pointer (&copy->disks);
  *copy = *manifest;
  copy->id = g_strdup (manifest->id);
  copy->domain_uuid = g_strdup (manifest->domain_uuid);
  copy->domain_name = g_strdup (manifest->domain_name);
  copy->engine = g_strdup (manifest->engine);
  copy->engine_reason = g_strdup (manifest->engine_reason);
  copy->origin = g_strdup (manifest->origin);
  copy->description = g_strdup (manifest->description);
  copy->bitmap = g_strdup (manifest->bitmap);
  copy->disks = g_steal_pointer (&disks);
  for (guint i = 0; i < manifest->disks->len; i++) {
    const ManifestDisk *from = manifest->disks->pdata[i];
    ManifestDisk *to = g_new (ManifestDisk, 1);
    *to = *from;
    to->target = g_strdup (from->target);
    to->source = g_strdup (from->source);
    to->format = g_strdup (from->format);
    to->full_reason = g_strdup (from->full_reason);
    g_ptr_array_add (copy->disks, to);
  }
  return copy;
}

ManifestDisk *
manifest_add_disk (Manifest *manifest, const char *target)
{
  ManifestDisk *disk = g_new0 (ManifestDisk, 1);
  disk->target = g_strdup (target);
  g_ptr_array_add (manifest->disks, disk);
  return disk;
}

ManifestDisk *
manifest_find_disk (const Manifest *manifest, const char *target)
{
  for (guint i = 0; i < manifest->disks->len; i++) {
    ManifestDisk *disk = manifest->disks->pdata[i];
    if (strcmp (disk->target, target) == 0)
      return disk;
  }
  return NULL;
}

guint64
manifest_changed_bytes (const Manifest *manifest)
{
  guint64 sum = 0;
  for (guint i = 0; i < manifest->disks->len; i++)
    sum += ((ManifestDisk *)manifest->disks->pdata[i])->changed_bytes;
  return sum;
}

guint64
manifest_stored_bytes (const Manifest *manifest)
{
  guint64 sum = 0;
  for (guint i = 0; i < manifest->disks->len; i++)
    sum += ((ManifestDisk *)manifest->disks->pdata[i])->stored_bytes;
  return sum;
}

/* --- to JSON --- */

static json_object *
manifest_disk_to_json (const ManifestDisk *disk)
{
  g_autofree char *hex = hex_format (disk->index_hash, GUARDD_HASH_SIZE);
  json_object *json = json_object_new_object ();
  json_add_string (json, "target", disk->target);
  json_add_string (json, "source", disk->source);
  json_add_string (json, "format", disk->format);
  json_add_u64 (json, "size_bytes", disk->size);
  json_add_u64 (json, "parent", disk->parent);
  json_add_u64 (json, "read_bytes", disk->read_bytes);
  json_add_u64 (json, "changed_bytes", disk->changed_bytes);
  json_add_u64 (json, "stored_bytes", disk->stored_bytes);
  json_add_string (json, "full_reason", disk->full_reason);
  json_add_string (json, "index_hash", hex);
  return json;
}

json_object *
manifest_to_json (const Manifest *manifest)
{
  json_object *json = json_object_new_object ();
  json_add_u64 (json, "format", MANIFEST_FORMAT);
  json_add_u64 (json, "number", manifest->number);
  json_add_string (json, "id", manifest->id);
  json_add_string (json, "domain_uuid", manifest->domain_uuid);
  json_add_string (json, "domain_name", manifest->domain_name);
  json_object_object_add (json, "time_us", json_object_new_int64 (manifest->time_us));
  json_add_string (json, "engine", manifest->engine);
  json_add_string (json, "engine_reason", manifest->engine_reason);
  json_add_string (json, "origin", manifest->origin);
  json_add_string (json, "description", manifest->description);
  json_add_bool (json, "guest_active", manifest->guest_active);
  json_add_u64 (json, "stall_us", manifest->stall_us);
  json_add_u64 (json, "duration_us", manifest->duration_us);
  json_add_string (json, "bitmap", manifest->bitmap);
  json_add_bool (json, "has_nvram", manifest->has_nvram);
  json_add_bool (json, "has_tpm", manifest->has_tpm);
  json_object *disks = json_object_new_array ();
  for (guint i = 0; i < manifest->disks->len; i++)
    json_object_array_add (disks, manifest_disk_to_json (manifest->disks->pdata[i]));
  json_object_object_add (json, "disks", disks);
  return json;
}

/* --- from JSON --- */

G_GNUC_PRINTF (2, 3)
static bool
manifest_refuse (GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s", text);
  return false;
}

static bool
manifest_hash_parse (const char *hex, guint8 *hash, GError **error)
{
  return hex_parse (hex, hash, GUARDD_HASH_SIZE) || manifest_refuse (error, "index_hash: not a SHA-256");
}

static bool
manifest_target_check (const char *target, GError **error)
{
  size_t length = strlen (target);
  if (length < 1 || length > MANIFEST_TARGET_MAX)
    return manifest_refuse (error, "target: 1 to %d characters are allowed", MANIFEST_TARGET_MAX);
  if (strspn (target, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_-") != length)
    return manifest_refuse (error, "target: only letters, digits, _ and - are allowed");
  return true;
}

static bool
manifest_opt_dup (json_object *json, const char *key, char **out, GError **error)
{
  const char *text = NULL;
  if (!json_opt_string (json, key, &text, error))
    return false;
  *out = g_strdup (text);
  return true;
}

static bool
manifest_get_dup (json_object *json, const char *key, char **out, GError **error)
{
  const char *text = NULL;
  if (!json_get_string (json, key, &text, error))
    return false;
  *out = g_strdup (text);
  return true;
}

static bool
manifest_disk_from_json (Manifest *manifest, json_object *json, GError **error)
{
  const char *target = NULL, *hex = NULL;
  if (!json_get_string (json, "target", &target, error) || !manifest_target_check (target, error))
    return false;
  if (manifest_find_disk (manifest, target) != NULL)
    return manifest_refuse (error, "target: %s is there twice", target);
  ManifestDisk *disk = manifest_add_disk (manifest, target);
  if (!manifest_opt_dup (json, "source", &disk->source, error)
      || !manifest_opt_dup (json, "format", &disk->format, error)
      || !json_get_u64 (json, "size_bytes", &disk->size, error)
      || !json_get_u64 (json, "parent", &disk->parent, error)
      || !json_get_u64 (json, "read_bytes", &disk->read_bytes, error)
      || !json_get_u64 (json, "changed_bytes", &disk->changed_bytes, error)
      || !json_get_u64 (json, "stored_bytes", &disk->stored_bytes, error)
      || !manifest_opt_dup (json, "full_reason", &disk->full_reason, error)
      || !json_get_string (json, "index_hash", &hex, error)
      || !manifest_hash_parse (hex, disk->index_hash, error))
    return false;
  if (disk->parent >= manifest->number)
    return manifest_refuse (error, "parent: %" G_GUINT64_FORMAT " is not older than the snapshot itself",
                            disk->parent);
  return true;
}

static bool
manifest_disks_from_json (Manifest *manifest, json_object *json, GError **error)
{
  json_object *disks = NULL;
  if (!json_get_array (json, "disks", &disks, error))
    return false;
  size_t n = json_object_array_length (disks);
  if (n > MANIFEST_DISKS_MAX)
    return manifest_refuse (error, "disks: more than %d", MANIFEST_DISKS_MAX);
  for (size_t i = 0; i < n; i++)
    if (!manifest_disk_from_json (manifest, json_object_array_get_idx (disks, i), error)) {
      g_prefix_error (error, "disks[%zu]: ", i);
      return false;
    }
  return true;
}

static bool
manifest_identity_from_json (Manifest *manifest, json_object *json, GError **error)
{
  guint64 format = 0;
  if (!json_get_u64 (json, "format", &format, error))
    return false;
  if (format != MANIFEST_FORMAT)
    return manifest_refuse (error, "format: %" G_GUINT64_FORMAT ", but this guardd knows only %d", format,
                            MANIFEST_FORMAT);
  if (!json_get_u64 (json, "number", &manifest->number, error)
      || !manifest_get_dup (json, "id", &manifest->id, error)
      || !manifest_get_dup (json, "domain_uuid", &manifest->domain_uuid, error)
      || !manifest_get_dup (json, "domain_name", &manifest->domain_name, error))
    return false;
  if (manifest->number == 0)
    return manifest_refuse (error, "number: 0, but numbers count from 1");
  if (!g_uuid_string_is_valid (manifest->id))
    return manifest_refuse (error, "id: not a UUID");
  g_autofree char *lower = g_ascii_strdown (manifest->domain_uuid, -1);
  if (!g_uuid_string_is_valid (manifest->domain_uuid) || strcmp (lower, manifest->domain_uuid) != 0)
    return manifest_refuse (error, "domain_uuid: not a UUID in lower case");
  return true;
}

Manifest *
manifest_from_json (json_object *json, GError **error)
{
  g_autoptr (Manifest) manifest = manifest_new ();
  if (!manifest_identity_from_json (manifest, json, error)
      || !json_get_i64 (json, "time_us", &manifest->time_us, error)
      || !manifest_get_dup (json, "engine", &manifest->engine, error)
      || !manifest_opt_dup (json, "engine_reason", &manifest->engine_reason, error)
      || !manifest_get_dup (json, "origin", &manifest->origin, error)
      || !manifest_opt_dup (json, "description", &manifest->description, error)
      || !json_get_bool (json, "guest_active", &manifest->guest_active, error)
      || !json_get_u64 (json, "stall_us", &manifest->stall_us, error)
      || !json_get_u64 (json, "duration_us", &manifest->duration_us, error)
      || !manifest_opt_dup (json, "bitmap", &manifest->bitmap, error)
      || !json_get_bool (json, "has_nvram", &manifest->has_nvram, error)
      || !json_get_bool (json, "has_tpm", &manifest->has_tpm, error)
      || !manifest_disks_from_json (manifest, json, error))
    return NULL;
  return g_steal_pointer (&manifest);
}

/* --- state --- */

SnapshotState *
snapshot_state_new (void)
{
  return g_new0 (SnapshotState, 1);
}

void
snapshot_state_free (SnapshotState *state)
{
  if (state == NULL)
    return;
  g_free (state->hold);
  g_free (state->verdict);
  g_free (state);
}

SnapshotState *
snapshot_state_copy (const SnapshotState *state)
{
  SnapshotState *copy = snapshot_state_new ();
  copy->hold = g_strdup (state->hold);
  copy->evidence = state->evidence;
  copy->verdict = g_strdup (state->verdict);
  return copy;
}

json_object *
snapshot_state_to_json (const SnapshotState *state)
{
  json_object *json = json_object_new_object ();
  json_add_string (json, "hold", state->hold);
  json_add_bool (json, "evidence", state->evidence);
  json_add_string (json, "verdict", state->verdict);
  return json;
}

SnapshotState *
snapshot_state_from_json (json_object *json, GError **error)
{
  g_autoptr (SnapshotState) state = snapshot_state_new ();
  if (!manifest_opt_dup (json, "hold", &state->hold, error)
      || !json_get_bool (json, "evidence", &state->evidence, error)
      || !manifest_opt_dup (json, "verdict", &state->verdict, error))
    return NULL;
  return g_steal_pointer (&state);
}
