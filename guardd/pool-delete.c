/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-private.h"

/* Keeps a history line, and what a crash has to do again, in bounds. */
#define BATCH_MAX 1000
/* Times that what is to go was pinned or held while it was prepared, before we give up. */
#define ATTEMPTS_MAX 5

bool
pool_delete (Pool *pool, const char *domain_uuid, const guint64 *numbers, size_t n, bool force,
             GCancellable *cancellable, GError **error)
{
  GError *cause = NULL;
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  if (domain == NULL)
    return false;
  g_autoptr (GHashTable) seen = g_hash_table_new (g_int64_hash, g_int64_equal);
  g_autoptr (GArray) unique = g_array_new (FALSE, FALSE, sizeof (guint64));
  for (size_t i = 0; i < n; i++)
    if (g_hash_table_add (seen, (void *)&numbers[i]))
      g_array_append_val (unique, numbers[i]);
  g_mutex_lock (&pool->maintenance);
  bool ok = pool_maintain (pool, domain, unique, force, cancellable, &cause);
  g_mutex_unlock (&pool->maintenance);
  return ok || pool_fail (pool, error, cause, "cannot remove snapshots");
}

/* With lock held.  Whatever a retention says, these stay: the last good one; while nobody has looked at the
 * newest, the one before it, which may become that; what the next list of files is compared with, and the
 * list before that while it is. */
static bool
domain_is_spared (const PoolDomain *domain, guint i, guint64 last_good)
{
  guint n = domain->entries->len;
  guint64 number = ((const PoolEntry *)domain->entries->pdata[i])->snapshot->manifest->number;
  const Snapshot *newest = ((const PoolEntry *)domain->entries->pdata[n - 1])->snapshot;
  return number == last_good || number == domain->listed[0] || number == domain->listed[1]
         || (i + 2 == n && newest->state->verdict == NULL);
}

/* What the retention lets go now, at most BATCH_MAX, oldest first. */
static GArray *
domain_expired (Pool *pool, PoolDomain *domain, const Retention *retention)
{
  GArray *numbers = g_array_new (FALSE, FALSE, sizeof (guint64));
  g_mutex_lock (&pool->lock);
  guint n = domain->entries->len;
  guint64 last_good = pool_entries_last_good (domain->entries);
  g_autofree RetentionItem *items = g_new0 (RetentionItem, n + 1);
  for (guint i = 0; i < n; i++) {
    const Snapshot *snapshot = ((PoolEntry *)domain->entries->pdata[i])->snapshot;
    items[i].number = snapshot->manifest->number;
    items[i].time_us = snapshot->manifest->time_us;
    items[i].pinned = snapshot->state->hold != NULL || snapshot->state->evidence;
  }
  retention_apply (retention, items, n);
  for (guint i = 0; i < n && numbers->len < BATCH_MAX; i++)
    if (!items[i].keep && !pool_domain_is_pinned (domain, items[i].number)
        && !domain_is_spared (domain, i, last_good))
      g_array_append_val (numbers, items[i].number);
  g_mutex_unlock (&pool->lock);
  return numbers;
}

bool
pool_prune (Pool *pool, const char *domain_uuid, const Retention *retention, gint64 now_us, guint64 *removed,
            GCancellable *cancellable, GError **error)
{
  guint64 sum = 0;
  guint refused = 0;
  bool more = true, ok = true;
  GError *cause = NULL;
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  if (domain == NULL)
    return false;
  g_mutex_lock (&pool->maintenance);
  while (ok && more) {
    g_clear_error (&cause);
    g_autoptr (GArray) numbers = domain_expired (pool, domain, retention);
    ok = pool_maintain (pool, domain, numbers, false, cancellable, &cause);
    more = ok && numbers->len == BATCH_MAX;
    sum += ok ? numbers->len : 0;
    /* Held or pinned since we looked: look again. */
    if (!ok && g_error_matches (cause, POOL_ERROR, POOL_ERROR_BUSY) && ++refused < ATTEMPTS_MAX)
      ok = more = true;
  }
  g_mutex_unlock (&pool->maintenance);
  if (!ok)
    return pool_fail (pool, error, cause, "cannot apply the retention to domain %s", domain->uuid);
  *removed = sum;
  return true;
}

/* The oldest that may go; 0: none. */
static guint64
domain_oldest (Pool *pool, PoolDomain *domain)
{
  guint64 number = 0;
  g_mutex_lock (&pool->lock);
  guint64 last_good = pool_entries_last_good (domain->entries);
  for (guint i = 0; number == 0 && i + 1 < domain->entries->len; i++) {
    const Snapshot *snapshot = ((PoolEntry *)domain->entries->pdata[i])->snapshot;
    if (snapshot->state->hold == NULL && !snapshot->state->evidence
        && !pool_domain_is_pinned (domain, snapshot->manifest->number)
        && !domain_is_spared (domain, i, last_good))
      number = snapshot->manifest->number;
  }
  g_mutex_unlock (&pool->lock);
  return number;
}

static bool
pool_is_short (Pool *pool, bool *is_short, GError **error)
{
  if (!pool_refresh_space (pool, error))
    return false;
  *is_short = pool_is_filling (pool);
  return true;
}

bool
pool_make_room (Pool *pool, const char *domain_uuid, guint64 *removed, GCancellable *cancellable,
                GError **error)
{
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  guint refused = 0;
  *removed = 0;
  for (;;) {
    g_autoptr (GError) cause = NULL;
    bool is_short = false;
    if (domain == NULL || !pool_is_short (pool, &is_short, error))
      return false;
    guint64 number = is_short ? domain_oldest (pool, domain) : 0;
    if (number == 0)
      return true;
    bool gone = pool_delete (pool, domain_uuid, &number, 1, false, cancellable, &cause);
    *removed += gone;
    /* Held or pinned since we looked: look again. */
    if (!gone && !(g_error_matches (cause, POOL_ERROR, POOL_ERROR_BUSY) && ++refused < ATTEMPTS_MAX)) {
      g_propagate_error (error, g_steal_pointer (&cause));
      return false;
    }
  }
}
