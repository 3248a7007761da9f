/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-private.h"

#include "base/files.h"
#include "base/json.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A line is some 400 bytes, so this is about ten thousand snapshots. */
#define HISTORY_LONG ((guint64)4 * 1024 * 1024)

/* --- entries --- */

PoolEntry *
pool_entry_new (Snapshot *snapshot, guint64 stored_bytes)
{
  PoolEntry *entry = g_atomic_rc_box_new0 (PoolEntry);
  entry->snapshot = snapshot;
  entry->stored_bytes = stored_bytes;
  return entry;
}

static void
entry_clear (void *pointer)
{
  snapshot_free (((PoolEntry *)pointer)->snapshot);
}

void
pool_entry_unref (PoolEntry *entry)
{
  g_atomic_rc_box_release_full (entry, entry_clear);
}

static guint64
entry_number (const PoolEntry *entry)
{
  return entry->snapshot->manifest->number;
}

static guint
domain_place (const PoolDomain *domain, guint64 number)
{
  guint low = 0, high = domain->entries->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (entry_number (domain->entries->pdata[middle]) < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

PoolEntry *
pool_domain_entry (const PoolDomain *domain, guint64 number)
{
  guint place = domain_place (domain, number);
  if (place == domain->entries->len || entry_number (domain->entries->pdata[place]) != number)
    return NULL;
  return domain->entries->pdata[place];
}

void
pool_domain_insert (PoolDomain *domain, PoolEntry *entry)
{
  guint64 number = entry_number (entry);
  guint place = domain_place (domain, number);
  if (pool_domain_entry (domain, number) != NULL) {
    pool_entry_unref (domain->entries->pdata[place]);
    domain->entries->pdata[place] = entry;
  } else {
    g_ptr_array_insert (domain->entries, (int)place, entry);
  }
}

PoolEntry *
pool_domain_take (PoolDomain *domain, guint64 number)
{
  if (pool_domain_entry (domain, number) == NULL)
    return NULL;
  return g_ptr_array_steal_index (domain->entries, domain_place (domain, number));
}

static bool
numbers_contain (const GArray *numbers, guint64 number)
{
  for (guint i = 0; i < numbers->len; i++)
    if (g_array_index (numbers, guint64, i) == number)
      return true;
  return false;
}

bool
pool_domain_is_pinned (const PoolDomain *domain, guint64 number)
{
  return numbers_contain (domain->pins, number) || numbers_contain (domain->late_parents, number);
}

void
pool_domain_unpin (PoolDomain *domain, guint64 number)
{
  for (guint i = 0; i < domain->pins->len; i++)
    if (g_array_index (domain->pins, guint64, i) == number) {
      g_array_remove_index_fast (domain->pins, i);
      return;
    }
}

bool
pool_domain_is_unlisted (const PoolDomain *domain, guint64 number)
{
  return numbers_contain (domain->unlisted, number);
}

void
pool_domain_add_listed (PoolDomain *domain, guint64 number)
{
  guint64 *listed = domain->listed;
  if (number > listed[0]) {
    listed[1] = listed[0];
    listed[0] = number;
  } else if (number < listed[0] && number > listed[1])
    listed[1] = number;
}

/* --- domains --- */

PoolDomain *
pool_domain_new (Pool *pool, const char *uuid, GError **error)
{
  int fd = files_open_directory (pool->fd, uuid, error);
  if (fd < 0)
    return NULL;
  PoolDomain *domain = g_new0 (PoolDomain, 1);
  domain->uuid = g_strdup (uuid);
  domain->fd = fd;
  domain->ledger = ledger_new ();
  domain->entries = g_ptr_array_new_with_free_func ((GDestroyNotify)pool_entry_unref);
  domain->unlisted = g_array_new (FALSE, FALSE, sizeof (guint64));
  domain->pins = g_array_new (FALSE, FALSE, sizeof (guint64));
  domain->late_parents = g_array_new (FALSE, FALSE, sizeof (guint64));
  domain->stale = g_ptr_array_new_with_free_func (g_free);
  g_rw_lock_init (&domain->images);
  g_mutex_init (&domain->append);
  return domain;
}

void
pool_domain_free (PoolDomain *domain)
{
  if (domain == NULL)
    return;
  close (domain->fd);
  history_close (domain->history);
  ledger_free (domain->ledger);
  g_ptr_array_unref (domain->entries);
  g_array_unref (domain->unlisted);
  g_array_unref (domain->pins);
  g_array_unref (domain->late_parents);
  g_ptr_array_unref (domain->stale);
  g_rw_lock_clear (&domain->images);
  g_mutex_clear (&domain->append);
  g_free (domain->uuid);
  g_free (domain);
}

PoolDomain *
pool_domain_find (Pool *pool, const char *uuid, GError **error)
{
  g_mutex_lock (&pool->lock);
  PoolDomain *domain = g_hash_table_lookup (pool->domains, uuid);
  g_mutex_unlock (&pool->lock);
  if (domain == NULL)
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND, "pool %s has no snapshot of domain %s", pool->name,
                 uuid);
  return domain;
}

char *
pool_directory_name (guint64 number)
{
  return g_strdup_printf ("%08" G_GUINT64_FORMAT, number);
}

bool
pool_directory_parse (const char *name, guint64 *number)
{
  if (!g_ascii_isdigit (*name) || !g_ascii_string_to_unsigned (name, 10, 1, G_MAXINT64, number, NULL))
    return false;
  g_autofree char *canonical = pool_directory_name (*number);
  return strcmp (name, canonical) == 0;
}

GBytes *
pool_state_text (const SnapshotState *state)
{
  g_autoptr (json_object) json = snapshot_state_to_json (state);
  char *text = g_strconcat (json_object_to_json_string_ext (json, JSON_C_TO_STRING_PLAIN), "\n", NULL);
  return g_bytes_new_take (text, strlen (text));
}

/* --- the history --- */

bool
pool_domain_append (PoolDomain *domain, const char *op, json_object *members, bool sync, GError **error)
{
  json_object *line = history_append (domain->history, op, members, error);
  if (line == NULL)
    return false;
  if (!ledger_apply (domain->ledger, line, error)) {
    history_take_back (domain->history);
    return false;
  }
  return !sync || history_sync (domain->history, error);
}

bool
pool_domain_check_history (PoolDomain *domain, GError **error)
{
  HistoryHead head;
  g_autofree char *path = NULL;
  g_mutex_lock (&domain->append);
  g_autoptr (GBytes) content = history_read (domain->history, &head, &path, error);
  g_mutex_unlock (&domain->append);
  return content != NULL && history_check (content, &head, path, error);
}

static void
domain_rotate (Pool *pool, PoolDomain *domain)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (json_object) members = ledger_checkpoint_members (domain->ledger);
  /* Where the checkpoint alone is long, a new file must still bring a lot. */
  size_t length = strlen (json_object_to_json_string_ext (members, JSON_C_TO_STRING_PLAIN));
  if (history_size (domain->history) < 4 * (guint64)length)
    return;
  json_object *line = history_rotate (domain->history, "checkpoint", g_steal_pointer (&members), &failure);
  if (line == NULL || !ledger_apply (domain->ledger, line, &failure))
    pool_problem (pool, "%s", failure->message);
}

