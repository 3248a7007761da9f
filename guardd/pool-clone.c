/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images that are clones of guests' own disks, for storages that can. */
#include "pool-private.h"

bool
pool_clones (const Pool *pool)
{
  return storage_clones (pool->storage);
}

bool
pool_source_probe (Pool *pool, const char *domain_uuid, const char *path, const char *format,
                   struct guardd_source_info *info, GError **error)
{
  return storage_source_probe (pool->storage, domain_uuid, path, format, info, error);
}

/* The specs' strings are chunk's. */
static bool
clone_specs (PoolDraft *draft, const PoolSource *sources, size_t n, GStringChunk *chunk,
             struct guardd_image_spec *specs, GError **error)
{
  const char *uuid = draft->domain->uuid;
  g_autofree char *directory = g_strdup_printf ("%s/%s", uuid, draft->name);
  g_autofree char *name = g_strdup_printf ("%s/%s", uuid, draft->final);
  for (size_t i = 0; i < n; i++) {
    const PoolSource *source = &sources[i];
    g_autofree char *parent_name = pool_directory_name (source->parent);
    g_autofree char *parent = g_strdup_printf ("%s/%s", uuid, parent_name);
    if (source->parent && !pool_draft_pin (draft, source->target, source->parent, source->size, error))
      return false;
    specs[i]
        = (struct guardd_image_spec){ .size_of = sizeof specs[i],
                                      .directory = g_string_chunk_insert_const (chunk, directory),
                                      .name = g_string_chunk_insert_const (chunk, name),
                                      .disk = source->target,
                                      .parent = source->parent ? g_string_chunk_insert (chunk, parent) : NULL,
                                      .size = source->size };
  }
  return true;
}

bool
pool_draft_clone (PoolDraft *draft, PoolSource *sources, size_t n, GError **error)
{
  GError *cause = NULL;
  PoolDomain *domain = draft->domain;
  GStringChunk *chunk = g_string_chunk_new (1024);
  g_autofree struct guardd_image_spec *specs = g_new0 (struct guardd_image_spec, n);
  g_autofree const char **paths = g_new0 (const char *, n);
  g_autofree StorageWriter **writers = g_new0 (StorageWriter *, n);
  for (size_t i = 0; i < n; i++) {
    paths[i] = sources[i].path;
    /* Before, so that what a failure leaves is removed with the draft. */
    g_ptr_array_add (draft->disks, g_strdup (sources[i].target));
  }
  g_rw_lock_reader_lock (&domain->images);
  bool ok = clone_specs (draft, sources, n, chunk, specs, &cause)
            && storage_sources_clone (draft->pool->storage, specs, paths, n, writers, &cause);
  g_rw_lock_reader_unlock (&domain->images);
  for (size_t i = 0; i < n; i++)
    sources[i].writer = writers[i];
  g_string_chunk_free (chunk);
  return ok
         || pool_fail (draft->pool, error, cause, "snapshot %" G_GUINT64_FORMAT " of domain %s",
                       draft->number, domain->uuid);
}

bool
pool_source_restore (Pool *pool, const char *domain_uuid, guint64 number, const char *target,
                     const char *path, guint64 evidence, GError **error)
{
  GError *cause = NULL;
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  if (domain == NULL)
    return false;
  g_autofree char *from_name = pool_directory_name (number), *keep_name = pool_directory_name (evidence);
  g_autofree char *from = g_strdup_printf ("%s/%s", domain->uuid, from_name);
  g_autofree char *keep = g_strdup_printf ("%s/%s", domain->uuid, keep_name);
  g_rw_lock_reader_lock (&domain->images);
  bool ok = storage_source_restore (pool->storage, path, from, target, keep, &cause);
  g_rw_lock_reader_unlock (&domain->images);
  return ok
         || pool_fail (pool, error, cause, "disk %s cannot be put back from snapshot %" G_GUINT64_FORMAT,
                       target, number);
}
