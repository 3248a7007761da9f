/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done about a domain's directory before anything in it is used.  Every
 * step can be repeated: a crash in here is like the crash before.
 *
 *   found                                         done
 *   a draft (.new-N)                              removed
 *   history's last line torn, nothing missing it  cut off, said
 *   create as the last line, no directory         void entered (a commit that did not happen)
 *   create earlier, no directory                  problem: somebody removed it
 *   directory, no create line                     problem, not loaded: somebody put it there, or cut the
 * history maintain without maintained                   done again something prepared, no maintain line
 * thrown away state.json not what the last line says        written again
 */
#include "pool-private.h"

#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* --- what is there --- */

static int
number_compare (const void *a, const void *b)
{
  guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
  return (x > y) - (x < y);
}

static bool
name_is_known (const char *name)
{
  static const char *const known[] = { ".", "..", HISTORY_FILE, "history.old", "history.new", ".maintain" };
  for (size_t i = 0; i < G_N_ELEMENTS (known); i++)
    if (strcmp (name, known[i]) == 0)
      return true;
  return g_str_has_prefix (name, "base-");
}

GArray *
pool_domain_list (Pool *pool, PoolDomain *domain, GPtrArray *drafts, GError **error)
{
  /* A descriptor of its own: readdir() moves the offset. */
  int fd = openat (domain->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = fd >= 0 ? fdopendir (fd) : NULL;
  if (directory == NULL) {
    files_set_error (error, errno, domain->fd, "", "list it");
    if (fd >= 0)
      close (fd);
    return NULL;
  }
  GArray *numbers = g_array_new (FALSE, FALSE, sizeof (guint64));
  const struct dirent *entry;
  while ((entry = readdir (directory)) != NULL) {
    guint64 number = 0;
    struct stat st;
    bool is_directory
        = fstatat (domain->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR (st.st_mode);
    if (name_is_known (entry->d_name))
      continue;
    if (is_directory && pool_directory_parse (entry->d_name, &number)) {
      g_array_append_val (numbers, number);
    } else if (g_str_has_prefix (entry->d_name, POOL_DRAFT_PREFIX)) {
      if (drafts != NULL)
        g_ptr_array_add (drafts, g_strdup (entry->d_name));
    } else {
      g_autofree char *path = files_path (domain->fd, entry->d_name);
      pool_problem (pool, "%s: not guardd's, ignoring", path);
    }
  }
  closedir (directory);
  g_array_sort (numbers, number_compare);
  return numbers;
}

static bool
numbers_contain (const GArray *numbers, guint64 number)
{
  guint place;
  return g_array_binary_search ((GArray *)numbers, &number, number_compare, &place);
}

/* --- history --- */

static void
domain_replay (json_object *line, void *opaque, char **problem)
{
  PoolDomain *domain = opaque;
  g_autoptr (GError) failure = NULL;
  if (!ledger_apply (domain->ledger, line, &failure))
    *problem = g_strdup (failure->message);
}

/* The head that we remember from before, outside the pool, must still be in it. */
static void
domain_check_head (Pool *pool, PoolDomain *domain)
{
  HistoryHead remembered, head;
  guint8 hash[HISTORY_HASH_SIZE];
  if (pool->catalog == NULL || !catalog_get_head (pool->catalog, domain->uuid, &remembered))
    return;
  history_head (domain->history, &head);
  bool cut = remembered.n > head.n;
  bool other = !cut && history_hash_of (domain->history, remembered.n, hash)
               && memcmp (hash, remembered.hash, sizeof hash) != 0;
  if (!cut && !other)
    return;
  pool_problem (pool,
                "%s/%s/" HISTORY_FILE
                ": %s: it was cut off, replaced or put back to an older state; `guardsh "
                "pool-scan` accepts what is there",
                pool->path, domain->uuid,
                cut ? "ends before the last line that guardd entered" : "is not the one that guardd wrote");
  domain->untrusted = true;
}

static bool
domain_read_history (Pool *pool, PoolDomain *domain, GError **error)
{
  g_autoptr (GPtrArray) problems = g_ptr_array_new_with_free_func (g_free);
  domain->history = history_open (domain->fd, domain_replay, domain, problems, error);
  if (domain->history == NULL)
    return false;
  for (guint i = 0; i < problems->len; i++)
    pool_problem (pool, "%s", (const char *)problems->pdata[i]);
  domain->untrusted = problems->len > 0;
  domain_check_head (pool, domain);
  return true;
}

/* --- making history and directory agree --- */

static void
domain_check_directories (Pool *pool, PoolDomain *domain, const GArray *numbers)
{
  if (history_is_new (domain->history) && numbers->len > 0)
    pool_problem (pool,
                  "%s/%s/" HISTORY_FILE ": is missing, so its %u snapshots are not listed; `guardsh "
                  "pool-scan` accepts what is there",
                  pool->path, domain->uuid, numbers->len);
  for (guint i = 0; i < numbers->len; i++) {
    guint64 number = g_array_index (numbers, guint64, i);
    if (ledger_find (domain->ledger, number) != NULL)
      continue;
    domain->untrusted = true;
    if (!history_is_new (domain->history))
      pool_problem (pool, "%s/%s/%08" G_GUINT64_FORMAT ": the history has no such snapshot, ignoring",
                    pool->path, domain->uuid, number);
  }
}

static bool
domain_settle_torn (Pool *pool, PoolDomain *domain, GError **error)
{
  if (!history_is_torn (domain->history))
    return true;
  /* A directory gets its name after its line is durable: if each has its line, the torn one was never
   * promised to anybody.  Else it is damage, and stays for whoever looks into it. */
  if (domain->untrusted) {
    pool_problem (pool, "%s/%s/" HISTORY_FILE ": the last line is damaged", pool->path, domain->uuid);
    return true;
  }
  pool_problem (pool, "%s/%s/" HISTORY_FILE ": the last line was torn by a crash and has been cut off",
                pool->path, domain->uuid);
  return history_drop_torn (domain->history, error);
}

static bool
domain_settle_missing (Pool *pool, PoolDomain *domain, const GArray *numbers, GError **error)
{
  const GPtrArray *entries = ledger_entries (domain->ledger);
  guint64 created_last
      = strcmp (ledger_last_op (domain->ledger), "create") == 0 ? ledger_last_subject (domain->ledger) : 0;
  guint64 void_number = 0;
  for (guint i = 0; i < entries->len; i++) {
    const LedgerEntry *entry = entries->pdata[i];
    if (entry->removing || numbers_contain (numbers, entry->number))
      continue;
    if (entry->number == created_last)
      void_number = created_last;
    else
      pool_problem (pool,
                    "%s/%s/%08" G_GUINT64_FORMAT ": is in the history, but was removed by somebody else",
                    pool->path, domain->uuid, entry->number);
  }
  return void_number == 0
         || pool_domain_append (domain, "void", ledger_void_members (void_number), true, error);
}

static bool
domain_settle_maintenance (Pool *pool, PoolDomain *domain, GError **error)
{
  if (ledger_is_maintaining (domain->ledger))
    return pool_domain_redo (pool, domain, error);
  return storage_maintain_abort (pool->storage, domain->uuid, error);
}

static bool
domain_recover_storage (Pool *pool, PoolDomain *domain, GError **error)
{
  /* What no known snapshot needs is removed by this; where we do not know them all, nothing may be. */
  g_mutex_lock (&domain->append);
  g_autoptr (PoolMembers) members = domain->untrusted ? NULL : pool_members_new (domain, NULL);
  g_mutex_unlock (&domain->append);
  if (members == NULL)
    return true;
  return storage_recover (pool->storage, domain->uuid, (struct guardd_member *)members->members->data,
                          members->members->len, error);
}

static bool
domain_recover (Pool *pool, PoolDomain *domain, GError **error)
{
  g_autoptr (GPtrArray) drafts = g_ptr_array_new_with_free_func (g_free);
  if (!domain_read_history (pool, domain, error))
    return false;
  g_autoptr (GArray) numbers = pool_domain_list (pool, domain, drafts, error);
  if (numbers == NULL)
    return false;
  for (guint i = 0; i < drafts->len; i++)
    if (!files_remove_tree (domain->fd, drafts->pdata[i], error))
      return false;
  domain_check_directories (pool, domain, numbers);
  domain->last = ledger_last_number (domain->ledger);
  if (numbers->len > 0)
    domain->last = MAX (domain->last, g_array_index (numbers, guint64, numbers->len - 1));
  return domain_settle_torn (pool, domain, error) && domain_settle_missing (pool, domain, numbers, error);
}

bool
pool_domain_recover_again (Pool *pool, PoolDomain *domain, GError **error)
{
  /* A draft's images belong to no snapshot yet.  None is begun while this is locked. */
  g_rw_lock_writer_lock (&domain->images);
  g_mutex_lock (&pool->lock);
  bool idle = domain->drafts == 0;
  g_mutex_unlock (&pool->lock);
  bool ok = true;
  if (idle) {
    ok = storage_maintain_abort (pool->storage, domain->uuid, error)
         && domain_recover_storage (pool, domain, error);
    domain->unrecovered = !ok;
  }
  g_rw_lock_writer_unlock (&domain->images);
  return ok;
}

PoolDomain *
pool_domain_load (Pool *pool, const char *uuid, GError **error)
{
  g_autoptr (GError) failure = NULL;
  PoolDomain *domain = pool_domain_new (pool, uuid, error);
  if (domain == NULL)
    return NULL;
  /* Nobody else knows the domain yet, so `append` is only taken by what takes it itself. */
  if (!domain_recover (pool, domain, error)) {
    pool_domain_free (domain);
    return NULL;
  }
  /* A maintenance that cannot be finished now (no space, say) does not hide the snapshots. */
  domain->unrecovered = !domain_settle_maintenance (pool, domain, &failure)
                        || !domain_recover_storage (pool, domain, &failure);
  if (domain->unrecovered)
    pool_problem (pool,
                  "domain %s: cannot finish what was interrupted; trying again with the next pruning: %s",
                  uuid, failure->message);
  pool_domain_load_entries (pool, domain);
  pool_domain_appended (pool, domain);
  g_mutex_lock (&pool->lock);
  g_hash_table_insert (pool->domains, domain->uuid, domain);
  g_mutex_unlock (&pool->lock);
  return domain;
}
