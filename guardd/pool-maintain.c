/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Maintenance: snapshots go, images stay readable.
 *
 *   prepare   the plugin builds aside what the survivors need    no lock but `maintenance`; captures go on
 *   maintain  the history line: from here on it will happen      images (writer) + append
 *   commit    the plugin puts it in place                        images (writer)
 *   remove    images, small files, directory of each             images (writer), each for itself
 *   maintained  the history line: nothing is left to do          append
 *
 * A crash before `maintain` throws away what was prepared, one after it does the rest again.
 */
#include "pool-private.h"

#include "base/files.h"

#include <string.h>

typedef struct {
  Pool *pool;
  PoolDomain *domain;
  bool force;
  const GArray *numbers; /* guint64 to remove */
} Maintenance;

/* --- carrying out --- */

static bool
domain_remove_snapshot (Pool *pool, PoolDomain *domain, const LedgerEntry *entry, GError **error)
{
  g_autofree char *name = pool_directory_name (entry->number);
  g_autofree char *directory = g_strdup_printf ("%s/%s", domain->uuid, name);
  bool ok = true;
  g_rw_lock_writer_lock (&domain->images);
  for (guint i = 0; ok && i < entry->disks->len; i++)
    ok = storage_image_remove (pool->storage, directory, g_array_index (entry->disks, LedgerDisk, i).disk,
                               error);
  g_rw_lock_writer_unlock (&domain->images);
  return ok && files_remove_tree (domain->fd, name, error);
}

/* Removing ones are out of the list, and nobody but the maintenance touches their ledger entries. */
static bool
domain_remove_all (Pool *pool, PoolDomain *domain, const GPtrArray *removing, GError **error)
{
  for (guint i = 0; i < removing->len; i++)
    if (!domain_remove_snapshot (pool, domain, removing->pdata[i], error))
      return false;
  return removing->len == 0 || files_sync (domain->fd, error);
}

static GPtrArray *
domain_removing (const PoolDomain *domain)
{
  const GPtrArray *entries = ledger_entries (domain->ledger);
  GPtrArray *removing = g_ptr_array_new ();
  for (guint i = 0; i < entries->len; i++)
    if (((LedgerEntry *)entries->pdata[i])->removing)
      g_ptr_array_add (removing, entries->pdata[i]);
  return removing;
}

/* With append held. */
static bool
domain_maintained (Pool *pool, PoolDomain *domain, const GPtrArray *removing, GError **error)
{
  if (pool->catalog != NULL)
    for (guint i = 0; i < removing->len; i++)
      catalog_remove (pool->catalog, domain->uuid, ((LedgerEntry *)removing->pdata[i])->number, NULL);
  if (!pool_domain_append (domain, "maintained", json_object_new_object (), true, error))
    return false;
  pool_domain_appended (pool, domain);
  return true;
}

/* From the durable maintain line on; images (writer) is held and released. */
static bool
domain_carry_out (Pool *pool, PoolDomain *domain, GError **error)
{
  g_mutex_lock (&domain->append);
  g_autoptr (PoolMembers) members = pool_members_new (domain, NULL);
  g_autoptr (GPtrArray) removing = domain_removing (domain);
  g_mutex_unlock (&domain->append);
  bool ok
      = storage_maintain_commit (pool->storage, domain->uuid, (struct guardd_member *)members->members->data,
                                 members->members->len, error);
  g_rw_lock_writer_unlock (&domain->images);
  if (!ok || !domain_remove_all (pool, domain, removing, error))
    return false;
  g_mutex_lock (&domain->append);
  ok = domain_maintained (pool, domain, removing, error);
  g_mutex_unlock (&domain->append);
  return ok;
}

bool
pool_domain_redo (Pool *pool, PoolDomain *domain, GError **error)
{
  g_rw_lock_writer_lock (&domain->images);
  return domain_carry_out (pool, domain, error);
}

/* --- one maintenance --- */

