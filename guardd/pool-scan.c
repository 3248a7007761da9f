/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A person's word that what is in the pool's directories is what shall count: the catalog is made anew, and
 * where a history does not explain the directories, it is set aside as history.old and a new one begins with
 * a checkpoint marked "adopted".  What an intact history contradicts (an edited manifest) is not adopted.
 */
#include "pool-private.h"

#include "base/files.h"
#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <string.h>
#include <unistd.h>

static bool
adopt_files (LedgerEntry *entry, PoolDomain *domain, GError **error)
{
  static const char *const names[] = { "domain.xml", "nvram", "tpm" };
  g_autofree char *directory = pool_directory_name (entry->number);
  int fd = files_open_directory (domain->fd, directory, error);
  if (fd < 0)
    return false;
  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    guint8 sha256[SHA256_DIGEST_LENGTH];
    g_autoptr (GBytes) bytes = files_read (fd, names[i], FILES_SMALL_MAX, NULL);
    if (bytes == NULL)
      continue;
    SHA256 (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), sha256);
    ledger_entry_add_file (entry, names[i], sha256);
  }
  close (fd);
  return true;
}

static SnapshotState *
adopt_state (PoolDomain *domain, guint64 number)
{
  g_autofree char *directory = pool_directory_name (number);
  int fd = files_open_directory (domain->fd, directory, NULL);
  g_autoptr (GBytes) bytes = fd >= 0 ? files_read (fd, POOL_STATE, FILES_SMALL_MAX, NULL) : NULL;
  if (fd >= 0)
    close (fd);
  if (bytes == NULL)
    return NULL;
  size_t length = 0;
  const char *text = g_bytes_get_data (bytes, &length);
  g_autoptr (json_object) json = json_parse (POOL_STATE, text, length, NULL);
  return json ? snapshot_state_from_json (json, NULL) : NULL;
}

/* A create line's members for a directory that the history does not know. */
static json_object *
adopt_snapshot (PoolDomain *domain, guint64 number, GError **error)
{
  guint8 hash[SHA256_DIGEST_LENGTH];
  g_autoptr (Manifest) manifest = pool_manifest_read (domain, number, NULL, hash, NULL, error);
  if (manifest == NULL)
    return NULL;
  g_autoptr (SnapshotState) state = adopt_state (domain, number);
  g_autoptr (LedgerEntry) entry = ledger_entry_new (manifest, hash, state);
  return adopt_files (entry, domain, error) ? ledger_create_members (entry) : NULL;
}

/* With append held.  *unknown: a directory could not even be adopted. */
static json_object *
adopt_members (Pool *pool, PoolDomain *domain, const GArray *numbers, bool *unknown)
{
  json_object *members = json_object_new_object (), *snapshots = json_object_new_array ();
  json_add_u64 (members, "last", ledger_last_number (domain->ledger));
  json_add_bool (members, "adopted", true);
  for (guint i = 0; i < numbers->len; i++) {
    g_autoptr (GError) failure = NULL;
    guint64 number = g_array_index (numbers, guint64, i);
    const LedgerEntry *entry = ledger_find (domain->ledger, number);
    json_object *snapshot = entry ? ledger_create_members (entry) : adopt_snapshot (domain, number, &failure);
    if (snapshot != NULL) {
      json_object_array_add (snapshots, snapshot);
      continue;
    }
    *unknown = true;
    g_assert (failure); /* adopt_snapshot() says why */
    pool_problem (pool,
                  "%s; this snapshot cannot be adopted, and nothing of domain %s is pruned while it is "
                  "there",
                  failure->message, domain->uuid);
  }
  json_object_object_add (members, "snapshots", snapshots);
  return members;
}

/* With append held. */
static bool
domain_agrees (const PoolDomain *domain, const GArray *numbers)
{
  const GPtrArray *entries = ledger_entries (domain->ledger);
  bool same = entries->len == numbers->len;
  for (guint i = 0; same && i < entries->len; i++)
    same = ((const LedgerEntry *)entries->pdata[i])->number == g_array_index (numbers, guint64, i);
  return same && !domain->untrusted;
}

