/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage.h"

#include "plugin-load.h"

#include <errno.h>

struct Storage {
  Plugin loaded;
  const struct guardd_storage_ops *ops;
  void *instance;
};

struct StorageWriter {
  const struct guardd_storage_ops *ops;
  void *writer;
};

struct StorageReader {
  const struct guardd_storage_ops *ops;
  void *reader;
};

GQuark
storage_error_quark (void)
{
  return g_quark_from_static_string ("guardd-storage-error");
}

/* --- one call: the plugin's words become a GError --- */

typedef struct {
  struct guardd_call call;
  GError **error;
  bool told;
  StorageProgress progress;
  void *opaque;
  GCancellable *cancellable;
} Call;

static void
call_error (void *opaque, int errno_value, const char *message)
{
  Call *call = opaque;
  StorageErrorCode code = STORAGE_ERROR_FAILED;
  if (errno_value == ENOSPC || errno_value == EDQUOT)
    code = STORAGE_ERROR_FULL;
  else if (errno_value == ECANCELED)
    code = STORAGE_ERROR_CANCELLED;
  if (!call->told)
    g_set_error_literal (call->error, STORAGE_ERROR, (gint)code, message);
  call->told = true;
}

static int
call_progress (void *opaque, uint64_t done, uint64_t total)
{
  Call *call = opaque;
  if (call->progress != NULL)
    call->progress (done, total, call->opaque);
  return g_cancellable_is_cancelled (call->cancellable);
}

static void
call_begin (Call *call, GError **error)
{
  *call = (Call){ .call = { sizeof call->call, call, call_error, call_progress }, .error = error };
}

/* result: of the plugin's callback, 0 for success */
static bool
call_end (Call *call, const char *what, int result)
{
  if (result == 0)
    return true;
  if (!call->told)
    g_set_error (call->error, STORAGE_ERROR, STORAGE_ERROR_FAILED, "%s: the storage plugin gave no reason",
                 what);
  return false;
}

Storage *
storage_open (const char *plugin_dir, const char *name, const char *path, const struct guardd_param *params,
              size_t n_params, GError **error)
{
  Storage *storage = g_new0 (Storage, 1);
  if (plugin_load (&storage->loaded, plugin_dir, GUARDD_PLUGIN_STORAGE, name, GUARDD_STORAGE_OPS_MIN,
                   error)) {
    Call call;
    storage->ops = storage->loaded.plugin->ops;
    call_begin (&call, error);
    if (call_end (&call, path, storage->ops->open (&call.call, path, params, n_params, &storage->instance)))
      return storage;
  }
  storage->instance = NULL;
  storage_close (storage);
  return NULL;
}

void
storage_close (Storage *storage)
{
  if (storage == NULL)
    return;
  if (storage->instance != NULL)
    storage->ops->close (storage->instance);
  plugin_unload (&storage->loaded);
  g_free (storage);
}

const struct guardd_plugin *
storage_plugin (const Storage *storage)
{
  return storage->loaded.plugin;
}

/* --- writing --- */

StorageWriter *
storage_image_create (Storage *storage, const struct guardd_image_spec *spec, GError **error)
{
  Call call;
  void *writer = NULL;
  call_begin (&call, error);
  if (!call_end (&call, spec->directory,
                 storage->ops->image_create (storage->instance, &call.call, spec, &writer)))
    return NULL;
  StorageWriter *self = g_new0 (StorageWriter, 1);
  *self = (StorageWriter){ storage->ops, writer };
  return self;
}

bool
storage_image_write (StorageWriter *writer, guint64 first, guint64 count, const void *data,
                     const guint8 *hashes, GError **error)
{
  Call call;
  call_begin (&call, error);
  return call_end (&call, "write",
                   writer->ops->image_write (writer->writer, &call.call, first, count, data, hashes));
}

