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

typedef struct {
  char *name;
  int fd;
  guint8 sha256[SHA256_DIGEST_LENGTH];
} DraftFile;

struct PoolDraft {
  Pool *pool;
  PoolDomain *domain;
  guint64 number, reserved;
  int fd;           /* of the directory */
  char *name;       /* ".new-00000042" */
  char *final;      /* "00000042" */
  GArray *files;    /* DraftFile; open until they are durable */
  GArray *parents;  /* guint64: pinned */
  GPtrArray *disks; /* targets of images begun */
};

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

static bool
draft_make_directory (PoolDraft *draft, GError **error)
{
  PoolDomain *domain = draft->domain;
  g_mutex_lock (&draft->pool->lock);
  draft->number = ++domain->last;
  g_mutex_unlock (&draft->pool->lock);
  draft->final = pool_directory_name (draft->number);
  draft->name = g_strconcat (POOL_DRAFT_PREFIX, draft->final, NULL);
  /* What an aborted draft could not remove is in the way. */
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

static bool
draft_pin_parent (PoolDraft *draft, const char *target, guint64 parent, guint64 size, GError **error)
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
  if (parent == 0 || draft_pin_parent (draft, target, parent, size, &cause))
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

static bool
draft_add (PoolDraft *draft, const char *name, GBytes *content, mode_t mode, GError **error)
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
  return draft_add (draft, name, content, 0400, &cause)
         || pool_fail (draft->pool, error, cause, "snapshot %" G_GUINT64_FORMAT " of domain %s",
                       draft->number, draft->domain->uuid);
}

/* --- end --- */

