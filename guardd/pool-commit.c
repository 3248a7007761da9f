/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A draft becomes a snapshot. */
#include "pool-private.h"

#include "base/files.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

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
  if (!pool_draft_add (draft, POOL_MANIFEST, *text, 0400, error))
    return false;
  *entry = ledger_entry_new (manifest, g_array_index (draft->files, DraftFile, n_files).sha256, state);
  for (guint i = 0; i < n_files; i++) {
    const DraftFile *file = &g_array_index (draft->files, DraftFile, i);
    ledger_entry_add_file (*entry, file->name, file->sha256);
  }
  for (guint i = 0; i < draft->files->len; i++)
    files_set_immutable (g_array_index (draft->files, DraftFile, i).fd, true);
  return state_text == NULL || pool_draft_add (draft, POOL_STATE, state_text, 0600, error);
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
    pool_draft_free (draft);
    return true;
  }
  pool_fail (draft->pool, error, cause, "snapshot %" G_GUINT64_FORMAT " of domain %s", draft->number,
             domain->uuid);
  pool_draft_abort (draft);
  return false;
}
