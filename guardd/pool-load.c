/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots into the list: manifest.json against the history, by way of the catalog. */
#include "pool-private.h"

#include "base/files.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <string.h>
#include <unistd.h>

static char *
file_stamp (int fd, const char *name)
{
  struct stat st;
  if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG (st.st_mode))
    return NULL;
  return catalog_stamp (&st);
}

static int
snapshot_open (const PoolDomain *domain, guint64 number, GError **error)
{
  g_autofree char *name = pool_directory_name (number);
  return files_open_directory (domain->fd, name, error);
}

static Manifest *
manifest_parse (const PoolDomain *domain, guint64 number, const char *name, const char *text, size_t length,
                GError **error)
{
  g_autoptr (json_object) json = json_parse (name, text, length, error);
  if (json == NULL)
    return NULL;
  g_autoptr (Manifest) manifest = manifest_from_json (json, error);
  if (manifest == NULL) {
    g_prefix_error (error, "%s: ", name);
    return NULL;
  }
  if (manifest->number != number || strcmp (manifest->domain_uuid, domain->uuid) != 0) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_DAMAGED,
                 "%s: belongs to snapshot %" G_GUINT64_FORMAT " of domain %s", name, manifest->number,
                 manifest->domain_uuid);
    return NULL;
  }
  return g_steal_pointer (&manifest);
}

Manifest *
pool_manifest_read (PoolDomain *domain, guint64 number, const guint8 *expected, guint8 *hash, GBytes **text,
                    GError **error)
{
  guint8 found[SHA256_DIGEST_LENGTH];
  size_t length = 0;
  int fd = snapshot_open (domain, number, error);
  if (fd < 0)
    return NULL;
  g_autofree char *path = files_path (fd, POOL_MANIFEST);
  g_autoptr (GBytes) bytes = files_read (fd, POOL_MANIFEST, FILES_SMALL_MAX, error);
  close (fd);
  if (bytes == NULL)
    return NULL;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  SHA256 (data, length, found);
  if (expected != NULL && memcmp (found, expected, sizeof found) != 0) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_DAMAGED, "%s: is not what the history has: edited or damaged",
                 path);
    return NULL;
  }
  Manifest *manifest = manifest_parse (domain, number, path, (const char *)data, length, error);
  if (manifest != NULL && hash != NULL)
    memcpy (hash, found, sizeof found);
  if (manifest != NULL && text != NULL)
    *text = g_steal_pointer (&bytes);
  return manifest;
}

/* The catalog's text if it is what the history entered, else the file's, which goes to *text. */
static Manifest *
domain_manifest (PoolDomain *domain, const LedgerEntry *entry, const CatalogRow *row, const char *stamp,
                 GBytes **text, GError **error)
{
  guint8 hash[SHA256_DIGEST_LENGTH];
  Manifest *manifest = NULL;
  if (row != NULL && row->manifest != NULL && g_strcmp0 (row->manifest_stamp, stamp) == 0) {
    size_t length = strlen (row->manifest);
    SHA256 ((const guint8 *)row->manifest, length, hash);
    if (memcmp (hash, entry->manifest, sizeof hash) == 0)
      manifest = manifest_parse (domain, entry->number, "catalog", row->manifest, length, NULL);
  }
  return manifest ? manifest : pool_manifest_read (domain, entry->number, entry->manifest, NULL, text, error);
}

/* The history's state stands; state.json is brought in line only where a crash explains the difference. */
static void
domain_check_state (Pool *pool, PoolDomain *domain, int fd, const LedgerEntry *entry, GBytes *expected)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (GBytes) found = files_read (fd, POOL_STATE, FILES_SMALL_MAX, &failure);
  bool absent = g_error_matches (failure, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  if (expected == NULL ? absent : found != NULL && g_bytes_equal (found, expected))
    return;
  size_t length = 0;
  const void *data = expected ? g_bytes_get_data (expected, &length) : NULL;
  g_clear_error (&failure);
  if (expected != NULL && ledger_last_subject (domain->ledger) == entry->number
      && files_replace (fd, POOL_STATE, data, length, 0600, &failure))
    return;
  g_autofree char *path = files_path (fd, POOL_STATE);
  pool_problem (pool, "%s: %s; the history's counts", path,
                absent ? "is missing" : "is not what the history has: edited or damaged");
}

static void
domain_catalog_put (Pool *pool, PoolDomain *domain, guint64 number, GBytes *manifest, GBytes *state, int fd)
{
  g_autoptr (GError) failure = NULL;
  g_autofree char *manifest_stamp = file_stamp (fd, POOL_MANIFEST),
                  *state_stamp = file_stamp (fd, POOL_STATE);
  g_autofree char *manifest_text = g_strndup (g_bytes_get_data (manifest, NULL), g_bytes_get_size (manifest));
  g_autofree char *state_text
      = state ? g_strndup (g_bytes_get_data (state, NULL), g_bytes_get_size (state)) : NULL;
  CatalogRow row = { .number = number,
                     .manifest = manifest_text,
                     .manifest_stamp = manifest_stamp,
                     .state = state_text,
                     .state_stamp = state_text ? state_stamp : NULL };
  if (manifest_stamp != NULL && !catalog_put (pool->catalog, domain->uuid, &row, &failure))
    pool_catalog_failed (pool, g_steal_pointer (&failure));
}