static void
draft_free (PoolDraft *draft)
{
  pool_unreserve (draft->pool, draft->reserved);
  g_mutex_lock (&draft->pool->lock);
  for (guint i = 0; i < draft->parents->len; i++)
    for (guint k = 0; k < draft->domain->pins->len; k++)
      if (g_array_index (draft->domain->pins, guint64, k) == g_array_index (draft->parents, guint64, i)) {
        g_array_remove_index_fast (draft->domain->pins, k);
        break;
      }
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

void
pool_draft_abort (PoolDraft *draft)
{
  if (draft == NULL)
    return;
  g_autoptr (GError) failure = NULL;
  if (draft->fd >= 0) {
    g_autofree char *directory = g_strdup_printf ("%s/%s", draft->domain->uuid, draft->name);
    g_rw_lock_writer_lock (&draft->domain->images);
    for (guint i = 0; i < draft->disks->len && failure == NULL; i++)
      storage_image_remove (draft->pool->storage, directory, draft->disks->pdata[i], &failure);
    g_rw_lock_writer_unlock (&draft->domain->images);
    if (failure != NULL || !files_remove_tree (draft->domain->fd, draft->name, &failure))
      pool_problem (draft->pool, "%s; it is removed at the next start", failure->message);
  }
  draft_free (draft);
}

static bool
draft_check (PoolDraft *draft, Manifest *manifest, GError **error)
{
  const char *wrong = NULL;
  if (manifest->number == 0)
    manifest->number = draft->number;
  if (manifest->number != draft->number)
    wrong = "another number";
  else if (g_strcmp0 (manifest->domain_uuid, draft->domain->uuid) != 0)
    wrong = "another domain";
  else if (manifest->disks->len != draft->disks->len)
    wrong = "other disks";
  for (guint i = 0; wrong == NULL && i < draft->disks->len; i++)
    if (manifest_find_disk (manifest, draft->disks->pdata[i]) == NULL)
      wrong = "other disks";
  /* What could not be read back must not be written: a snapshot would be there and never listed. */
  g_autoptr (json_object) json = manifest_to_json (manifest);
  g_autoptr (Manifest) again = wrong == NULL ? manifest_from_json (json, error) : NULL;
  if (wrong != NULL)
    g_set_error (error, POOL_ERROR, POOL_ERROR_FAILED, "the manifest names %s than the draft", wrong);
  return again != NULL;
}

/* manifest.json and state.json; with `sealed`, nobody changes the small files any more. */
static bool
draft_write_manifest (PoolDraft *draft, const Manifest *manifest, const SnapshotState *state,
                      LedgerEntry **entry, GBytes **text, GError **error)
{
  g_autoptr (json_object) json = manifest_to_json (manifest);
  size_t length = 0;
  const char *body = json_object_to_json_string_length (
      json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
  guint n_files = draft->files->len;
  *text = g_bytes_new (body, length);
  g_autoptr (GBytes) state_text = state ? pool_state_text (state) : NULL;
  if (!draft_add (draft, POOL_MANIFEST, *text, 0400, error))
    return false;
  *entry = ledger_entry_new (manifest, g_array_index (draft->files, DraftFile, n_files).sha256, state);
  for (guint i = 0; i < n_files; i++) {
    const DraftFile *file = &g_array_index (draft->files, DraftFile, i);
    ledger_entry_add_file (*entry, file->name, file->sha256);
  }
  for (guint i = 0; i < draft->files->len; i++)
    files_set_immutable (g_array_index (draft->files, DraftFile, i).fd, true);
  return state_text == NULL || draft_add (draft, POOL_STATE, state_text, 0600, error);
}

/*
 * The order that a crash must find: (1) files, directory and history line durable, then (2) the new name.
 * Within (1) there is no order: with the line and without the rest the snapshot is void, with the rest and
 * without the line it is a draft.  So all is written back first, and the first fsync() of the row commits the
 * journal for the others, which find nothing left to do.  Append held.
 */
static bool
draft_seal (PoolDraft *draft, const LedgerEntry *entry, bool *entered, GError **error)
{
  PoolDomain *domain = draft->domain;
  if (!pool_domain_append (domain, "create", ledger_create_members (entry), false, error))
    return false;
  *entered = true;
  for (guint i = 0; i < draft->files->len; i++)
    if (!files_sync (g_array_index (draft->files, DraftFile, i).fd, error))
      return false;
  if (!files_sync (draft->fd, error) || !history_sync (domain->history, error))
    return false;
  if (renameat2 (domain->fd, draft->name, domain->fd, draft->final, RENAME_NOREPLACE) < 0) {
    files_set_error (error, errno, domain->fd, draft->name, "give it its final name");
    return false;
  }
  if (files_sync (domain->fd, error))
    return true;
  /* Back to a draft, so that it can be removed like one. */
  renameat2 (domain->fd, draft->final, domain->fd, draft->name, RENAME_NOREPLACE);
  return false;
}

static void
draft_enter_catalog (PoolDraft *draft, GBytes *manifest, const SnapshotState *state)
{
  struct stat st, state_st;
  g_autoptr (GError) failure = NULL;
  if (draft->pool->catalog == NULL || fstatat (draft->fd, POOL_MANIFEST, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return;
  bool has_state = state != NULL && fstatat (draft->fd, POOL_STATE, &state_st, AT_SYMLINK_NOFOLLOW) == 0;
  g_autoptr (GBytes) state_bytes = has_state ? pool_state_text (state) : NULL;
  g_autofree char *text = g_strndup (g_bytes_get_data (manifest, NULL), g_bytes_get_size (manifest));
  g_autofree char *stamp = catalog_stamp (&st);
  g_autofree char *state_stamp = has_state ? catalog_stamp (&state_st) : NULL;
  CatalogRow row = { .number = draft->number,
                     .manifest = text,
                     .manifest_stamp = stamp,
                     .state = has_state ? (char *)g_bytes_get_data (state_bytes, NULL) : NULL,
                     .state_stamp = state_stamp };
  if (!catalog_put (draft->pool->catalog, draft->domain->uuid, &row, &failure))
    pool_catalog_failed (draft->pool, g_steal_pointer (&failure));
}

static void
draft_list (PoolDraft *draft, const Manifest *manifest, const SnapshotState *state)
{
  Snapshot *snapshot = g_new (Snapshot, 1);
  snapshot->manifest = manifest_copy (manifest);
  snapshot->state = state ? snapshot_state_copy (state) : snapshot_state_new ();
  g_mutex_lock (&draft->pool->lock);
  pool_domain_insert (draft->domain, pool_entry_new (snapshot, manifest_stored_bytes (manifest)));
  if (draft->domain->preparing)
    g_array_append_vals (draft->domain->late_parents, draft->parents->data, draft->parents->len);
  g_mutex_unlock (&draft->pool->lock);
}

bool
pool_draft_commit (PoolDraft *draft, Manifest *manifest, const SnapshotState *state, GError **error)
{
  GError *cause = NULL;
  g_autoptr (LedgerEntry) entry = NULL;
  g_autoptr (GBytes) text = NULL;
  PoolDomain *domain = draft->domain;
  bool entered = false;
  bool ok = draft_check (draft, manifest, &cause)
            && draft_write_manifest (draft, manifest, state, &entry, &text, &cause);
  if (ok) {
    g_mutex_lock (&domain->append);
    ok = draft_seal (draft, entry, &entered, &cause);
    if (ok) {
      draft_list (draft, manifest, state);
      draft_enter_catalog (draft, text, state);
      pool_domain_appended (draft->pool, domain);
    } else if (entered) {
      /* Best effort: a create line without its directory is found at the next start. */
      pool_domain_append (domain, "void", ledger_void_members (draft->number), true, NULL);
    }
    g_mutex_unlock (&domain->append);
  }
  if (ok) {
    draft_free (draft);
    return true;
  }
  pool_fail (draft->pool, error, cause, "snapshot %" G_GUINT64_FORMAT " of domain %s", draft->number,
             domain->uuid);
  pool_draft_abort (draft);
  return false;
}
