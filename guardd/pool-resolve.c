/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking: lists, names of snapshots, and what is in one. */
#include "pool-private.h"

#include "base/files.h"
#include "base/units.h"

#include <openssl/sha.h>
#include <string.h>
#include <unistd.h>

/* The entries as they are now, oldest first.  Only references are taken under the lock: copying thousands of
 * manifests there would hold up a commit. */
static GPtrArray *
domain_entries (Pool *pool, const char *uuid)
{
  GPtrArray *entries = g_ptr_array_new_with_free_func ((GDestroyNotify)pool_entry_unref);
  g_mutex_lock (&pool->lock);
  PoolDomain *domain = g_hash_table_lookup (pool->domains, uuid);
  for (guint i = 0; domain != NULL && i < domain->entries->len; i++)
    g_ptr_array_add (entries, g_atomic_rc_box_acquire (domain->entries->pdata[i]));
  g_mutex_unlock (&pool->lock);
  return entries;
}

static const Snapshot *
entry_at (const GPtrArray *entries, guint i)
{
  return ((const PoolEntry *)entries->pdata[i])->snapshot;
}

char **
pool_domains (Pool *pool)
{
  g_autoptr (GPtrArray) uuids = g_ptr_array_new ();
  GHashTableIter iter;
  PoolDomain *domain;
  g_mutex_lock (&pool->lock);
  g_hash_table_iter_init (&iter, pool->domains);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&domain))
    if (domain->entries->len > 0)
      g_ptr_array_add (uuids, g_strdup (domain->uuid));
  g_mutex_unlock (&pool->lock);
  g_ptr_array_add (uuids, NULL);
  return (char **)g_ptr_array_steal (uuids, NULL);
}

char *
pool_find_domain (Pool *pool, const char *name_or_uuid)
{
  g_autofree char *lower = g_ascii_strdown (name_or_uuid, -1);
  char *found = NULL;
  gint64 found_time = G_MININT64;
  GHashTableIter iter;
  PoolDomain *domain;
  g_mutex_lock (&pool->lock);
  g_hash_table_iter_init (&iter, pool->domains);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&domain)) {
    if (domain->entries->len == 0)
      continue;
    const Manifest *latest = entry_at (domain->entries, domain->entries->len - 1)->manifest;
    bool is_uuid = strcmp (domain->uuid, lower) == 0;
    /* A name may have moved on to a new domain: the one seen last has it. */
    if (!is_uuid && (strcmp (latest->domain_name, name_or_uuid) != 0 || latest->time_us < found_time))
      continue;
    g_free (found);
    found = g_strdup (domain->uuid);
    found_time = latest->time_us;
    if (is_uuid)
      break;
  }
  g_mutex_unlock (&pool->lock);
  return found;
}

GPtrArray *
pool_snapshots (Pool *pool, const char *domain_uuid)
{
  g_autoptr (GPtrArray) entries = domain_entries (pool, domain_uuid);
  GPtrArray *snapshots = g_ptr_array_new_with_free_func ((GDestroyNotify)snapshot_free);
  for (guint i = 0; i < entries->len; i++)
    g_ptr_array_add (snapshots, snapshot_copy (entry_at (entries, i)));
  return snapshots;
}

GArray *
pool_numbers (Pool *pool, const char *domain_uuid)
{
  GArray *numbers = g_array_new (FALSE, FALSE, sizeof (guint64));
  g_mutex_lock (&pool->lock);
  const PoolDomain *domain = g_hash_table_lookup (pool->domains, domain_uuid);
  for (guint i = 0; domain && i < domain->entries->len; i++)
    g_array_append_val (numbers, entry_at (domain->entries, i)->manifest->number);
  g_mutex_unlock (&pool->lock);
  return numbers;
}

guint
pool_count (Pool *pool, const char *domain_uuid)
{
  g_mutex_lock (&pool->lock);
  const PoolDomain *domain = g_hash_table_lookup (pool->domains, domain_uuid);
  guint count = domain ? domain->entries->len : 0;
  g_mutex_unlock (&pool->lock);
  return count;
}

Snapshot *
pool_latest (Pool *pool, const char *domain_uuid)
{
  Snapshot *latest = NULL;
  g_mutex_lock (&pool->lock);
  PoolDomain *domain = g_hash_table_lookup (pool->domains, domain_uuid);
  if (domain != NULL && domain->entries->len > 0)
    latest = snapshot_copy (entry_at (domain->entries, domain->entries->len - 1));
  g_mutex_unlock (&pool->lock);
  return latest;
}

