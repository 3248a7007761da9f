/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-private.h"

#include "base/files.h"

#include <unistd.h>

/* state.json follows the history's line while append is held, so at most the last line's is behind after a
 * crash.  The line is what counts: from there on there is no failure. */
static bool
domain_set_state (Pool *pool, PoolDomain *domain, guint64 number, const SnapshotState *state, GError **error)
{
  size_t length = 0;
  g_autoptr (GError) failure = NULL;
  g_autofree char *name = pool_directory_name (number);
  g_autoptr (GBytes) text = pool_state_text (state);
  const void *data = g_bytes_get_data (text, &length);
  int fd = files_open_directory (domain->fd, name, error);
  if (fd < 0)
    return false;
  bool ok = pool_domain_append (domain, "state", ledger_state_members (number, state), true, error);
  if (ok && !files_replace (fd, POOL_STATE, data, length, 0600, &failure))
    pool_problem (pool, "%s; the history has the new state", failure->message);
  close (fd);
  return ok;
}

static void
state_change (SnapshotState *state, const StateChange *change)
{
  if (change->verdict) {
    g_free (state->verdict);
    state->verdict = g_strdup (change->verdict);
  }
  if (change->release || (change->hold && !(change->mild && state->hold))) {
    g_free (state->hold);
    state->hold = g_strdup (change->hold);
  }
}

bool
pool_change_state (Pool *pool, const char *domain_uuid, guint64 number, const StateChange *change,
                   GError **error)
{
  GError *cause = NULL;
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  if (domain == NULL)
    return false;
  g_mutex_lock (&domain->append);
  /* Asked under append, under which states change and a maintenance takes snapshots out of the list. */
  g_mutex_lock (&pool->lock);
  PoolEntry *entry = pool_domain_entry (domain, number);
  Snapshot *snapshot = entry ? snapshot_copy (entry->snapshot) : NULL;
  guint64 stored_bytes = entry ? entry->stored_bytes : 0;
  g_mutex_unlock (&pool->lock);
  if (snapshot == NULL)
    g_set_error (&cause, POOL_ERROR, POOL_ERROR_NOT_FOUND, "it is not there");
  else
    state_change (snapshot->state, change);
  bool ok = snapshot != NULL && domain_set_state (pool, domain, number, snapshot->state, &cause);
  if (ok) {
    g_mutex_lock (&pool->lock);
    pool_domain_insert (domain, pool_entry_new (snapshot, stored_bytes));
    g_mutex_unlock (&pool->lock);
    pool_domain_appended (pool, domain);
  } else {
    snapshot_free (snapshot);
  }
  g_mutex_unlock (&domain->append);
  return ok
         || pool_fail (pool, error, cause, "cannot change the state of snapshot %" G_GUINT64_FORMAT, number);
}

void
pool_note_verdict (Pool *pool, const char *domain_uuid, guint64 number, const char *verdict)
{
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, NULL);
  if (domain == NULL)
    return;
  g_mutex_lock (&domain->append);
  g_mutex_lock (&pool->lock);
  PoolEntry *entry = pool_domain_entry (domain, number);
  if (entry) {
    /* An entry is shared with those who look at it: a changed one takes its place. */
    Snapshot *snapshot = snapshot_copy (entry->snapshot);
    g_free (snapshot->state->verdict);
    snapshot->state->verdict = g_strdup (verdict);
    pool_domain_insert (domain, pool_entry_new (snapshot, entry->stored_bytes));
  }
  g_mutex_unlock (&pool->lock);
  g_mutex_unlock (&domain->append);
}
