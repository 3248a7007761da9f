/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-private.h"

bool
pool_pin (Pool *pool, const char *domain_uuid, guint64 number, GError **error)
{
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  if (domain == NULL)
    return false;
  g_mutex_lock (&pool->lock);
  bool found = pool_domain_entry (domain, number) != NULL;
  if (found)
    g_array_append_val (domain->pins, number);
  g_mutex_unlock (&pool->lock);
  if (!found)
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND,
                 "snapshot %" G_GUINT64_FORMAT
                 " of domain %s is gone: the retention or somebody has removed it",
                 number, domain_uuid);
  return found;
}

void
pool_unpin (Pool *pool, const char *domain_uuid, guint64 number)
{
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, NULL);
  if (domain == NULL)
    return;
  g_mutex_lock (&pool->lock);
  pool_domain_unpin (domain, number);
  g_mutex_unlock (&pool->lock);
}
