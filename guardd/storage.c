/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage.h"

#include "plugin-load.h"
#include "storage-call.h"

#include <string.h>

struct Storage {
  Plugin loaded;
  const struct guardd_storage_ops *ops;
  void *instance;
  StorageCalls calls;
};

struct StorageWriter {
  Storage *storage;
  void *writer;
  char domain[37];
};

struct StorageReader {
  Storage *storage;
  void *reader;
  char domain[37];
};

GQuark
storage_error_quark (void)
{
  return g_quark_from_static_string ("guardd-storage-error");
}

Storage *
storage_open (const char *plugin_dir, const char *name, const char *path, const struct guardd_param *params,
              size_t n_params, GError **error)
{
  Storage *storage = g_new0 (Storage, 1);
  storage_calls_init (&storage->calls);
  if (plugin_load (&storage->loaded, plugin_dir, GUARDD_PLUGIN_STORAGE, name, GUARDD_STORAGE_OPS_MIN,
                   error)) {
    StorageCall call;
    storage->ops = storage->loaded.plugin->ops;
    storage_call_begin (&call, &storage->calls, "open", NULL, error);
    if (storage_call_end (&call, path,
                          storage->ops->open (&call.call, path, params, n_params, &storage->instance)))
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
  storage_calls_clear (&storage->calls);
  g_free (storage);
}

const struct guardd_plugin *
storage_plugin (const Storage *storage)
{
  return storage->loaded.plugin;
}

guint64
storage_silence_us (Storage *storage, const char *domain, const char **operation)
{
  return storage_calls_silence_us (&storage->calls, domain, operation);
}

/* --- writing --- */

static StorageWriter *
writer_new (Storage *storage, const struct guardd_image_spec *spec, void *writer)
{
  StorageWriter *self = g_new0 (StorageWriter, 1);
  self->storage = storage;
  self->writer = writer;
  g_strlcpy (self->domain, spec->directory, sizeof self->domain);
  return self;
}

StorageWriter *
storage_image_create (Storage *storage, const struct guardd_image_spec *spec, GError **error)
{
  StorageCall call;
  void *writer = NULL;
  storage_call_begin (&call, &storage->calls, "image_create", spec->directory, error);
  if (!storage_call_end (&call, spec->directory,
                         storage->ops->image_create (storage->instance, &call.call, spec, &writer)))
    return NULL;
  return writer_new (storage, spec, writer);
}

bool
storage_image_write (StorageWriter *writer, guint64 first, guint64 count, const void *data,
                     const guint8 *hashes, GError **error)
{
  StorageCall call;
  storage_call_begin (&call, &writer->storage->calls, "image_write", writer->domain, error);
  return storage_call_end (
      &call, "write",
      writer->storage->ops->image_write (writer->writer, &call.call, first, count, data, hashes));
}

bool
storage_image_zero (StorageWriter *writer, guint64 first, guint64 count, GError **error)
{
  StorageCall call;
  storage_call_begin (&call, &writer->storage->calls, "image_zero", writer->domain, error);
  return storage_call_end (&call, "zero",
                           writer->storage->ops->image_zero (writer->writer, &call.call, first, count));
}

bool
storage_image_seal (StorageWriter *writer, struct guardd_image_info *info, GError **error)
{
  StorageCall call;
  storage_call_begin (&call, &writer->storage->calls, "image_seal", writer->domain, error);
  info->size_of = sizeof *info;
  bool ok
      = storage_call_end (&call, "seal", writer->storage->ops->image_seal (writer->writer, &call.call, info));
  g_free (writer);
  return ok;
}

void
storage_image_abort (StorageWriter *writer)
{
  if (writer == NULL)
    return;
  StorageCall call;
  storage_call_begin (&call, &writer->storage->calls, "image_abort", writer->domain, NULL);
  writer->storage->ops->image_abort (writer->writer);
  storage_call_end (&call, "image_abort", 0);
  g_free (writer);
}

/* --- reading --- */

StorageReader *
storage_image_open (Storage *storage, const char *directory, const char *disk, GError **error)
{
  StorageCall call;
  void *reader = NULL;
  storage_call_begin (&call, &storage->calls, "image_open", directory, error);
  if (!storage_call_end (&call, directory,
                         storage->ops->image_open (storage->instance, &call.call, directory, disk, &reader)))
    return NULL;
  StorageReader *self = g_new0 (StorageReader, 1);
  self->storage = storage;
  self->reader = reader;
  g_strlcpy (self->domain, directory, sizeof self->domain);
  return self;
}

void
storage_image_release (StorageReader *reader)
{
  if (reader == NULL)
    return;
  StorageCall call;
  storage_call_begin (&call, &reader->storage->calls, "image_release", reader->domain, NULL);
  reader->storage->ops->image_release (reader->reader);
  storage_call_end (&call, "image_release", 0);
  g_free (reader);
}

guint64
storage_image_size (StorageReader *reader)
{
  return reader->storage->ops->image_size (reader->reader);
}

bool
storage_image_read (StorageReader *reader, guint64 offset, void *data, size_t length, GError **error)
{
  StorageCall call;
  storage_call_begin (&call, &reader->storage->calls, "image_read", reader->domain, error);
  return storage_call_end (
      &call, "read", reader->storage->ops->image_read (reader->reader, &call.call, offset, data, length));
}

bool
storage_image_blocks (StorageReader *reader, guint64 first, guint64 count, struct guardd_block *blocks,
                      GError **error)
{
  StorageCall call;
  storage_call_begin (&call, &reader->storage->calls, "image_blocks", reader->domain, error);
  return storage_call_end (
      &call, "look at blocks",
      reader->storage->ops->image_blocks (reader->reader, &call.call, first, count, blocks));
}

bool
storage_image_next_data (StorageReader *reader, guint64 from, guint64 *first, guint64 *count, GError **error)
{
  StorageCall call;
  uint64_t run_first = 0, run_count = 0;
  storage_call_begin (&call, &reader->storage->calls, "image_next_data", reader->domain, error);
  if (!storage_call_end (
          &call, "look for data",
          reader->storage->ops->image_next_data (reader->reader, &call.call, from, &run_first, &run_count)))
    return false;
  *first = run_first;
  *count = run_count;
  return true;
}

typedef struct {
  StorageCall *call;
  int (*each) (void *opaque, const struct guardd_block *block);
  void *opaque;
} Diff;

/* A block that is found is a sign of life, whatever is then done with it. */
static int
diff_block (void *opaque, const struct guardd_block *block)
{
  const Diff *diff = opaque;
  int stop = diff->each (diff->opaque, block);
  storage_call_heard (diff->call);
  return stop;
}

bool
storage_image_diff (StorageReader *from, StorageReader *to,
                    int (*each) (void *opaque, const struct guardd_block *block), void *opaque,
                    GError **error)
{
  StorageCall call;
  Diff diff = { &call, each, opaque };
  storage_call_begin (&call, &from->storage->calls, "image_diff", from->domain, error);
  int result = from->storage->ops->image_diff (from->reader, to->reader, &call.call, diff_block, &diff);
  bool stopped = result != 0 && !call.told;
  bool ok = storage_call_end (&call, "image_diff", stopped ? 0 : result) && !stopped;
  if (stopped)
    g_set_error_literal (error, STORAGE_ERROR, STORAGE_ERROR_CANCELLED, "stopped");
  return ok;
}

bool
storage_image_verify (Storage *storage, const char *directory, const char *disk, const guint8 *index_hash,
                      GCancellable *cancellable, GError **error)
{
  StorageCall call;
  storage_call_begin (&call, &storage->calls, "image_verify", directory, error);
  call.cancellable = cancellable;
  return storage_call_end (
      &call, directory,
      storage->ops->image_verify (storage->instance, &call.call, directory, disk, index_hash));
}

bool
storage_space (Storage *storage, struct guardd_space *space, bool *elsewhere, GError **error)
{
  const struct guardd_storage_ops *ops = storage->ops;
  StorageCall call;
  *space = (struct guardd_space){ .size_of = sizeof *space };
  *elsewhere = ops->size >= offsetof (struct guardd_storage_ops, space) + sizeof ops->space && ops->space;
  if (!*elsewhere)
    return true;
  storage_call_begin (&call, &storage->calls, "space", NULL, error);
  return storage_call_end (&call, "space", ops->space (storage->instance, &call.call, space));
}

/* --- sources --- */

bool
storage_clones (const Storage *storage)
{
  const struct guardd_storage_ops *ops = storage->ops;
  return GUARDD_STORAGE_HAS (ops, source_probe) && GUARDD_STORAGE_HAS (ops, sources_clone)
         && GUARDD_STORAGE_HAS (ops, source_restore);
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
storage_source_probe (Storage *storage, const char *domain, const char *path, const char *format,
                      struct guardd_source_info *info, GError **error)
{
  StorageCall call;
  *info = (struct guardd_source_info){ .size_of = sizeof *info };
  if (!check_clones (storage, error))
    return false;
  storage_call_begin (&call, &storage->calls, "source_probe", domain, error);
  return storage_call_end (&call, path,
                           storage->ops->source_probe (storage->instance, &call.call, path, format, info));
}

bool
storage_sources_clone (Storage *storage, const struct guardd_image_spec *specs, const char *const *paths,
                       size_t n, StorageWriter **writers, GError **error)
{
  StorageCall call;
  g_autofree void **made = g_new0 (void *, n);
  if (!check_clones (storage, error))
    return false;
  storage_call_begin (&call, &storage->calls, "sources_clone", specs->directory, error);
  if (!storage_call_end (&call, specs->directory,
                         storage->ops->sources_clone (storage->instance, &call.call, specs, paths, n, made)))
    return false;
  for (size_t i = 0; i < n; i++)
    writers[i] = writer_new (storage, &specs[i], made[i]);
  return true;
}

bool
storage_source_restore (Storage *storage, const char *path, const char *directory, const char *disk,
                        const char *evidence, GError **error)
{
  StorageCall call;
  if (!check_clones (storage, error))
    return false;
  storage_call_begin (&call, &storage->calls, "source_restore", directory, error);
  return storage_call_end (
      &call, path,
      storage->ops->source_restore (storage->instance, &call.call, path, directory, disk, evidence));
}

/* --- maintenance --- */

bool
storage_maintain_prepare (Storage *storage, const char *domain, const struct guardd_member *members, size_t n,
                          GArray **changes, GCancellable *cancellable, GError **error)
{
  StorageCall call;
  struct guardd_change *list = NULL;
  size_t n_list = 0;
  storage_call_begin (&call, &storage->calls, "maintain_prepare", domain, error);
  call.cancellable = cancellable;
  if (!storage_call_end (
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
  StorageCall call;
  storage_call_begin (&call, &storage->calls, "maintain_commit", domain, error);
  return storage_call_end (&call, domain,
                           storage->ops->maintain_commit (storage->instance, &call.call, domain, members, n));
}

bool
storage_maintain_abort (Storage *storage, const char *domain, GError **error)
{
  StorageCall call;
  storage_call_begin (&call, &storage->calls, "maintain_abort", domain, error);
  return storage_call_end (&call, domain,
                           storage->ops->maintain_abort (storage->instance, &call.call, domain));
}

bool
storage_image_remove (Storage *storage, const char *directory, const char *disk, GError **error)
{
  StorageCall call;
  storage_call_begin (&call, &storage->calls, "image_remove", directory, error);
  return storage_call_end (&call, directory,
                           storage->ops->image_remove (storage->instance, &call.call, directory, disk));
}

bool
storage_recover (Storage *storage, const char *domain, const struct guardd_member *members, size_t n,
                 GError **error)
{
  StorageCall call;
  storage_call_begin (&call, &storage->calls, "recover", domain, error);
  return storage_call_end (&call, domain,
                           storage->ops->recover (storage->instance, &call.call, domain, members, n));
}
