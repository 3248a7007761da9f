/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer.h"

#include "../common/seal.h"
#include "../common/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
  const Instance *instance;
  ImageName *name;  /* of the snapshot */
  ImageName *base;  /* a baseline's raw image; NULL: an overlay on its parent */
  ImageName *final; /* as `name` will be called */
  IndexFacts facts; /* the overlay's */
  GArray *entries;  /* of what is written: the overlay's, or the base's */
  int dir_fd, base_dir_fd;
  int fd;         /* where data goes */
  Stream *stream; /* into fd */
  guint64 next;   /* offset of the next data cluster */
} Writer;

#define PART ".part"

static void
writer_free (Writer *writer)
{
  stream_free (writer->stream);
  fd_close (&writer->fd);
  fd_close (&writer->dir_fd);
  fd_close (&writer->base_dir_fd);
  image_name_free (writer->name);
  image_name_free (writer->base);
  image_name_free (writer->final);
  g_array_unref (writer->entries);
  g_free (writer);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Writer, writer_free)

static int
file_create (const struct guardd_call *call, int dir_fd, const char *path, const char *name)
{
  if (file_remove (call, dir_fd, path, name) < 0)
    return -1;
  int fd = openat (dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    fail (call, errno, "%s/%s: cannot make it", path, name);
  return fd;
}

/* "<uuid>/base-00000042" beside "<uuid>/00000042" */
static int
writer_open_base (Writer *writer, const struct guardd_call *call)
{
  const Instance *instance = writer->instance;
  g_autofree char *directory = g_strdup_printf ("%s/base-%s", writer->final->domain, writer->final->snapshot);
  writer->base = image_name_new (instance, call, directory, writer->name->disk);
  if (writer->base == NULL)
    return -1;
  if (mkdirat (instance->fd, directory, 0700) < 0 && errno != EEXIST)
    return fail (call, errno, "%s: cannot make it", writer->base->path);
  writer->base_dir_fd = image_directory_open (instance, call, directory);
  if (writer->base_dir_fd < 0)
    return -1;
  g_autofree char *part = g_strconcat (writer->base->data, PART, NULL);
  writer->fd = file_create (call, writer->base_dir_fd, writer->base->path, part);
  g_autofree char *backing = image_name_as_backing (writer->base);
  g_strlcpy (writer->facts.backing, backing, sizeof writer->facts.backing);
  return writer->fd < 0 ? -1 : 0;
}

static int
writer_open_overlay (Writer *writer, const struct guardd_call *call, const char *parent)
{
  g_autoptr (ImageName) below = image_name_new (writer->instance, call, parent, writer->name->disk);
  if (below == NULL)
    return -1;
  if (strcmp (below->domain, writer->name->domain) != 0)
    return fail (call, EINVAL, "%s: parent %s is another domain's", writer->name->path, parent);
  g_autofree char *backing = image_name_as_backing (below);
  g_strlcpy (writer->facts.backing, backing, sizeof writer->facts.backing);
  writer->next = GUARDD_BLOCK_SIZE; /* after the header's cluster */
  writer->fd = file_create (call, writer->dir_fd, writer->name->path, writer->name->data);
  return writer->fd < 0 ? -1 : 0;
}

int
writer_create (void *opaque, const struct guardd_call *call, const struct guardd_image_spec *spec, void **out)
{
  Instance *instance = opaque;
  g_autoptr (Writer) writer = g_new0 (Writer, 1);
  writer->instance = instance;
  writer->entries = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  writer->fd = writer->dir_fd = writer->base_dir_fd = -1;
  writer->facts.size = spec->size;
  writer->name = image_name_new (instance, call, spec->directory, spec->disk);
  writer->final = image_name_new (instance, call, spec->name, spec->disk);
  if (writer->name == NULL || writer->final == NULL)
    return -1;
  if (strcmp (writer->name->domain, writer->final->domain) != 0 || spec->size == 0)
    return fail (call, EINVAL, "%s: cannot hold an image of %" G_GUINT64_FORMAT " bytes called %s",
                 writer->name->path, spec->size, spec->name);
  writer->dir_fd = image_directory_open (instance, call, spec->directory);
  if (writer->dir_fd < 0)
    return -1;
  if (spec->parent ? writer_open_overlay (writer, call, spec->parent) : writer_open_base (writer, call))
    return -1;
  writer->stream = stream_new (writer->fd);
  *out = g_steal_pointer (&writer);
  return 0;
}

static int
writer_fail (const Writer *writer, const struct guardd_call *call, int errno_value, const char *what)
{
  const ImageName *name = writer->base ? writer->base : writer->name;
  return fail (call, errno_value, "%s/%s: cannot %s", name->path, name->data, what);
}

int
writer_write (void *opaque, const struct guardd_call *call, guint64 first, guint64 count, const void *data,
              const guint8 *hashes)
{
  Writer *writer = opaque;
  guint64 blocks = index_blocks (writer->facts.size);
  if (first > blocks || count > blocks - first)
    return writer_fail (writer, call, EINVAL, "write beyond the disk's end");
  guint64 offset = writer->base ? first * GUARDD_BLOCK_SIZE : writer->next;
  if (stream_put (writer->stream, offset, data, count * GUARDD_BLOCK_SIZE) < 0)
    return writer_fail (writer, call, errno, "write");
  for (guint64 i = 0; i < count; i++) {
    IndexEntry entry = { .block = first + i, .offset = offset + i * GUARDD_BLOCK_SIZE };
    memcpy (entry.hash, hashes + i * GUARDD_HASH_SIZE, GUARDD_HASH_SIZE);
    g_array_append_val (writer->entries, entry);
  }
  if (writer->base == NULL)
    writer->next += count * GUARDD_BLOCK_SIZE;
  return 0;
}

int
writer_zero (void *opaque, const struct guardd_call *call, guint64 first, guint64 n)
{
  Writer *writer = opaque;
  guint64 blocks = index_blocks (writer->facts.size);
  if (first > blocks || n > blocks - first)
    return writer_fail (writer, call, EINVAL, "write beyond the disk's end");
  if (writer->base != NULL)
    return 0; /* sparse: what is not written is zero */
  for (guint64 i = 0; i < n; i++) {
    IndexEntry entry = { .block = first + i };
    g_array_append_val (writer->entries, entry);
  }
  return 0;
}

/* The raw image and its index get their names; the domain directory that has a new entry becomes durable. */
static int
writer_seal_base (Writer *writer, const struct guardd_call *call, struct guardd_image_info *info)
{
  const ImageName *base = writer->base;
  g_autofree char *part = g_strconcat (base->data, PART, NULL);
  g_autofree char *index_part = g_strconcat (base->index, PART, NULL);
  IndexFacts facts = { .size = writer->facts.size, .base = true };
  guint64 length = (writer->facts.size + 511) / 512 * 512;
  if (ftruncate (writer->fd, (off_t)length) < 0)
    return writer_fail (writer, call, errno, "write");
  sync_file_range (writer->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  if (file_remove (call, writer->base_dir_fd, base->path, base->data) < 0
      || file_remove (call, writer->base_dir_fd, base->path, base->index) < 0
      || index_write (call, writer->base_dir_fd, base->path, index_part, &facts, writer->entries,
                      writer->facts.base_hash)
             < 0)
    return -1;
  if (fsync (writer->fd) < 0)
    return writer_fail (writer, call, errno, "make it durable");
  if (renameat (writer->base_dir_fd, part, writer->base_dir_fd, base->data) < 0
      || renameat (writer->base_dir_fd, index_part, writer->base_dir_fd, base->index) < 0)
    return writer_fail (writer, call, errno, "rename into place");
  file_protect (writer->fd);
  auto_fd index = openat (writer->base_dir_fd, base->index, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (index >= 0)
    file_protect (index);
  auto_fd domain = image_directory_open (writer->instance, call, base->domain);
  if (domain < 0 || file_sync (call, writer->base_dir_fd, base->path) < 0
      || file_sync (call, domain, base->path) < 0)
    return -1;
  info->stored_bytes = (guint64)writer->entries->len * GUARDD_BLOCK_SIZE;
  info->changed_blocks = writer->entries->len;
  return 0;
}

/* Everything that writer_seal_base() made is in the overlay's index; the overlay of a baseline is empty. */
static int
writer_finish (Writer *writer, const struct guardd_call *call, struct guardd_image_info *info)
{
  guint64 stored = 0, changed = 0;
  if (stream_finish (writer->stream) < 0)
    return writer_fail (writer, call, errno, "write");
  if (writer->base != NULL) {
    if (writer_seal_base (writer, call, info) < 0)
      return -1;
    stored = info->stored_bytes;
    changed = info->changed_blocks;
    g_array_set_size (writer->entries, 0);
    fd_close (&writer->fd);
    writer->fd = file_create (call, writer->dir_fd, writer->name->path, writer->name->data);
    if (writer->fd < 0)
      return -1;
  }
  Seal seal = { writer->dir_fd, writer->name->path, writer->name->data, writer->name->index,
                writer->fd,     &writer->facts,     writer->entries };
  if (seal_overlay (&seal, call, info) < 0)
    return -1;
  info->stored_bytes += stored;
  info->changed_blocks += changed;
  info->depth = 0;
  file_protect (writer->fd);
  auto_fd index = openat (writer->dir_fd, writer->name->index, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (index >= 0)
    file_protect (index);
  return 0;
}

static void
writer_discard (Writer *writer)
{
  file_remove (&fail_quietly, writer->dir_fd, writer->name->path, writer->name->data);
  file_remove (&fail_quietly, writer->dir_fd, writer->name->path, writer->name->index);
  if (writer->base != NULL) {
    const char *names[] = { writer->base->data, writer->base->index };
    for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
      g_autofree char *part = g_strconcat (names[i], PART, NULL);
      file_remove (&fail_quietly, writer->base_dir_fd, writer->base->path, part);
      file_remove (&fail_quietly, writer->base_dir_fd, writer->base->path, names[i]);
    }
    unlinkat (writer->instance->fd, writer->base->directory, AT_REMOVEDIR); /* when the last disk's is gone */
  }
}

int
writer_seal (void *opaque, const struct guardd_call *call, struct guardd_image_info *info)
{
  g_autoptr (Writer) writer = opaque;
  int result = writer_finish (writer, call, info);
  if (result < 0)
    writer_discard (writer);
  return result;
}

void
writer_abort (void *opaque)
{
  g_autoptr (Writer) writer = opaque;
  writer_discard (writer);
}