static bool
domain_load_entry (Pool *pool, PoolDomain *domain, const LedgerEntry *entry, const CatalogRow *row,
                   GError **error)
{
  g_autoptr (GBytes) text = NULL;
  g_autoptr (GBytes) state = entry->state ? pool_state_text (entry->state) : NULL;
  int fd = snapshot_open (domain, entry->number, error);
  if (fd < 0)
    return false;
  g_autofree char *stamp = file_stamp (fd, POOL_MANIFEST);
  g_autofree char *state_stamp = file_stamp (fd, POOL_STATE);
  Manifest *manifest = domain_manifest (domain, entry, row, stamp, &text, error);
  if (manifest == NULL) {
    close (fd);
    return false;
  }
  bool state_known = row != NULL && state != NULL && state_stamp != NULL
                     && g_strcmp0 (row->state_stamp, state_stamp) == 0
                     && g_strcmp0 (row->state, g_bytes_get_data (state, NULL)) == 0;
  if (!state_known)
    domain_check_state (pool, domain, fd, entry, state);
  if (pool->catalog != NULL && (text != NULL || (state != NULL && !state_known))) {
    if (text == NULL)
      text = g_bytes_new (row->manifest, strlen (row->manifest));
    domain_catalog_put (pool, domain, entry->number, text, state, fd);
  }
  close (fd);
  Snapshot *snapshot = g_new (Snapshot, 1);
  snapshot->manifest = manifest;
  snapshot->state = entry->state ? snapshot_state_copy (entry->state) : snapshot_state_new ();
  g_mutex_lock (&pool->lock);
  pool_domain_insert (domain, pool_entry_new (snapshot, ledger_stored_bytes (entry)));
  g_mutex_unlock (&pool->lock);
  return true;
}

static bool
domain_has (const PoolDomain *domain, guint64 number)
{
  g_autofree char *name = pool_directory_name (number);
  struct stat st;
  return fstatat (domain->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
domain_drop_others (Pool *pool, PoolDomain *domain, GHashTable *loaded, const GArray *unlisted)
{
  g_mutex_lock (&pool->lock);
  g_array_set_size (domain->unlisted, 0);
  g_array_append_vals (domain->unlisted, unlisted->data, unlisted->len);
  for (guint i = domain->entries->len; i-- > 0;) {
    const PoolEntry *entry = domain->entries->pdata[i];
    if (!g_hash_table_contains (loaded, &entry->snapshot->manifest->number))
      g_ptr_array_remove_index (domain->entries, i);
  }
  g_mutex_unlock (&pool->lock);
}

static void
domain_find_listed (Pool *pool, PoolDomain *domain, const GPtrArray *entries)
{
  for (guint i = entries->len; i-- > 0 && domain->listed[1] == 0;) {
    const LedgerEntry *entry = entries->pdata[i];
    g_autofree char *directory = pool_directory_name (entry->number);
    g_autofree char *name = g_build_filename (directory, POOL_INVENTORY, NULL);
    if (faccessat (domain->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
      continue;
    g_mutex_lock (&pool->lock);
    pool_domain_add_listed (domain, entry->number);
    g_mutex_unlock (&pool->lock);
  }
}

void
pool_domain_load_entries (Pool *pool, PoolDomain *domain)
{
  const GPtrArray *entries = ledger_entries (domain->ledger);
  g_autoptr (GHashTable) rows = pool->catalog ? catalog_load (pool->catalog, domain->uuid) : NULL;
  g_autoptr (GHashTable) loaded = g_hash_table_new (g_int64_hash, g_int64_equal);
  g_autoptr (GArray) unlisted = g_array_new (FALSE, FALSE, sizeof (guint64));
  for (guint i = 0; i < entries->len; i++) {
    g_autoptr (GError) failure = NULL;
    const LedgerEntry *entry = entries->pdata[i];
    CatalogRow *row = rows ? g_hash_table_lookup (rows, &entry->number) : NULL;
    if (entry->removing || !domain_has (domain, entry->number))
      continue;
    if (domain_load_entry (pool, domain, entry, row, &failure)) {
      g_hash_table_add (loaded, (void *)&entry->number);
    } else {
      g_array_append_val (unlisted, entry->number);
      pool_problem (pool, "%s; this snapshot is not listed", failure->message);
    }
    if (row != NULL)
      g_hash_table_remove (rows, &entry->number);
  }
  domain_drop_others (pool, domain, loaded, unlisted);
  domain_find_listed (pool, domain, entries);
  if (rows == NULL)
    return;
  GHashTableIter iter;
  CatalogRow *row;
  g_hash_table_iter_init (&iter, rows);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&row))
    catalog_remove (pool->catalog, domain->uuid, row->number, NULL);
}