static bool
domain_adopt (Pool *pool, PoolDomain *domain, const GArray *numbers, GError **error)
{
  bool unknown = false;
  json_object *members = adopt_members (pool, domain, numbers, &unknown);
  json_object *line = history_rotate (domain->history, "checkpoint", members, error);
  if (line == NULL || !ledger_apply (domain->ledger, line, error))
    return false;
  domain->untrusted = unknown;
  g_mutex_lock (&pool->lock);
  domain->last = MAX (domain->last, ledger_last_number (domain->ledger));
  g_mutex_unlock (&pool->lock);
  return true;
}

/* With maintenance held, so nothing is being removed. */
static bool
domain_rescan (Pool *pool, PoolDomain *domain, GError **error)
{
  g_autoptr (GError) failure = NULL;
  bool intact = pool_domain_check_history (domain, &failure);
  if (failure != NULL)
    pool_problem (pool, "%s; it was set aside as history.old", failure->message);
  g_mutex_lock (&domain->append);
  intact = intact && !history_is_broken (domain->history);
  bool unfinished = intact && ledger_is_maintaining (domain->ledger);
  g_mutex_unlock (&domain->append);
  if (unfinished && !pool_domain_redo (pool, domain, error))
    return false;
  g_mutex_lock (&domain->append);
  g_autoptr (GArray) numbers = pool_domain_list (pool, domain, NULL, error);
  bool ok = numbers != NULL
            && ((intact && domain_agrees (domain, numbers)) || domain_adopt (pool, domain, numbers, error));
  if (ok) {
    pool_domain_load_entries (pool, domain);
    pool_domain_appended (pool, domain);
  }
  g_mutex_unlock (&domain->append);
  return ok;
}

static bool
domain_scan (Pool *pool, const char *uuid, GError **error)
{
  PoolDomain *domain = pool_domain_find (pool, uuid, NULL);
  if (domain != NULL)
    return domain_rescan (pool, domain, error);
  domain = pool_domain_load (pool, uuid, error);
  return domain != NULL && (!domain->untrusted || domain_rescan (pool, domain, error));
}

static void
scan_forget_vanished (Pool *pool, char **uuids)
{
  if (pool->catalog == NULL)
    return;
  g_auto (GStrv) known = catalog_domains (pool->catalog);
  for (char **uuid = known; *uuid; uuid++)
    if (!g_strv_contains ((const char *const *)uuids, *uuid))
      catalog_forget (pool->catalog, *uuid, NULL);
}

bool
pool_scan (Pool *pool, guint64 *found, GError **error)
{
  GError *cause = NULL;
  g_autoptr (GError) catalog_failure = NULL;
  g_mutex_lock (&pool->maintenance);
  g_mutex_lock (&pool->loading);
  g_mutex_lock (&pool->lock);
  g_ptr_array_set_size (pool->problems, 0);
  g_mutex_unlock (&pool->lock);
  if (pool->catalog != NULL && !catalog_clear (pool->catalog, &catalog_failure))
    pool_catalog_failed (pool, g_steal_pointer (&catalog_failure));
  g_auto (GStrv) uuids = pool_list_directories (pool, &cause);
  bool ok = uuids != NULL;
  for (char **uuid = uuids; ok && *uuid; uuid++)
    ok = domain_scan (pool, *uuid, &cause);
  if (ok)
    scan_forget_vanished (pool, uuids);
  g_mutex_unlock (&pool->loading);
  g_mutex_unlock (&pool->maintenance);
  PoolInfo info;
  if (!ok)
    return pool_fail (pool, error, cause, "cannot scan pool %s", pool->name);
  if (!pool_info (pool, &info, error))
    return false;
  *found = info.snapshots;
  return true;
}