static const char *
entry_protection (const PoolDomain *domain, const PoolEntry *entry, bool force)
{
  const PoolEntry *newest = domain->entries->pdata[domain->entries->len - 1];
  guint64 number = entry->snapshot->manifest->number;
  if (entry == newest)
    return "is the newest, which always stays";
  if (pool_domain_is_pinned (domain, number))
    return "is needed by a capture or an inspection that is running; try again when that is done";
  if (entry->snapshot->state->hold != NULL && !force)
    return "is held; release it first or use force";
  if (entry->snapshot->state->evidence && !force)
    return "is evidence taken before a rollback; use force";
  return NULL;
}

/* With lock held: this one may go. */
static bool
maintenance_check_one (const Maintenance *maintenance, guint64 number, GError **error)
{
  const PoolDomain *domain = maintenance->domain;
  const PoolEntry *entry = pool_domain_entry (domain, number);
  const char *why = entry ? entry_protection (domain, entry, maintenance->force) : NULL;
  /* A damaged one can be got rid of, but only on purpose. */
  if (entry == NULL && pool_domain_is_unlisted (domain, number)) {
    if (maintenance->force)
      return true;
    why = "is damaged and not listed; use force to remove what is left of it";
  }
  if (entry == NULL && why == NULL)
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND, "domain %s has no snapshot %" G_GUINT64_FORMAT,
                 domain->uuid, number);
  else if (why != NULL)
    g_set_error (error, POOL_ERROR, POOL_ERROR_BUSY, "snapshot %" G_GUINT64_FORMAT " of %s %s", number,
                 entry ? entry->snapshot->manifest->domain_name : domain->uuid, why);
  return entry != NULL && why == NULL;
}

/* With lock held: all of numbers may go. */
static bool
maintenance_check (const Maintenance *maintenance, GError **error)
{
  for (guint i = 0; i < maintenance->numbers->len; i++)
    if (!maintenance_check_one (maintenance, g_array_index (maintenance->numbers, guint64, i), error))
      return false;
  return true;
}

/* Checks again and takes the entries out of the list in one go, so that nobody can hold, pin or open one of
 * them in between. */
static GPtrArray *
maintenance_claim (const Maintenance *maintenance, GError **error)
{
  GPtrArray *taken = NULL;
  g_mutex_lock (&maintenance->pool->lock);
  if (maintenance_check (maintenance, error)) {
    taken = g_ptr_array_new_with_free_func ((GDestroyNotify)pool_entry_unref);
    for (guint i = 0; i < maintenance->numbers->len; i++) {
      guint64 number = g_array_index (maintenance->numbers, guint64, i);
      PoolEntry *entry = pool_domain_take (maintenance->domain, number);
      if (entry != NULL)
        g_ptr_array_add (taken, entry);
    }
    maintenance->domain->generation++;
  }
  g_mutex_unlock (&maintenance->pool->lock);
  return taken;
}

static void
maintenance_unclaim (const Maintenance *maintenance, const GPtrArray *taken)
{
  g_mutex_lock (&maintenance->pool->lock);
  for (guint i = 0; i < taken->len; i++)
    pool_domain_insert (maintenance->domain, g_atomic_rc_box_acquire (taken->pdata[i]));
  g_mutex_unlock (&maintenance->pool->lock);
}

/* What the survivors store now. */
static void
maintenance_update_entries (const Maintenance *maintenance, const GArray *changes)
{
  PoolDomain *domain = maintenance->domain;
  g_mutex_lock (&maintenance->pool->lock);
  for (guint i = 0; i < changes->len; i++) {
    guint64 number = ledger_change_number (&g_array_index (changes, struct guardd_change, i));
    const PoolEntry *entry = pool_domain_entry (domain, number);
    const LedgerEntry *now = ledger_find (domain->ledger, number);
    if (entry != NULL && now != NULL)
      pool_domain_insert (domain,
                          pool_entry_new (snapshot_copy (entry->snapshot), ledger_stored_bytes (now)));
  }
  g_mutex_unlock (&maintenance->pool->lock);
}

