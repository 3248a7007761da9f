/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The chain of trust from the history down to the blocks. */
#include "pool-private.h"

#include "base/files.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A verification may meet a maintenance that replaces what it reads; each time it starts that image again. */
#define ATTEMPTS_MAX 10

typedef struct {
  Pool *pool;
  PoolDomain *domain;
  PoolVerified *verified;
  GCancellable *cancellable;
} Verification;

bool
pool_verify_history (Pool *pool, const char *domain_uuid, GError **error)
{
  GError *cause = NULL;
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  if (domain == NULL)
    return false;
  bool ok = pool_domain_check_history (domain, &cause);
  g_mutex_lock (&domain->append);
  if (ok && domain->untrusted) {
    ok = false;
    g_set_error (&cause, POOL_ERROR, POOL_ERROR_DAMAGED,
                 "%s/%s/" HISTORY_FILE ": did not explain what was there when the pool was opened",
                 pool->path, domain->uuid);
  }
  g_mutex_unlock (&domain->append);
  return ok || pool_fail (pool, error, cause, "history of domain %s", domain->uuid);
}

/* --- one snapshot --- */

/* With append held: manifest.json and state.json against the ledger. */
static bool
verify_manifest (const Verification *verification, const LedgerEntry *entry, GError **error)
{
  PoolDomain *domain = verification->domain;
  g_autofree char *name = pool_directory_name (entry->number);
  int fd = files_open_directory (domain->fd, name, error);
  if (fd < 0)
    return false;
  g_autofree char *state_path = files_path (fd, POOL_STATE);
  g_autoptr (GBytes) state = entry->state ? files_read (fd, POOL_STATE, FILES_SMALL_MAX, error) : NULL;
  g_autoptr (GBytes) expected = entry->state ? pool_state_text (entry->state) : NULL;
  bool stray = entry->state == NULL && faccessat (fd, POOL_STATE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  close (fd);
  if (entry->state != NULL && state == NULL)
    return false;
  if (stray || (state != NULL && !g_bytes_equal (state, expected))) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_DAMAGED, "%s: is not what the history has: edited or damaged",
                 state_path);
    return false;
  }
  g_autoptr (Manifest) manifest
      = pool_manifest_read (domain, entry->number, entry->manifest, NULL, NULL, error);
  return manifest != NULL;
}

static bool
verify_files (const Verification *verification, guint64 number, const GPtrArray *names, GError **error)
{
  for (guint i = 0; i < names->len; i++) {
    g_autoptr (GBytes) bytes
        = pool_snapshot_file (verification->pool, verification->domain->uuid, number, names->pdata[i], error);
    if (bytes == NULL)
      return false;
  }
  return true;
}

/* What an image must be, at a moment when no maintenance is putting another in its place. */
static bool
image_expected (const Verification *verification, guint64 number, const char *disk, guint8 *hash,
                guint64 *generation)
{
  PoolDomain *domain = verification->domain;
  g_rw_lock_reader_lock (&domain->images);
  g_mutex_lock (&domain->append);
  const LedgerEntry *entry = ledger_find (domain->ledger, number);
  const LedgerDisk *image = entry && !entry->removing ? ledger_find_disk (entry, disk) : NULL;
  if (image != NULL)
    memcpy (hash, image->index_hash, GUARDD_HASH_SIZE);
  g_mutex_unlock (&domain->append);
  g_mutex_lock (&verification->pool->lock);
  *generation = domain->generation;
  g_mutex_unlock (&verification->pool->lock);
  g_rw_lock_reader_unlock (&domain->images);
  return image != NULL;
}

static bool
verify_image (const Verification *verification, guint64 number, const char *disk, GError **error)
{
  PoolDomain *domain = verification->domain;
  guint8 hash[GUARDD_HASH_SIZE];
  guint64 before = 0, after = 0;
  g_autofree char *name = pool_directory_name (number);
  g_autofree char *directory = g_strdup_printf ("%s/%s", domain->uuid, name);
  for (int attempt = 1;; attempt++) {
    g_autoptr (GError) failure = NULL;
    if (!image_expected (verification, number, disk, hash, &before)) {
      g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND, "it was removed meanwhile");
      return false;
    }
    if (pool_verified_has (verification->verified, number, disk, hash))
      return true;
    if (storage_image_verify (verification->pool->storage, directory, disk, hash, verification->cancellable,
                              &failure)) {
      pool_verified_add (verification->verified, number, disk, hash);
      return true;
    }
    image_expected (verification, number, disk, hash, &after);
    bool again = before != after && attempt < ATTEMPTS_MAX
                 && !g_error_matches (failure, STORAGE_ERROR, STORAGE_ERROR_CANCELLED);
    if (again)
      continue;
    g_propagate_error (error, g_steal_pointer (&failure));
    return false;
  }
}

/* --- all that a snapshot needs --- */

