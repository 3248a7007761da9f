/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-private.h"

#include "base/files.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRAFT_FILES_MAX 64

static void
draft_file_clear (void *pointer)
{
  DraftFile *file = pointer;
  g_free (file->name);
  close (file->fd);
}

/* --- beginning --- */

static PoolDomain *
draft_domain (Pool *pool, const char *uuid, GError **error)
{
  PoolDomain *domain = pool_domain_find (pool, uuid, NULL);
  if (domain != NULL)
    return domain;
  g_mutex_lock (&pool->loading);
  domain = pool_domain_find (pool, uuid, NULL);
  if (domain == NULL) {
    if (mkdirat (pool->fd, uuid, 0700) < 0 && errno != EEXIST)
      files_set_error (error, errno, pool->fd, uuid, "make the directory");
    else if (files_sync (pool->fd, error))
      domain = pool_domain_load (pool, uuid, error);
  }
  g_mutex_unlock (&pool->loading);
  return domain;
}

/* What earlier drafts could not remove, say for want of descriptors. */
static void
draft_remove_stale (PoolDraft *draft)
{
  PoolDomain *domain = draft->domain;
  g_mutex_lock (&draft->pool->lock);
  g_autoptr (GPtrArray) stale = g_steal_pointer (&domain->stale);
  domain->stale = g_ptr_array_new_with_free_func (g_free);
  g_mutex_unlock (&draft->pool->lock);
  for (guint i = 0; i < stale->len; i++) {
    if (files_remove_tree (domain->fd, stale->pdata[i], NULL))
      continue;
    g_mutex_lock (&draft->pool->lock);
    g_ptr_array_add (domain->stale, g_strdup (stale->pdata[i]));
    g_mutex_unlock (&draft->pool->lock);
  }
}

static bool
draft_make_directory (PoolDraft *draft, GError **error)
{
  PoolDomain *domain = draft->domain;
  g_mutex_lock (&draft->pool->lock);
  domain->drafts++;
  draft->number = ++domain->last;
  g_mutex_unlock (&draft->pool->lock);
  draft->final = pool_directory_name (draft->number);
  draft->name = g_strconcat (POOL_DRAFT_PREFIX, draft->final, NULL);
  draft_remove_stale (draft);
  /* A draft of a number that was never entered, from before a restart. */
  if (!files_remove_tree (domain->fd, draft->name, error))
    return false;
  if (mkdirat (domain->fd, draft->name, 0700) < 0) {
    files_set_error (error, errno, domain->fd, draft->name, "make the directory");
    return false;
  }
  draft->fd = files_open_directory (domain->fd, draft->name, error);
  return draft->fd >= 0;
}

PoolDraft *
pool_draft_new (Pool *pool, const char *domain_uuid, guint64 need_bytes, GError **error)
{
  g_autofree char *uuid = g_ascii_strdown (domain_uuid, -1);
  GError *cause = NULL;
  if (!g_uuid_string_is_valid (uuid)) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_FAILED, "\"%s\" is not a domain's UUID", domain_uuid);
    return NULL;
  }
  if (!pool_reserve (pool, need_bytes, error))
    return NULL;
  PoolDraft *draft = g_new0 (PoolDraft, 1);
  draft->pool = pool;
  draft->reserved = need_bytes;
  draft->fd = -1;
  draft->files = g_array_new (FALSE, TRUE, sizeof (DraftFile));
  g_array_set_clear_func (draft->files, draft_file_clear);
  draft->parents = g_array_new (FALSE, FALSE, sizeof (guint64));
  draft->disks = g_ptr_array_new_with_free_func (g_free);
  draft->domain = draft_domain (pool, uuid, &cause);
  if (draft->domain != NULL && draft_make_directory (draft, &cause))
    return draft;
  pool_fail (pool, error, cause, "a new snapshot of domain %s", uuid);
  pool_draft_abort (draft);
  return NULL;
}

guint64
pool_draft_number (const PoolDraft *draft)
{
  return draft->number;
}

/* --- content --- */

bool
pool_draft_pin (PoolDraft *draft, const char *target, guint64 parent, guint64 size, GError **error)
{
  bool ok = false;
  g_mutex_lock (&draft->pool->lock);
  PoolEntry *entry = pool_domain_entry (draft->domain, parent);
  ManifestDisk *disk = entry ? manifest_find_disk (entry->snapshot->manifest, target) : NULL;
  if (disk == NULL)
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND,
                 "disk %s: no snapshot %" G_GUINT64_FORMAT " with it to stand on", target, parent);
  else if (disk->size > size)
    g_set_error (error, POOL_ERROR, POOL_ERROR_FAILED,
                 "disk %s: %" G_GUINT64_FORMAT " bytes now, but %" G_GUINT64_FORMAT
                 " in snapshot %" G_GUINT64_FORMAT " that it would stand on",
                 target, size, disk->size, parent);
  else
    ok = true;
  if (ok) {
    g_array_append_val (draft->domain->pins, parent);
    g_array_append_val (draft->parents, parent);
  }
  g_mutex_unlock (&draft->pool->lock);
  return ok;
}