bool
storage_image_zero (StorageWriter *writer, guint64 first, guint64 count, GError **error)
{
  Call call;
  call_begin (&call, error);
  return call_end (&call, "zero", writer->ops->image_zero (writer->writer, &call.call, first, count));
}

bool
storage_image_seal (StorageWriter *writer, struct guardd_image_info *info, GError **error)
{
  Call call;
  call_begin (&call, error);
  info->size_of = sizeof *info;
  bool ok = call_end (&call, "seal", writer->ops->image_seal (writer->writer, &call.call, info));
  g_free (writer);
  return ok;
}

void
storage_image_abort (StorageWriter *writer)
{
  if (writer == NULL)
    return;
  writer->ops->image_abort (writer->writer);
  g_free (writer);
}

/* --- reading --- */

StorageReader *
storage_image_open (Storage *storage, const char *directory, const char *disk, GError **error)
{
  Call call;
  void *reader = NULL;
  call_begin (&call, error);
  if (!call_end (&call, directory,
                 storage->ops->image_open (storage->instance, &call.call, directory, disk, &reader)))
    return NULL;
  StorageReader *self = g_new0 (StorageReader, 1);
  *self = (StorageReader){ storage->ops, reader };
  return self;
}

void
storage_image_release (StorageReader *reader)
{
  if (reader == NULL)
    return;
  reader->ops->image_release (reader->reader);
  g_free (reader);
}

guint64
storage_image_size (StorageReader *reader)
{
  return reader->ops->image_size (reader->reader);
}

bool
storage_image_read (StorageReader *reader, guint64 offset, void *data, size_t length, GError **error)
{
  Call call;
  call_begin (&call, error);
  return call_end (&call, "read", reader->ops->image_read (reader->reader, &call.call, offset, data, length));
}

bool
storage_image_blocks (StorageReader *reader, guint64 first, guint64 count, struct guardd_block *blocks,
                      GError **error)
{
  Call call;
  call_begin (&call, error);
  return call_end (&call, "look at blocks",
                   reader->ops->image_blocks (reader->reader, &call.call, first, count, blocks));
}

bool
storage_image_next_data (StorageReader *reader, guint64 from, guint64 *first, guint64 *count, GError **error)
{
  Call call;
  uint64_t run_first = 0, run_count = 0;
  call_begin (&call, error);
  if (!call_end (&call, "look for data",
                 reader->ops->image_next_data (reader->reader, &call.call, from, &run_first, &run_count)))
    return false;
  *first = run_first;
  *count = run_count;
  return true;
}

bool
storage_image_diff (StorageReader *from, StorageReader *to,
                    int (*each) (void *opaque, const struct guardd_block *block), void *opaque,
                    GError **error)
{
  Call call;
  call_begin (&call, error);
  int result = from->ops->image_diff (from->reader, to->reader, &call.call, each, opaque);
  if (result != 0 && !call.told) {
    g_set_error_literal (error, STORAGE_ERROR, STORAGE_ERROR_CANCELLED, "stopped");
    return false;
  }
  return result == 0;
}

bool
storage_image_verify (Storage *storage, const char *directory, const char *disk, const guint8 *index_hash,
                      StorageProgress progress, void *opaque, GCancellable *cancellable, GError **error)
{
  Call call;
  call_begin (&call, error);
  call.progress = progress;
  call.opaque = opaque;
  call.cancellable = cancellable;
  return call_end (&call, directory,
                   storage->ops->image_verify (storage->instance, &call.call, directory, disk, index_hash));
}

bool
storage_space (Storage *storage, struct guardd_space *space, bool *elsewhere, GError **error)
{
  const struct guardd_storage_ops *ops = storage->ops;
  Call call;
  *space = (struct guardd_space){ .size_of = sizeof *space };
  *elsewhere = ops->size >= offsetof (struct guardd_storage_ops, space) + sizeof ops->space && ops->space;
  if (!*elsewhere)
    return true;
  call_begin (&call, error);
  return call_end (&call, "space", ops->space (storage->instance, &call.call, space));
}

