/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-private.h"

#include "base/units.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define RESERVE_MIN ((guint64)64 * 1024 * 1024)
#define RESERVE_PART 64

bool
pool_refresh_space (Pool *pool, GError **error)
{
  struct guardd_space space;
  bool elsewhere = false;
  GError *cause = NULL;
  if (!storage_space (pool->storage, &space, &elsewhere, &cause))
    return pool_fail (pool, error, cause, "pool %s: cannot ask how full it is", pool->name);
  if (!elsewhere)
    space.size_of = 0;
  g_mutex_lock (&pool->lock);
  pool->space = space;
  g_mutex_unlock (&pool->lock);
  return true;
}

guint64
pool_free_bytes (Pool *pool, guint64 *size)
{
  struct statvfs vfs;
  if (fstatvfs (pool->fd, &vfs) < 0)
    return 0;
  g_mutex_lock (&pool->lock);
  struct guardd_space space = pool->space;
  g_mutex_unlock (&pool->lock);
  guint64 left = (guint64)vfs.f_bavail * vfs.f_frsize;
  /* Indexes and manifests want room too, but little. */
  bool elsewhere = space.size_of > 0 && left >= RESERVE_MIN;
  if (size != NULL)
    *size = elsewhere ? space.size_bytes : (guint64)vfs.f_blocks * vfs.f_frsize;
  return elsewhere ? space.free_bytes : left;
}

bool
pool_is_filling (Pool *pool)
{
  g_mutex_lock (&pool->lock);
  bool filling = pool->space.size_of > 0 && pool->space.prune;
  g_mutex_unlock (&pool->lock);
  return filling;
}

bool
pool_is_in_place (Pool *pool, GError **error)
{
  struct stat open, named;
  if (fstat (pool->fd, &open) == 0 && stat (pool->path, &named) == 0 && open.st_dev == named.st_dev
      && open.st_ino == named.st_ino)
    return true;
  g_set_error (
      error, POOL_ERROR, POOL_ERROR_FAILED,
      "pool %s: %s is not the directory that guardd opened (unmounted, or something is mounted over it): "
      "mount it there again, or restart guardd if it is to be another one now",
      pool->name, pool->path);
  return false;
}

bool
pool_reserve (Pool *pool, guint64 bytes, GError **error)
{
  if (!pool_is_in_place (pool, error) || !pool_refresh_space (pool, error))
    return false;
  guint64 size = 0, left = pool_free_bytes (pool, &size);
  guint64 reserve = MAX (size / RESERVE_PART, RESERVE_MIN);
  g_mutex_lock (&pool->lock);
  bool elsewhere = pool->space.size_of > 0;
  guint64 wanted = bytes > G_MAXUINT64 - pool->reserved_bytes ? G_MAXUINT64 : bytes + pool->reserved_bytes;
  bool fits = left >= reserve && wanted <= left - reserve;
  if (fits)
    pool->reserved_bytes += bytes;
  g_mutex_unlock (&pool->lock);
  if (fits)
    return true;
  g_autofree char *needed = size_format (bytes), *others = size_format (wanted - bytes),
                  *free_text = size_format (left), *kept = size_format (reserve);
  g_set_error (error, POOL_ERROR, POOL_ERROR_FULL,
               "pool %s (%s): %s needed and %s by other captures, but %s free of which %s stay in reserve: "
               "remove snapshots, shorten keep = in guardd.conf, or enlarge %s",
               pool->name, pool->path, needed, others, free_text, kept,
               elsewhere ? "what its storage lies in" : "its filesystem");
  return false;
}

void
pool_unreserve (Pool *pool, guint64 bytes)
{
  g_mutex_lock (&pool->lock);
  pool->reserved_bytes -= bytes;
  g_mutex_unlock (&pool->lock);
}

bool
pool_info (Pool *pool, PoolInfo *info, GError **error)
{
  PoolInfo sum = { .reflinks = pool->reflinks };
  struct statvfs vfs;
  if (fstatvfs (pool->fd, &vfs) < 0) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_FAILED, "%s: cannot ask its filesystem: %s", pool->path,
                 g_strerror (errno));
    return false;
  }
  sum.free_bytes = pool_free_bytes (pool, &sum.size_bytes);
  GHashTableIter iter;
  PoolDomain *domain;
  g_mutex_lock (&pool->lock);
  g_hash_table_iter_init (&iter, pool->domains);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&domain)) {
    sum.domains += domain->entries->len > 0;
    sum.snapshots += domain->entries->len;
    for (guint i = 0; i < domain->entries->len; i++)
      sum.stored_bytes += ((PoolEntry *)domain->entries->pdata[i])->stored_bytes;
  }
  g_mutex_unlock (&pool->lock);
  *info = sum;
  return true;
}
