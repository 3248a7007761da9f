/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-private.h"

#include "base/files.h"
#include "base/json.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* --- values --- */

Snapshot *
snapshot_copy (const Snapshot *snapshot)
{
  Snapshot *copy = g_new (Snapshot, 1);
  copy->manifest = manifest_copy (snapshot->manifest);
  copy->state = snapshot_state_copy (snapshot->state);
  return copy;
}

void
snapshot_free (Snapshot *snapshot)
{
  if (snapshot == NULL)
    return;
  manifest_free (snapshot->manifest);
  snapshot_state_free (snapshot->state);
  g_free (snapshot);
}

/* --- problems and errors --- */

void
pool_problem (Pool *pool, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_mutex_lock (&pool->lock);
  if (pool->problems->len < POOL_PROBLEMS_MAX
      && !g_ptr_array_find_with_equal_func (pool->problems, text, g_str_equal, NULL))
    g_ptr_array_add (pool->problems, g_steal_pointer (&text));
  g_mutex_unlock (&pool->lock);
}

char **
pool_problems (Pool *pool)
{
  g_mutex_lock (&pool->lock);
  char **copy = g_new0 (char *, pool->problems->len + 1);
  for (guint i = 0; i < pool->problems->len; i++)
    copy[i] = g_strdup (pool->problems->pdata[i]);
  g_mutex_unlock (&pool->lock);
  return copy;
}

static PoolErrorCode
pool_error_code (const GError *cause)
{
  if (g_error_matches (cause, STORAGE_ERROR, STORAGE_ERROR_FULL)
      || g_error_matches (cause, G_FILE_ERROR, G_FILE_ERROR_NOSPC))
    return POOL_ERROR_FULL;
  if (g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_INVALID_DATA) || cause->domain == JSON_ERROR)
    return POOL_ERROR_DAMAGED;
  return POOL_ERROR_FAILED;
}

bool
pool_fail (Pool *pool, GError **error, GError *cause, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *what = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_autoptr (GError) owned = cause;
  if (cause->domain == POOL_ERROR || g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    g_propagate_prefixed_error (error, g_steal_pointer (&owned), "%s: ", what);
  } else if (g_error_matches (cause, STORAGE_ERROR, STORAGE_ERROR_CANCELLED)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s: %s", what, cause->message);
  } else if (pool_error_code (cause) == POOL_ERROR_FULL) {
    g_autofree char *left = size_format (pool_free_bytes (pool, NULL));
    g_set_error (error, POOL_ERROR, POOL_ERROR_FULL,
                 "%s: pool %s (%s) is full, %s free: remove snapshots, shorten keep = in guardd.conf, or "
                 "enlarge its filesystem (%s)",
                 what, pool->name, pool->path, left, cause->message);
  } else {
    g_set_error (error, POOL_ERROR, pool_error_code (cause), "%s: %s", what, cause->message);
  }
  return false;
}

void
pool_catalog_failed (Pool *pool, GError *failure)
{
  pool_problem (pool, "%s; guardd goes on without this index and rebuilds it at the next start",
                failure->message);
  g_error_free (failure);
}

/* --- opening --- */