/* --- sources --- */

bool
storage_clones (const Storage *storage)
{
  const struct guardd_storage_ops *ops = storage->ops;
  return ops->size >= offsetof (struct guardd_storage_ops, space) && ops->source_probe && ops->sources_clone
         && ops->source_restore;
}

static bool
check_clones (const Storage *storage, GError **error)
{
  if (storage_clones (storage))
    return true;
  g_set_error (error, STORAGE_ERROR, STORAGE_ERROR_FAILED,
               "the storage plugin %s cannot clone disks of guests", storage->loaded.plugin->name);
  return false;
}

bool
storage_source_probe (Storage *storage, const char *path, const char *format, struct guardd_source_info *info,
                      GError **error)
{
  Call call;
  *info = (struct guardd_source_info){ .size_of = sizeof *info };
  call_begin (&call, error);
  return check_clones (storage, error)
         && call_end (&call, path,
                      storage->ops->source_probe (storage->instance, &call.call, path, format, info));
}

bool
storage_sources_clone (Storage *storage, const struct guardd_image_spec *specs, const char *const *paths,
                       size_t n, StorageWriter **writers, GError **error)
{
  Call call;
  g_autofree void **made = g_new0 (void *, n);
  call_begin (&call, error);
  if (!check_clones (storage, error)
      || !call_end (&call, specs->directory,
                    storage->ops->sources_clone (storage->instance, &call.call, specs, paths, n, made)))
    return false;
  for (size_t i = 0; i < n; i++) {
    writers[i] = g_new0 (StorageWriter, 1);
    *writers[i] = (StorageWriter){ storage->ops, made[i] };
  }
  return true;
}

bool
storage_source_restore (Storage *storage, const char *path, const char *directory, const char *disk,
                        const char *evidence, GError **error)
{
  Call call;
  call_begin (&call, error);
  return check_clones (storage, error)
         && call_end (
             &call, path,
             storage->ops->source_restore (storage->instance, &call.call, path, directory, disk, evidence));
}

/* --- maintenance --- */

bool
storage_maintain_prepare (Storage *storage, const char *domain, const struct guardd_member *members, size_t n,
                          GArray **changes, GCancellable *cancellable, GError **error)
{
  Call call;
  struct guardd_change *list = NULL;
  size_t n_list = 0;
  call_begin (&call, error);
  call.cancellable = cancellable;
  if (!call_end (
          &call, domain,
          storage->ops->maintain_prepare (storage->instance, &call.call, domain, members, n, &list, &n_list)))
    return false;
  *changes = g_array_new (FALSE, FALSE, sizeof *list);
  if (n_list > 0)
    g_array_append_vals (*changes, list, (guint)n_list);
  free (list);
  return true;
}

bool
storage_maintain_commit (Storage *storage, const char *domain, const struct guardd_member *members, size_t n,
                         GError **error)
{
  Call call;
  call_begin (&call, error);
  return call_end (&call, domain,
                   storage->ops->maintain_commit (storage->instance, &call.call, domain, members, n));
}

bool
storage_maintain_abort (Storage *storage, const char *domain, GError **error)
{
  Call call;
  call_begin (&call, error);
  return call_end (&call, domain, storage->ops->maintain_abort (storage->instance, &call.call, domain));
}

bool
storage_image_remove (Storage *storage, const char *directory, const char *disk, GError **error)
{
  Call call;
  call_begin (&call, error);
  return call_end (&call, directory,
                   storage->ops->image_remove (storage->instance, &call.call, directory, disk));
}

bool
storage_recover (Storage *storage, const char *domain, const struct guardd_member *members, size_t n,
                 GError **error)
{
  Call call;
  call_begin (&call, error);
  return call_end (&call, domain, storage->ops->recover (storage->instance, &call.call, domain, members, n));
}