guint64
pool_latest_with (Pool *pool, const char *domain_uuid, const char *disk, guint64 *size)
{
  guint64 number = 0;
  g_mutex_lock (&pool->lock);
  const PoolDomain *domain = g_hash_table_lookup (pool->domains, domain_uuid);
  for (guint i = domain ? domain->entries->len : 0; i > 0 && number == 0; i--) {
    const Manifest *manifest = entry_at (domain->entries, i - 1)->manifest;
    const ManifestDisk *with = manifest_find_disk (manifest, disk);
    if (with != NULL) {
      number = manifest->number;
      *size = with->size;
    }
  }
  g_mutex_unlock (&pool->lock);
  return number;
}

/* --- resolving --- */

static const Snapshot *
resolve_number (const GPtrArray *entries, guint64 number)
{
  for (guint i = entries->len; i-- > 0;)
    if (entry_at (entries, i)->manifest->number == number)
      return entry_at (entries, i);
  return NULL;
}

static bool
is_judged (const Snapshot *snapshot, const char *a, const char *b)
{
  const char *verdict = snapshot->state->verdict;
  return verdict != NULL && (strcmp (verdict, a) == 0 || strcmp (verdict, b) == 0);
}

/* The newest that was found good.  Before anybody has looked (guardd does not record "ok" over a restart),
 * the newest of those that do not come after one that was found bad: what comes after it is in doubt. */
static const Snapshot *
resolve_last_good (const GPtrArray *entries)
{
  const Snapshot *good = NULL, *unknown = NULL;
  bool doubt = false;
  for (guint i = 0; i < entries->len; i++) {
    const Snapshot *snapshot = entry_at (entries, i);
    if (snapshot->state->evidence)
      continue;
    if (is_judged (snapshot, "warn", "critical")) {
      doubt = true;
    } else if (is_judged (snapshot, "ok", "info")) {
      doubt = false;
      good = snapshot;
    } else if (!doubt) {
      unknown = snapshot;
    }
  }
  return good ? good : unknown;
}

guint64
pool_entries_last_good (const GPtrArray *entries)
{
  const Snapshot *good = resolve_last_good (entries);
  return good ? good->manifest->number : 0;
}

static const Snapshot *
resolve_time (const GPtrArray *entries, gint64 time_us)
{
  const Snapshot *best = NULL;
  for (guint i = 0; i < entries->len; i++) {
    const Snapshot *candidate = entry_at (entries, i);
    if (candidate->manifest->time_us <= time_us
        && (best == NULL || candidate->manifest->time_us >= best->manifest->time_us))
      best = candidate;
  }
  return best;
}

static bool
resolve_which (const GPtrArray *entries, const char *which, gint64 now_us, const Snapshot **found,
               GError **error)
{
  guint64 number = 0, age_us = 0;
  gint64 time_us = 0;
  if (g_ascii_string_to_unsigned (which, 10, 1, G_MAXINT64, &number, NULL))
    *found = resolve_number (entries, number);
  else if (strcmp (which, "latest") == 0)
    *found = entries->len ? entry_at (entries, entries->len - 1) : NULL;
  else if (strcmp (which, "last-good") == 0)
    *found = resolve_last_good (entries);
  else if (*which == '-' && duration_parse (which + 1, &age_us, NULL) && age_us < G_MAXINT64 / 2)
    *found = resolve_time (entries, now_us - (gint64)age_us);
  else if (time_parse (which, &time_us, NULL))
    *found = resolve_time (entries, time_us);
  else {
    g_set_error (
        error, POOL_ERROR, POOL_ERROR_FAILED,
        "\"%s\" names no snapshot: give a number, latest, last-good, a time as 2026-11-24T02:00:00Z, "
        "or an age as -15min",
        which);
    return false;
  }
  return true;
}

