/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage.h: a loaded storage plugin's instance, with GError.
 *
 * Thin typed wrappers over include/guardd/storage.h; the contracts are there.
 * Error domain G_FILE_ERROR-like: STORAGE_ERROR with code STORAGE_ERROR_FULL for ENOSPC and
 * EDQUOT, STORAGE_ERROR_CANCELLED for ECANCELED, else STORAGE_ERROR_FAILED.
 */
#pragma once

#include <gio/gio.h>
#include <glib.h>
#include <guardd/storage.h>
#include <stdbool.h>

#define STORAGE_ERROR (storage_error_quark ())
GQuark storage_error_quark (void);
typedef enum { STORAGE_ERROR_FAILED, STORAGE_ERROR_FULL, STORAGE_ERROR_CANCELLED } StorageErrorCode;

typedef struct Storage Storage;             /* one instance on one pool; thread-safe as the contract says */
typedef struct StorageWriter StorageWriter; /* one image being written */
typedef struct StorageReader StorageReader; /* one image being read */

/* Loads <plugin_dir>/storage-<name>.so (RTLD_NOW | RTLD_LOCAL) once per process and opens `path`. */
Storage *storage_open (const char *plugin_dir, const char *name, const char *path,
                       const struct guardd_param *params, size_t n_params, GError **error);
void storage_close (Storage *storage);
const struct guardd_plugin *storage_plugin (const Storage *storage);
/* For how long, microseconds, the plugin has been silent: the oldest call about a domain (NULL: any) that has
 * neither come back nor shown progress since.  *operation: which one it is.  0: none is under way.  Any
 * thread, never waits. */
guint64 storage_silence_us (Storage *storage, const char *domain, const char **operation);

StorageWriter *storage_image_create (Storage *storage, const struct guardd_image_spec *spec, GError **error);
bool storage_image_write (StorageWriter *writer, guint64 first, guint64 count, const void *data,
                          const guint8 *hashes, GError **error);
bool storage_image_zero (StorageWriter *writer, guint64 first, guint64 count, GError **error);
bool storage_image_seal (StorageWriter *writer, struct guardd_image_info *info,
                         GError **error);         /* frees writer */
void storage_image_abort (StorageWriter *writer); /* NULL is fine */

StorageReader *storage_image_open (Storage *storage, const char *directory, const char *disk, GError **error);
void storage_image_release (StorageReader *reader); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (StorageReader, storage_image_release)
guint64 storage_image_size (StorageReader *reader);
bool storage_image_read (StorageReader *reader, guint64 offset, void *data, size_t length, GError **error);
bool storage_image_blocks (StorageReader *reader, guint64 first, guint64 count, struct guardd_block *blocks,
                           GError **error);
bool storage_image_next_data (StorageReader *reader, guint64 from, guint64 *first, guint64 *count,
                              GError **error);
/* each returns nonzero to stop; then the result is false with STORAGE_ERROR_CANCELLED */
bool storage_image_diff (StorageReader *from, StorageReader *to,
                         int (*each) (void *opaque, const struct guardd_block *block), void *opaque,
                         GError **error);
bool storage_image_verify (Storage *storage, const char *directory, const char *disk,
                           const guint8 *index_hash, GCancellable *cancellable, GError **error);

/* elsewhere: false where content lies in the pool's filesystem; then nothing is said of it. */
bool storage_space (Storage *storage, struct guardd_space *space, bool *elsewhere, GError **error);

/* --- sources: disks of guests that are cloned as they are --- */
/* False: this storage copies only. */
bool storage_clones (const Storage *storage);
/* domain: whose disk it is */
bool storage_source_probe (Storage *storage, const char *domain, const char *path, const char *format,
                           struct guardd_source_info *info, GError **error);
/* writers: n, set on success. */
bool storage_sources_clone (Storage *storage, const struct guardd_image_spec *specs, const char *const *paths,
                            size_t n, StorageWriter **writers, GError **error);
bool storage_source_restore (Storage *storage, const char *path, const char *directory, const char *disk,
                             const char *evidence, GError **error);

/* changes: GArray of struct guardd_change */
bool storage_maintain_prepare (Storage *storage, const char *domain, const struct guardd_member *members,
                               size_t n, GArray **changes, GCancellable *cancellable, GError **error);
bool storage_maintain_commit (Storage *storage, const char *domain, const struct guardd_member *members,
                              size_t n, GError **error);
bool storage_maintain_abort (Storage *storage, const char *domain, GError **error);
bool storage_image_remove (Storage *storage, const char *directory, const char *disk, GError **error);
bool storage_recover (Storage *storage, const char *domain, const struct guardd_member *members, size_t n,
                      GError **error);