static bool
pool_lock (Pool *pool, GError **error)
{
  pool->lock_fd = openat (pool->fd, POOL_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (pool->lock_fd < 0) {
    files_set_error (error, errno, pool->fd, POOL_LOCK, "open it");
    return false;
  }
  if (flock (pool->lock_fd, LOCK_EX | LOCK_NB) == 0)
    return true;
  g_set_error (error, POOL_ERROR, errno == EWOULDBLOCK ? POOL_ERROR_BUSY : POOL_ERROR_FAILED,
               errno == EWOULDBLOCK ? "pool %s (%s): another guardd uses it"
                                    : "pool %s (%s): its .lock cannot be locked",
               pool->name, pool->path);
  return false;
}

static bool
pool_probe_reflinks (const Pool *pool)
{
  static const char block[4096] = { 1 };
  int from = openat (pool->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  int to = openat (pool->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  bool works = from >= 0 && to >= 0 && write (from, block, sizeof block) == (ssize_t)sizeof block
               && ioctl (to, FICLONE, from) == 0;
  if (from >= 0)
    close (from);
  if (to >= 0)
    close (to);
  return works;
}

static void
pool_check_mode (Pool *pool)
{
  struct stat st;
  if (fstat (pool->fd, &st) == 0 && (st.st_mode & 077) != 0)
    pool_problem (pool, "%s: others than its owner may enter it (mode %04o): chmod 0700 %s", pool->path,
                  st.st_mode & 07777, pool->path);
}

char **
pool_list_directories (Pool *pool, GError **error)
{
  g_autoptr (GDir) directory = g_dir_open (pool->path, 0, error);
  if (directory == NULL)
    return NULL;
  g_autoptr (GPtrArray) uuids = g_ptr_array_new ();
  const char *name;
  while ((name = g_dir_read_name (directory)) != NULL) {
    g_autofree char *lower = g_ascii_strdown (name, -1);
    if (strcmp (name, POOL_JSON) == 0 || strcmp (name, POOL_LOCK) == 0 || strcmp (name, "lost+found") == 0)
      continue;
    if (g_uuid_string_is_valid (name) && strcmp (name, lower) == 0)
      g_ptr_array_add (uuids, g_strdup (name));
    else
      pool_problem (pool, "%s/%s: not guardd's, ignoring", pool->path, name);
  }
  g_ptr_array_add (uuids, NULL);
  return (char **)g_ptr_array_steal (uuids, NULL);
}

/* A domain that was taken away as a whole leaves nothing in the pool that could tell. */
static void
pool_check_vanished (Pool *pool, char **uuids)
{
  if (pool->catalog == NULL)
    return;
  g_auto (GStrv) known = catalog_domains (pool->catalog);
  for (char **uuid = known; *uuid; uuid++)
    if (!g_strv_contains ((const char *const *)uuids, *uuid))
      pool_problem (pool,
                    "%s/%s: was removed by somebody else, with all snapshots of this domain; `guardsh "
                    "pool-scan` accepts that",
                    pool->path, *uuid);
}

static bool
pool_load_domains (Pool *pool, GError **error)
{
  g_auto (GStrv) uuids = pool_list_directories (pool, error);
  if (uuids == NULL)
    return false;
  for (char **uuid = uuids; *uuid; uuid++) {
    g_autoptr (GError) failure = NULL;
    if (pool_domain_load (pool, *uuid, &failure) == NULL)
      pool_problem (pool, "%s; nothing of this domain is listed", failure->message);
  }
  pool_check_vanished (pool, uuids);
  return true;
}

static void
pool_open_catalog (Pool *pool, const char *path)
{
  g_autoptr (GError) failure = NULL;
  g_autofree char *problem = NULL;
  if (path == NULL)
    return;
  pool->catalog = catalog_open (path, pool->id, &problem, &failure);
  if (problem != NULL)
    pool_problem (pool, "%s", problem);
  if (pool->catalog == NULL)
    pool_catalog_failed (pool, g_steal_pointer (&failure));
}

static bool
pool_open_storage (Pool *pool, const char *plugin_dir, const PoolStorage *storage, GError **error)
{
  PoolIdentity identity;
  bool ok = pool_identity_read (pool->fd, pool->path, storage, &identity, error) && pool_lock (pool, error);
  if (ok) {
    pool->id = g_strdup (identity.id);
    pool->storage = storage_open (plugin_dir, identity.storage, pool->path,
                                  (const struct guardd_param *)(void *)identity.params->data,
                                  identity.params->len, error);
  }
  pool_identity_clear (&identity);
  return pool->storage != NULL;
}

static bool
pool_open_inside (Pool *pool, const char *plugin_dir, const char *catalog_path, const PoolStorage *storage,
                  GError **error)
{
  if (!pool_mount_if_needed (pool->path, error))
    return false;
  pool->fd = open (pool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (pool->fd < 0) {
    files_set_error (error, errno, AT_FDCWD, pool->path, "open the pool");
    return false;
  }
  if (!pool_open_storage (pool, plugin_dir, storage, error))
    return false;
  pool_check_mode (pool);
  pool->reflinks = pool_probe_reflinks (pool);
  pool_open_catalog (pool, catalog_path);
  bool in_transaction = pool->catalog != NULL && catalog_begin (pool->catalog, NULL);
  g_mutex_lock (&pool->loading);
  bool ok = pool_load_domains (pool, error);
  g_mutex_unlock (&pool->loading);
  g_autoptr (GError) failure = NULL;
  if (in_transaction && !catalog_commit (pool->catalog, &failure))
    pool_catalog_failed (pool, g_steal_pointer (&failure));
  return ok;
}

Pool *
pool_open (const char *name, const char *path, const char *plugin_dir, const char *catalog_path,
           const PoolStorage *storage, GError **error)
{
  GError *cause = NULL;
  Pool *pool = g_new0 (Pool, 1);
  pool->name = g_strdup (name);
  pool->path = g_canonicalize_filename (path, NULL);
  pool->fd = pool->lock_fd = -1;
  g_mutex_init (&pool->maintenance);
  g_mutex_init (&pool->loading);
  g_mutex_init (&pool->lock);
  pool->problems = g_ptr_array_new_with_free_func (g_free);
  pool->domains = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)pool_domain_free);
  if (pool_open_inside (pool, plugin_dir, catalog_path, storage, &cause))
    return pool;
  pool_fail (pool, error, cause, "cannot open pool %s", name);
  pool_close (pool);
  return NULL;
}

void
pool_close (Pool *pool)
{
  if (pool == NULL)
    return;
  g_hash_table_unref (pool->domains);
  if (pool->storage != NULL)
    storage_close (pool->storage);
  catalog_close (pool->catalog);
  if (pool->lock_fd >= 0)
    close (pool->lock_fd);
  if (pool->fd >= 0)
    close (pool->fd);
  g_ptr_array_unref (pool->problems);
  g_mutex_clear (&pool->maintenance);
  g_mutex_clear (&pool->loading);
  g_mutex_clear (&pool->lock);
  g_free (pool->name);
  g_free (pool->path);
  g_free (pool->id);
  g_free (pool);
}

const char *
pool_name (const Pool *pool)
{
  return pool->name;
}

const char *
pool_path (const Pool *pool)
{
  return pool->path;
}

const char *
pool_id (const Pool *pool)
{
  return pool->id;
}

guint64
pool_silence_us (Pool *pool, const char *domain_uuid, const char **operation)
{
  return storage_silence_us (pool->storage, domain_uuid, operation);
}

const struct guardd_plugin *
pool_plugin (const Pool *pool)
{
  return storage_plugin (pool->storage);
}