Snapshot *
pool_resolve (Pool *pool, const char *domain_uuid, const char *which, gint64 now_us, GError **error)
{
  g_autoptr (GPtrArray) entries = domain_entries (pool, domain_uuid);
  const Snapshot *found = NULL;
  if (!resolve_which (entries, which, now_us, &found, error))
    return NULL;
  if (found != NULL)
    return snapshot_copy (found);
  if (entries->len == 0)
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND, "pool %s has no snapshot of domain %s", pool->name,
                 domain_uuid);
  else
    g_set_error (
        error, POOL_ERROR, POOL_ERROR_NOT_FOUND,
        "domain %s has no snapshot \"%s\": it has %u, number %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
        entry_at (entries, entries->len - 1)->manifest->domain_name, which, entries->len,
        entry_at (entries, 0)->manifest->number, entry_at (entries, entries->len - 1)->manifest->number);
  return NULL;
}

/* --- what is in one --- */

/* A listed snapshot's disk is there. */
static bool
domain_has_image (Pool *pool, PoolDomain *domain, guint64 number, const char *target, GError **error)
{
  g_mutex_lock (&pool->lock);
  PoolEntry *entry = pool_domain_entry (domain, number);
  bool found
      = entry != NULL && (target == NULL || manifest_find_disk (entry->snapshot->manifest, target) != NULL);
  g_mutex_unlock (&pool->lock);
  if (!found)
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND,
                 target ? "domain %s has no snapshot %" G_GUINT64_FORMAT " with disk %s"
                        : "domain %s has no snapshot %" G_GUINT64_FORMAT,
                 domain->uuid, number, target);
  return found;
}

StorageReader *
pool_image_open (Pool *pool, const char *domain_uuid, guint64 number, const char *target, GError **error)
{
  GError *cause = NULL;
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  if (domain == NULL)
    return NULL;
  g_autofree char *name = pool_directory_name (number);
  g_autofree char *directory = g_strdup_printf ("%s/%s", domain->uuid, name);
  StorageReader *reader = NULL;
  /* Checked under this lock: while it is held nothing that is listed can be removed. */
  g_rw_lock_reader_lock (&domain->images);
  if (domain_has_image (pool, domain, number, target, &cause))
    reader = storage_image_open (pool->storage, directory, target, &cause);
  g_rw_lock_reader_unlock (&domain->images);
  if (reader == NULL)
    pool_fail (pool, error, cause, "disk %s of snapshot %" G_GUINT64_FORMAT, target, number);
  return reader;
}

static bool
domain_file_hash (PoolDomain *domain, guint64 number, const char *name, guint8 *sha256)
{
  bool found = false;
  g_mutex_lock (&domain->append);
  const LedgerEntry *entry = ledger_find (domain->ledger, number);
  for (guint i = 0; entry != NULL && !found && i < entry->files->len; i++) {
    const LedgerFile *file = &g_array_index (entry->files, LedgerFile, i);
    found = strcmp (file->name, name) == 0;
    if (found)
      memcpy (sha256, file->sha256, SHA256_DIGEST_LENGTH);
  }
  g_mutex_unlock (&domain->append);
  return found;
}

GBytes *
pool_snapshot_file (Pool *pool, const char *domain_uuid, guint64 number, const char *name, GError **error)
{
  GError *cause = NULL;
  guint8 expected[SHA256_DIGEST_LENGTH], hash[SHA256_DIGEST_LENGTH];
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  if (domain == NULL || !domain_has_image (pool, domain, number, NULL, error))
    return NULL;
  /* The name comes from the history, so it cannot lead anywhere else. */
  if (!domain_file_hash (domain, number, name, expected)) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND, "snapshot %" G_GUINT64_FORMAT " has no file %s",
                 number, name);
    return NULL;
  }
  g_autofree char *directory = pool_directory_name (number);
  int fd = files_open_directory (domain->fd, directory, &cause);
  g_autoptr (GBytes) bytes = fd >= 0 ? files_read (fd, name, FILES_SMALL_MAX, &cause) : NULL;
  if (fd >= 0)
    close (fd);
  if (bytes == NULL) {
    pool_fail (pool, error, cause, "snapshot %" G_GUINT64_FORMAT, number);
    return NULL;
  }
  size_t length = 0;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  SHA256 (data, length, hash);
  if (memcmp (hash, expected, sizeof hash) == 0)
    return g_steal_pointer (&bytes);
  g_set_error (error, POOL_ERROR, POOL_ERROR_DAMAGED,
               "%s/%s/%s/%s: is not what the history has: edited or damaged", pool->path, domain->uuid,
               directory, name);
  return NULL;
}
