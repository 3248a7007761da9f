/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger.h"

#include "base/hex.h"
#include "base/json.h"

#include <gio/gio.h>
#include <string.h>

struct Ledger {
  GPtrArray *entries; /* LedgerEntry, sorted by number */
  guint64 last, subject;
  const char *last_op;
  bool maintaining;
};

Ledger *
ledger_new (void)
{
  Ledger *ledger = g_new0 (Ledger, 1);
  ledger->entries = g_ptr_array_new_with_free_func ((GDestroyNotify)ledger_entry_free);
  return ledger;
}

void
ledger_free (Ledger *ledger)
{
  if (ledger == NULL)
    return;
  g_ptr_array_unref (ledger->entries);
  g_free (ledger);
}

/* The place of `number`, or where it would have to go. */
static guint
ledger_place (const Ledger *ledger, guint64 number)
{
  guint low = 0, high = ledger->entries->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (((const LedgerEntry *)ledger->entries->pdata[middle])->number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

LedgerEntry *
ledger_find (const Ledger *ledger, guint64 number)
{
  guint place = ledger_place (ledger, number);
  if (place == ledger->entries->len)
    return NULL;
  LedgerEntry *entry = ledger->entries->pdata[place];
  return entry->number == number ? entry : NULL;
}

LedgerDisk *
ledger_find_disk (const LedgerEntry *entry, const char *disk)
{
  for (guint i = 0; i < entry->disks->len; i++) {
    LedgerDisk *candidate = &g_array_index (entry->disks, LedgerDisk, i);
    if (strcmp (candidate->disk, disk) == 0)
      return candidate;
  }
  return NULL;
}

const GPtrArray *
ledger_entries (const Ledger *ledger)
{
  return ledger->entries;
}

guint64
ledger_last_number (const Ledger *ledger)
{
  return ledger->last;
}

guint64
ledger_last_subject (const Ledger *ledger)
{
  return ledger->subject;
}

const char *
ledger_last_op (const Ledger *ledger)
{
  return ledger->last_op ? ledger->last_op : "";
}

bool
ledger_is_maintaining (const Ledger *ledger)
{
  return ledger->maintaining;
}

guint64
ledger_stored_bytes (const LedgerEntry *entry)
{
  guint64 sum = 0;
  for (guint i = 0; i < entry->disks->len; i++)
    sum += g_array_index (entry->disks, LedgerDisk, i).stored_bytes;
  return sum;
}

/* --- replay --- */

static bool
ledger_refuse (GError **error, const char *text)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, text);
  return false;
}

static bool
ledger_get_hash (json_object *json, const char *key, guint8 *hash, GError **error)
{
  const char *hex = NULL;
  if (!json_get_string (json, key, &hex, error))
    return false;
  if (hex_parse (hex, hash, GUARDD_HASH_SIZE))
    return true;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: not a SHA-256", key);
  return false;
}