static PoolEntry *
domain_entry_ref (const Verification *verification, guint64 number)
{
  g_mutex_lock (&verification->pool->lock);
  PoolEntry *entry = pool_domain_entry (verification->domain, number);
  if (entry != NULL)
    g_atomic_rc_box_acquire (entry);
  g_mutex_unlock (&verification->pool->lock);
  return entry;
}

/* The newest snapshot not newer than `parent` with that disk: `parent` itself, or the one that took over when
 * it was removed.  0: none. */
static guint64
domain_ancestor (const Verification *verification, guint64 parent, const char *disk, guint64 *grandparent)
{
  const PoolDomain *domain = verification->domain;
  guint64 found = 0;
  g_mutex_lock (&verification->pool->lock);
  for (guint i = domain->entries->len; i-- > 0 && found == 0;) {
    const Manifest *manifest = ((PoolEntry *)domain->entries->pdata[i])->snapshot->manifest;
    const ManifestDisk *with = manifest->number <= parent ? manifest_find_disk (manifest, disk) : NULL;
    if (with != NULL) {
      found = manifest->number;
      *grandparent = with->parent;
    }
  }
  g_mutex_unlock (&verification->pool->lock);
  return found;
}

static guint64
domain_generation (const Verification *verification)
{
  g_mutex_lock (&verification->pool->lock);
  guint64 generation = verification->domain->generation;
  g_mutex_unlock (&verification->pool->lock);
  return generation;
}

/* More than is needed where images have been consolidated, never less. */
static bool
verify_ancestors (const Verification *verification, guint64 number, const ManifestDisk *disk, bool *changed,
                  GError **error)
{
  guint64 parent = disk->parent, generation = domain_generation (verification);
  while (parent != 0) {
    guint64 grandparent = 0, ancestor = domain_ancestor (verification, parent, disk->target, &grandparent);
    if (ancestor == 0 || pool_verified_has_chain (verification->verified, ancestor, disk->target, generation))
      break;
    g_autoptr (GError) failure = NULL;
    if (!verify_image (verification, ancestor, disk->target, &failure)) {
      /* Its content went into a younger one, which we have passed already. */
      *changed = g_error_matches (failure, POOL_ERROR, POOL_ERROR_NOT_FOUND);
      g_propagate_prefixed_error (error, g_steal_pointer (&failure),
                                  "snapshot %" G_GUINT64_FORMAT ", on which it stands: ", ancestor);
      return false;
    }
    parent = grandparent;
  }
  pool_verified_add_chain (verification->verified, number, disk->target, generation);
  return true;
}

static bool
verify_disk (const Verification *verification, guint64 number, const ManifestDisk *disk, bool deep,
             GError **error)
{
  for (int attempt = 1;; attempt++) {
    bool changed = false;
    g_autoptr (GError) failure = NULL;
    if (!verify_image (verification, number, disk->target, error))
      return false;
    if (!deep || verify_ancestors (verification, number, disk, &changed, &failure))
      return true;
    if (changed && attempt < ATTEMPTS_MAX)
      continue;
    g_propagate_error (error, g_steal_pointer (&failure));
    return false;
  }
}

static bool
verify_snapshot (const Verification *verification, const Manifest *manifest, bool deep, GError **error)
{
  PoolDomain *domain = verification->domain;
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  bool ok = pool_domain_check_history (domain, error);
  g_mutex_lock (&domain->append);
  const LedgerEntry *entry = ledger_find (domain->ledger, manifest->number);
  if (ok && entry == NULL) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND, "it was removed meanwhile");
    ok = false;
  }
  ok = ok && verify_manifest (verification, entry, error);
  for (guint i = 0; ok && i < entry->files->len; i++)
    g_ptr_array_add (names, g_strdup (g_array_index (entry->files, LedgerFile, i).name));
  g_mutex_unlock (&domain->append);
  ok = ok && verify_files (verification, manifest->number, names, error);
  for (guint i = 0; ok && i < manifest->disks->len; i++)
    ok = verify_disk (verification, manifest->number, manifest->disks->pdata[i], deep, error);
  return ok;
}

bool
pool_verify (Pool *pool, const char *domain_uuid, guint64 number, bool deep, PoolVerified *verified,
             GCancellable *cancellable, GError **error)
{
  GError *cause = NULL;
  PoolDomain *domain = pool_domain_find (pool, domain_uuid, error);
  if (domain == NULL)
    return false;
  Verification verification
      = { .pool = pool, .domain = domain, .verified = verified, .cancellable = cancellable };
  PoolEntry *entry = domain_entry_ref (&verification, number);
  if (entry == NULL) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND, "domain %s has no snapshot %" G_GUINT64_FORMAT,
                 domain->uuid, number);
    return false;
  }
  bool ok = verify_snapshot (&verification, entry->snapshot->manifest, deep, &cause);
  pool_entry_unref (entry);
  return ok || pool_fail (pool, error, cause, "snapshot %" G_GUINT64_FORMAT, number);
}