StorageWriter *
pool_draft_image (PoolDraft *draft, const char *target, guint64 parent, guint64 size, GError **error)
{
  GError *cause = NULL;
  PoolDomain *domain = draft->domain;
  if (g_ptr_array_find_with_equal_func (draft->disks, target, g_str_equal, NULL)) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_FAILED, "disk %s: is in this snapshot already", target);
    return NULL;
  }
  g_autofree char *parent_name = pool_directory_name (parent);
  g_autofree char *directory = g_strdup_printf ("%s/%s", domain->uuid, draft->name);
  g_autofree char *name = g_strdup_printf ("%s/%s", domain->uuid, draft->final);
  g_autofree char *parent_directory = g_strdup_printf ("%s/%s", domain->uuid, parent_name);
  struct guardd_image_spec spec = { .size_of = sizeof spec,
                                    .directory = directory,
                                    .name = name,
                                    .disk = target,
                                    .parent = parent ? parent_directory : NULL,
                                    .size = size };
  /* The plugin looks into the parent, which must not be exchanged under it. */
  g_rw_lock_reader_lock (&domain->images);
  StorageWriter *writer = NULL;
  if (parent == 0 || pool_draft_pin (draft, target, parent, size, &cause))
    writer = storage_image_create (draft->pool->storage, &spec, &cause);
  g_rw_lock_reader_unlock (&domain->images);
  if (writer == NULL)
    pool_fail (draft->pool, error, cause, "snapshot %" G_GUINT64_FORMAT " of domain %s", draft->number,
               domain->uuid);
  else
    g_ptr_array_add (draft->disks, g_strdup (target));
  return writer;
}

static bool
draft_name_is_fine (const PoolDraft *draft, const char *name)
{
  size_t length = strlen (name);
  if (length < 1 || length > 64 || *name == '.' || strspn (name, G_CSET_a_2_z ".-") != length)
    return false;
  if (strcmp (name, POOL_MANIFEST) == 0 || strcmp (name, POOL_STATE) == 0)
    return false;
  return draft->files->len < DRAFT_FILES_MAX;
}

bool
pool_draft_add (PoolDraft *draft, const char *name, GBytes *content, mode_t mode, GError **error)
{
  size_t length = 0;
  const guint8 *data = g_bytes_get_data (content, &length);
  DraftFile file = { .fd = files_create (draft->fd, name, data, length, mode, error) };
  if (file.fd < 0)
    return false;
  file.name = g_strdup (name);
  SHA256 (data, length, file.sha256);
  g_array_append_val (draft->files, file);
  return true;
}

bool
pool_draft_file (PoolDraft *draft, const char *name, GBytes *content, GError **error)
{
  GError *cause = NULL;
  if (!draft_name_is_fine (draft, name) || g_bytes_get_size (content) > FILES_SMALL_MAX) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_FAILED,
                 "file \"%s\" of %zu bytes cannot be kept in a snapshot: the name must be of a-z . - and the "
                 "size at most 16 MiB",
                 name, g_bytes_get_size (content));
    return false;
  }
  return pool_draft_add (draft, name, content, 0400, &cause)
         || pool_fail (draft->pool, error, cause, "snapshot %" G_GUINT64_FORMAT " of domain %s",
                       draft->number, draft->domain->uuid);
}

/* --- end --- */

void
pool_draft_free (PoolDraft *draft)
{
  pool_unreserve (draft->pool, draft->reserved);
  g_mutex_lock (&draft->pool->lock);
  for (guint i = 0; i < draft->parents->len; i++)
    pool_domain_unpin (draft->domain, g_array_index (draft->parents, guint64, i));
  if (draft->domain != NULL)
    draft->domain->drafts--;
  g_mutex_unlock (&draft->pool->lock);
  g_array_unref (draft->files);
  g_array_unref (draft->parents);
  g_ptr_array_unref (draft->disks);
  if (draft->fd >= 0)
    close (draft->fd);
  g_free (draft->name);
  g_free (draft->final);
  g_free (draft);
}

static void
draft_leave (PoolDraft *draft, const GError *why)
{
  g_warning ("%s; it is removed before the next snapshot", why->message);
  g_mutex_lock (&draft->pool->lock);
  g_ptr_array_add (draft->domain->stale, g_strdup (draft->name));
  g_mutex_unlock (&draft->pool->lock);
}

void
pool_draft_abort (PoolDraft *draft)
{
  if (draft == NULL)
    return;
  g_autoptr (GError) failure = NULL;
  if (draft->domain != NULL && draft->name != NULL) {
    g_autofree char *directory = g_strdup_printf ("%s/%s", draft->domain->uuid, draft->name);
    g_rw_lock_writer_lock (&draft->domain->images);
    for (guint i = 0; i < draft->disks->len && failure == NULL; i++)
      storage_image_remove (draft->pool->storage, directory, draft->disks->pdata[i], &failure);
    g_rw_lock_writer_unlock (&draft->domain->images);
    if (failure != NULL || !files_remove_tree (draft->domain->fd, draft->name, &failure))
      draft_leave (draft, failure);
  }
  pool_draft_free (draft);
}