/* images (writer) and append held. */
static bool
maintenance_enter (const Maintenance *maintenance, const GArray *changes, GError **error)
{
  PoolDomain *domain = maintenance->domain;
  g_autoptr (GPtrArray) taken = maintenance_claim (maintenance, error);
  if (taken == NULL)
    return false;
  json_object *members
      = ledger_maintain_members ((const guint64 *)maintenance->numbers->data, maintenance->numbers->len,
                                 (const struct guardd_change *)changes->data, changes->len);
  if (!pool_domain_append (domain, "maintain", members, true, error)) {
    maintenance_unclaim (maintenance, taken);
    return false;
  }
  maintenance_update_entries (maintenance, changes);
  return true;
}

static bool
maintenance_put_in_place (const Maintenance *maintenance, const GArray *changes, GError **error)
{
  PoolDomain *domain = maintenance->domain;
  g_rw_lock_writer_lock (&domain->images);
  g_mutex_lock (&domain->append);
  bool entered = maintenance_enter (maintenance, changes, error);
  g_mutex_unlock (&domain->append);
  if (entered)
    return domain_carry_out (maintenance->pool, domain, error);
  g_rw_lock_writer_unlock (&domain->images);
  storage_maintain_abort (maintenance->pool->storage, domain->uuid, NULL);
  return false;
}

static PoolMembers *
maintenance_members (const Maintenance *maintenance)
{
  g_autoptr (GHashTable) remove = g_hash_table_new (g_int64_hash, g_int64_equal);
  for (guint i = 0; i < maintenance->numbers->len; i++)
    g_hash_table_add (remove, &g_array_index (maintenance->numbers, guint64, i));
  g_mutex_lock (&maintenance->domain->append);
  PoolMembers *members = pool_members_new (maintenance->domain, remove);
  g_mutex_unlock (&maintenance->domain->append);
  return members;
}

/* With maintenance held. */
static bool
domain_ready (Pool *pool, PoolDomain *domain, GError **error)
{
  g_mutex_lock (&domain->append);
  bool untrusted = domain->untrusted, unfinished = ledger_is_maintaining (domain->ledger);
  g_mutex_unlock (&domain->append);
  if (untrusted) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_DAMAGED,
                 "domain %s: its history does not explain what is in %s/%s, so nothing is removed there; see "
                 "`guardsh pool-info`, and accept what is there with `guardsh pool-scan`",
                 domain->uuid, pool->path, domain->uuid);
    return false;
  }
  /* A commit, removal or recovery failed earlier, for want of space perhaps. */
  return (!unfinished || pool_domain_redo (pool, domain, error))
         && (!domain->unrecovered || pool_domain_recover_again (pool, domain, error));
}

static void
maintenance_set_preparing (const Maintenance *maintenance, bool preparing)
{
  g_mutex_lock (&maintenance->pool->lock);
  maintenance->domain->preparing = preparing;
  g_array_set_size (maintenance->domain->late_parents, 0);
  g_mutex_unlock (&maintenance->pool->lock);
}

static bool
maintenance_prepare_and_do (const Maintenance *maintenance, GCancellable *cancellable, GError **error)
{
  Pool *pool = maintenance->pool;
  PoolDomain *domain = maintenance->domain;
  g_autoptr (GArray) changes = NULL;
  g_autoptr (PoolMembers) members = maintenance_members (maintenance);
  if (!storage_maintain_prepare (pool->storage, domain->uuid, (struct guardd_member *)members->members->data,
                                 members->members->len, &changes, cancellable, error)) {
    storage_maintain_abort (pool->storage, domain->uuid, NULL);
    return false;
  }
  if (changes->len == 0 && maintenance->numbers->len == 0)
    return true;
  return maintenance_put_in_place (maintenance, changes, error);
}

bool
pool_maintain (Pool *pool, PoolDomain *domain, const GArray *numbers, bool force, GCancellable *cancellable,
               GError **error)
{
  Maintenance maintenance = { .pool = pool, .domain = domain, .force = force, .numbers = numbers };
  if (!domain_ready (pool, domain, error))
    return false;
  g_mutex_lock (&pool->lock);
  bool may = maintenance_check (&maintenance, error);
  g_mutex_unlock (&pool->lock);
  if (!may)
    return false;
  maintenance_set_preparing (&maintenance, true);
  bool ok = maintenance_prepare_and_do (&maintenance, cancellable, error);
  maintenance_set_preparing (&maintenance, false);
  return ok;
}
