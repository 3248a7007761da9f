/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of files of a snapshot, beside its images.  Nothing is proven by it and nothing restored from it:
 * it is not in the history, and can be made again. */
#include "pool-private.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define INVENTORY_ASIDE POOL_DRAFT_PREFIX POOL_INVENTORY

static int
open_snapshot (Pool *pool, const char *domain_uuid, guint64 number, GError **error)
{
  const PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  g_autofree char *name = pool_directory_name (number);
  return domain ? files_open_directory (domain->fd, name, error) : -1;
}

int
pool_inventory_open (Pool *pool, const char *domain_uuid, guint64 number, GError **error)
{
  int directory = open_snapshot (pool, domain_uuid, number, error);
  if (directory < 0)
    return -1;
  int fd = openat (directory, POOL_INVENTORY, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT)
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND,
                 "snapshot %" G_GUINT64_FORMAT " has not been inspected", number);
  else if (fd < 0)
    files_set_error (error, errno, directory, POOL_INVENTORY, "open");
  close (directory);
  return fd;
}

bool
pool_inventory_exists (Pool *pool, const char *domain_uuid, guint64 number)
{
  int fd = pool_inventory_open (pool, domain_uuid, number, NULL);
  if (fd >= 0)
    close (fd);
  return fd >= 0;
}

static int
create_aside (Pool *pool, const char *domain_uuid, guint64 number, GError **error)
{
  int directory = open_snapshot (pool, domain_uuid, number, error);
  if (directory < 0)
    return -1;
  unlinkat (directory, INVENTORY_ASIDE, 0);
  int fd = openat (directory, INVENTORY_ASIDE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    files_set_error (error, errno, directory, INVENTORY_ASIDE, "create");
  close (directory);
  return fd;
}

int
pool_inventory_create (Pool *pool, const char *domain_uuid, guint64 number, GError **error)
{
  if (!pool_reserve (pool, POOL_INVENTORY_MAX, error))
    return -1;
  int fd = create_aside (pool, domain_uuid, number, error);
  if (fd < 0)
    pool_unreserve (pool, POOL_INVENTORY_MAX);
  return fd;
}

static void
note_listed (Pool *pool, const char *domain_uuid, guint64 number)
{
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, NULL);
  if (domain == NULL)
    return;
  g_mutex_lock (&pool->lock);
  pool_domain_add_listed (domain, number);
  g_mutex_unlock (&pool->lock);
}

bool
pool_inventory_finish (Pool *pool, const char *domain_uuid, guint64 number, int fd, bool keep, GError **error)
{
  bool ok = !keep || files_sync (fd, error);
  close (fd);
  pool_unreserve (pool, POOL_INVENTORY_MAX);
  int directory = open_snapshot (pool, domain_uuid, number, ok && keep ? error : NULL);
  if (directory < 0)
    return !keep;
  if (!keep || !ok)
    unlinkat (directory, INVENTORY_ASIDE, 0);
  else if (renameat (directory, INVENTORY_ASIDE, directory, POOL_INVENTORY) < 0) {
    files_set_error (error, errno, directory, POOL_INVENTORY, "rename");
    ok = false;
  } else
    note_listed (pool, domain_uuid, number);
  close (directory);
  return ok;
}