void
pool_domain_appended (Pool *pool, PoolDomain *domain)
{
  g_autoptr (GError) failure = NULL;
  HistoryHead head;
  /* A maintain line must be followed by its maintained line in the same file; a damaged file is evidence. */
  if (history_size (domain->history) > HISTORY_LONG && !domain->untrusted
      && !ledger_is_maintaining (domain->ledger))
    domain_rotate (pool, domain);
  history_head (domain->history, &head);
  if (pool->catalog != NULL && !catalog_put_head (pool->catalog, domain->uuid, &head, &failure))
    pool_catalog_failed (pool, g_steal_pointer (&failure));
}

/* --- members --- */

static bool
domain_has_directory (const PoolDomain *domain, const char *name)
{
  struct stat st;
  return fstatat (domain->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR (st.st_mode);
}

PoolMembers *
pool_members_new (const PoolDomain *domain, GHashTable *remove)
{
  const GPtrArray *entries = ledger_entries (domain->ledger);
  PoolMembers *members = g_new0 (PoolMembers, 1);
  members->strings = g_string_chunk_new (4096);
  members->disks = g_ptr_array_new_with_free_func (g_free);
  members->members = g_array_new (FALSE, TRUE, sizeof (struct guardd_member));
  for (guint i = 0; i < entries->len; i++) {
    const LedgerEntry *entry = entries->pdata[i];
    g_autofree char *name = pool_directory_name (entry->number);
    /* Gone already: one whose removal a crash interrupted, or a lost one. */
    if (!domain_has_directory (domain, name))
      continue;
    g_autofree char *directory = g_strdup_printf ("%s/%s", domain->uuid, name);
    const char **disks = g_new0 (const char *, entry->disks->len + 1);
    for (guint d = 0; d < entry->disks->len; d++)
      disks[d]
          = g_string_chunk_insert_const (members->strings, g_array_index (entry->disks, LedgerDisk, d).disk);
    g_ptr_array_add (members->disks, disks);
    struct guardd_member member
        = { .directory = g_string_chunk_insert (members->strings, directory),
            .disks = disks,
            .remove = remove ? g_hash_table_contains (remove, &entry->number) : entry->removing };
    g_array_append_val (members->members, member);
  }
  return members;
}

void
pool_members_free (PoolMembers *members)
{
  if (members == NULL)
    return;
  g_string_chunk_free (members->strings);
  g_ptr_array_unref (members->disks);
  g_array_unref (members->members);
  g_free (members);
}
