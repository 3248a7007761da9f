/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries as values, and the members of the lines that speak of them. */
#include "ledger.h"

#include "base/hex.h"
#include "base/json.h"

#include <string.h>

static void
ledger_file_clear (void *pointer)
{
  g_free (((LedgerFile *)pointer)->name);
}

LedgerEntry *
ledger_entry_new_empty (guint64 number)
{
  LedgerEntry *entry = g_new0 (LedgerEntry, 1);
  entry->number = number;
  entry->disks = g_array_new (FALSE, TRUE, sizeof (LedgerDisk));
  entry->files = g_array_new (FALSE, TRUE, sizeof (LedgerFile));
  g_array_set_clear_func (entry->files, ledger_file_clear);
  return entry;
}

void
ledger_entry_free (LedgerEntry *entry)
{
  if (entry == NULL)
    return;
  g_array_unref (entry->disks);
  g_array_unref (entry->files);
  snapshot_state_free (entry->state);
  g_free (entry);
}

LedgerEntry *
ledger_entry_new (const Manifest *manifest, const guint8 *manifest_hash, const SnapshotState *state)
{
  LedgerEntry *entry = ledger_entry_new_empty (manifest->number);
  memcpy (entry->manifest, manifest_hash, GUARDD_HASH_SIZE);
  entry->state = state ? snapshot_state_copy (state) : NULL;
  for (guint i = 0; i < manifest->disks->len; i++) {
    const ManifestDisk *from = manifest->disks->pdata[i];
    LedgerDisk disk = { .stored_bytes = from->stored_bytes };
    g_strlcpy (disk.disk, from->target, sizeof disk.disk);
    memcpy (disk.index_hash, from->index_hash, GUARDD_HASH_SIZE);
    g_array_append_val (entry->disks, disk);
  }
  return entry;
}

void
ledger_entry_add_file (LedgerEntry *entry, const char *name, const guint8 *sha256)
{
  LedgerFile file = { .name = g_strdup (name) };
  memcpy (file.sha256, sha256, GUARDD_HASH_SIZE);
  g_array_append_val (entry->files, file);
}

static void
ledger_add_hash (json_object *json, const char *key, const guint8 *hash)
{
  g_autofree char *hex = hex_format (hash, GUARDD_HASH_SIZE);
  json_add_string (json, key, hex);
}

json_object *
ledger_create_members (const LedgerEntry *entry)
{
  json_object *json = json_object_new_object ();
  json_object *disks = json_object_new_array (), *files = json_object_new_array ();
  json_add_u64 (json, "snapshot", entry->number);
  ledger_add_hash (json, "manifest", entry->manifest);
  for (guint i = 0; i < entry->disks->len; i++) {
    const LedgerDisk *disk = &g_array_index (entry->disks, LedgerDisk, i);
    json_object *item = json_object_new_object ();
    json_add_string (item, "disk", disk->disk);
    ledger_add_hash (item, "index_hash", disk->index_hash);
    json_add_u64 (item, "stored_bytes", disk->stored_bytes);
    json_object_array_add (disks, item);
  }
  json_object_object_add (json, "disks", disks);
  for (guint i = 0; i < entry->files->len; i++) {
    const LedgerFile *file = &g_array_index (entry->files, LedgerFile, i);
    json_object *item = json_object_new_object ();
    json_add_string (item, "name", file->name);
    ledger_add_hash (item, "sha256", file->sha256);
    json_object_array_add (files, item);
  }
  json_object_object_add (json, "files", files);
  if (entry->state != NULL)
    json_object_object_add (json, "state", snapshot_state_to_json (entry->state));
  return json;
}

json_object *
ledger_void_members (guint64 number)
{
  json_object *json = json_object_new_object ();
  json_add_u64 (json, "snapshot", number);
  return json;
}

json_object *
ledger_state_members (guint64 number, const SnapshotState *state)
{
  json_object *json = ledger_void_members (number);
  json_object_object_add (json, "state", snapshot_state_to_json (state));
  return json;
}

guint64
ledger_change_number (const struct guardd_change *change)
{
  g_autofree char *directory = g_strndup (change->directory, sizeof change->directory);
  const char *slash = strrchr (directory, '/');
  guint64 number = 0;
  if (slash == NULL || !g_ascii_string_to_unsigned (slash + 1, 10, 1, G_MAXINT64, &number, NULL))
    return 0;
  return number;
}

json_object *
ledger_maintain_members (const guint64 *remove, size_t n, const struct guardd_change *changes,
                         size_t n_changes)
{
  json_object *json = json_object_new_object ();
  json_object *numbers = json_object_new_array (), *items = json_object_new_array ();
  for (size_t i = 0; i < n; i++)
    json_object_array_add (numbers, json_object_new_int64 ((gint64)remove[i]));
  for (size_t i = 0; i < n_changes; i++) {
    const struct guardd_change *change = &changes[i];
    g_autofree char *disk = g_strndup (change->disk, sizeof change->disk);
    g_autofree char *action = g_strndup (change->action, sizeof change->action);
    json_object *item = json_object_new_object ();
    json_add_u64 (item, "snapshot", ledger_change_number (change));
    json_add_string (item, "disk", disk);
    json_add_string (item, "action", action);
    ledger_add_hash (item, "index_hash", change->info.index_hash);
    json_add_u64 (item, "depth", change->info.depth);
    json_add_u64 (item, "stored_bytes", change->info.stored_bytes);
    json_object_array_add (items, item);
  }
  json_object_object_add (json, "remove", numbers);
  json_object_object_add (json, "changes", items);
  return json;
}

json_object *
ledger_checkpoint_members (const Ledger *ledger)
{
  json_object *json = json_object_new_object (), *snapshots = json_object_new_array ();
  json_add_u64 (json, "last", ledger_last_number (ledger));
  const GPtrArray *entries = ledger_entries (ledger);
  for (guint i = 0; i < entries->len; i++)
    json_object_array_add (snapshots, ledger_create_members (entries->pdata[i]));
  json_object_object_add (json, "snapshots", snapshots);
  return json;
}