static bool
ledger_disk_from_json (json_object *json, LedgerDisk *disk, GError **error)
{
  const char *target = NULL;
  if (!json_get_string (json, "disk", &target, error)
      || !ledger_get_hash (json, "index_hash", disk->index_hash, error)
      || !json_get_u64 (json, "stored_bytes", &disk->stored_bytes, error))
    return false;
  size_t length = strlen (target);
  if (length < 1 || length >= sizeof disk->disk
      || strspn (target, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_-") != length)
    return ledger_refuse (error, "disk: not a disk's name");
  memcpy (disk->disk, target, length + 1);
  return true;
}

static bool
ledger_parts_from_json (LedgerEntry *entry, json_object *json, GError **error)
{
  json_object *disks = NULL, *files = NULL;
  if (!json_get_array (json, "disks", &disks, error) || !json_get_array (json, "files", &files, error))
    return false;
  for (size_t i = 0; i < json_object_array_length (disks); i++) {
    LedgerDisk disk = { 0 };
    if (!ledger_disk_from_json (json_object_array_get_idx (disks, i), &disk, error))
      return false;
    g_array_append_val (entry->disks, disk);
  }
  for (size_t i = 0; i < json_object_array_length (files); i++) {
    json_object *file = json_object_array_get_idx (files, i);
    const char *name = NULL;
    guint8 sha256[GUARDD_HASH_SIZE];
    if (!json_get_string (file, "name", &name, error) || !ledger_get_hash (file, "sha256", sha256, error))
      return false;
    ledger_entry_add_file (entry, name, sha256);
  }
  return true;
}

static LedgerEntry *
ledger_entry_from_json (json_object *json, GError **error)
{
  guint64 number = 0;
  if (!json_get_u64 (json, "snapshot", &number, error))
    return NULL;
  g_autoptr (LedgerEntry) entry = ledger_entry_new_empty (number);
  if (!ledger_get_hash (json, "manifest", entry->manifest, error)
      || !ledger_parts_from_json (entry, json, error))
    return NULL;
  json_object *state = NULL;
  if (json_object_object_get_ex (json, "state", &state) && state != NULL) {
    entry->state = snapshot_state_from_json (state, error);
    if (entry->state == NULL)
      return NULL;
  }
  return g_steal_pointer (&entry);
}

static bool
apply_create (Ledger *ledger, json_object *line, GError **error)
{
  g_autoptr (LedgerEntry) entry = ledger_entry_from_json (line, error);
  if (entry == NULL)
    return false;
  guint place = ledger_place (ledger, entry->number);
  if (entry->number == 0 || ledger_find (ledger, entry->number) != NULL)
    return ledger_refuse (error, "creates a snapshot that is there already");
  ledger->last = MAX (ledger->last, entry->number);
  g_ptr_array_insert (ledger->entries, (int)place, g_steal_pointer (&entry));
  return true;
}

static LedgerEntry *
apply_find (Ledger *ledger, json_object *json, GError **error)
{
  guint64 number = 0;
  if (!json_get_u64 (json, "snapshot", &number, error))
    return NULL;
  LedgerEntry *entry = ledger_find (ledger, number);
  if (entry == NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                 "is about snapshot %" G_GUINT64_FORMAT ", which was not there", number);
  return entry;
}

static bool
apply_void (Ledger *ledger, json_object *line, GError **error)
{
  LedgerEntry *entry = apply_find (ledger, line, error);
  if (entry == NULL)
    return false;
  g_ptr_array_remove_index (ledger->entries, ledger_place (ledger, entry->number));
  return true;
}

static bool
apply_state (Ledger *ledger, json_object *line, GError **error)
{
  json_object *json = NULL;
  LedgerEntry *entry = apply_find (ledger, line, error);
  if (entry == NULL || !json_get_object (line, "state", &json, error))
    return false;
  SnapshotState *state = snapshot_state_from_json (json, error);
  if (state == NULL)
    return false;
  snapshot_state_free (entry->state);
  entry->state = state;
  return true;
}

static bool
maintain_check (Ledger *ledger, json_object *remove, json_object *changes, GError **error)
{
  for (size_t i = 0; i < json_object_array_length (remove); i++) {
    json_object *number = json_object_array_get_idx (remove, i);
    if (!json_object_is_type (number, json_type_int)
        || ledger_find (ledger, json_object_get_uint64 (number)) == NULL)
      return ledger_refuse (error, "removes a snapshot that was not there");
  }
  for (size_t i = 0; i < json_object_array_length (changes); i++) {
    json_object *json = json_object_array_get_idx (changes, i);
    LedgerDisk disk = { 0 };
    const LedgerEntry *entry = apply_find (ledger, json, error);
    if (entry == NULL || !ledger_disk_from_json (json, &disk, error))
      return false;
    if (ledger_find_disk (entry, disk.disk) == NULL)
      return ledger_refuse (error, "changes a disk that was not there");
  }
  return true;
}

static bool
apply_maintain (Ledger *ledger, json_object *line, GError **error)
{
  json_object *remove = NULL, *changes = NULL;
  if (!json_get_array (line, "remove", &remove, error) || !json_get_array (line, "changes", &changes, error)
      || !maintain_check (ledger, remove, changes, error))
    return false;
  for (size_t i = 0; i < json_object_array_length (remove); i++) {
    LedgerEntry *entry = ledger_find (ledger, json_object_get_uint64 (json_object_array_get_idx (remove, i)));
    g_assert (entry); /* maintain_check() has found it, and the disks below */
    entry->removing = true;
  }
  for (size_t i = 0; i < json_object_array_length (changes); i++) {
    json_object *json = json_object_array_get_idx (changes, i);
    LedgerDisk disk = { 0 };
    ledger_disk_from_json (json, &disk, NULL);
    const LedgerEntry *entry = apply_find (ledger, json, NULL);
    LedgerDisk *place = entry ? ledger_find_disk (entry, disk.disk) : NULL;
    g_assert (place);
    *place = disk;
  }
  ledger->maintaining = true;
  return true;
}

static bool
apply_maintained (Ledger *ledger, json_object *line, GError **error)
{
  for (guint i = ledger->entries->len; i-- > 0;)
    if (((LedgerEntry *)ledger->entries->pdata[i])->removing)
      g_ptr_array_remove_index (ledger->entries, i);
  ledger->maintaining = false;
  return true;
}

static bool
apply_checkpoint (Ledger *ledger, json_object *line, GError **error)
{
  g_autoptr (Ledger) fresh = ledger_new ();
  json_object *snapshots = NULL;
  guint64 last = 0;
  if (!json_get_u64 (line, "last", &last, error) || !json_get_array (line, "snapshots", &snapshots, error))
    return false;
  for (size_t i = 0; i < json_object_array_length (snapshots); i++)
    if (!apply_create (fresh, json_object_array_get_idx (snapshots, i), error))
      return false;
  fresh->last = MAX (fresh->last, last);
  Ledger old = *ledger;
  *ledger = *fresh;
  *fresh = old;
  return true;
}

bool
ledger_apply (Ledger *ledger, json_object *line, GError **error)
{
  static const struct {
    const char *op;
    bool (*apply) (Ledger *ledger, json_object *line, GError **error);
    bool has_subject;
  } ops[] = {
    { "create", apply_create, true },   { "void", apply_void },
    { "state", apply_state, true },     { "maintain", apply_maintain },
    { "maintained", apply_maintained }, { "checkpoint", apply_checkpoint },
  };
  const char *op = NULL;
  if (!json_get_string (line, "op", &op, error))
    return false;
  for (size_t i = 0; i < G_N_ELEMENTS (ops); i++) {
    if (strcmp (ops[i].op, op) != 0)
      continue;
    if (!ops[i].apply (ledger, line, error))
      return false;
    ledger->last_op = ops[i].op;
    ledger->subject = 0;
    if (ops[i].has_subject)
      json_get_u64 (line, "snapshot", &ledger->subject, NULL);
    return true;
  }
  return ledger_refuse (error, "says something that this guardd does not know");
}
