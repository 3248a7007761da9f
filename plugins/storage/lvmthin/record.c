/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int
record_set_parent (Record *record, const struct guardd_call *call, const char *parent)
{
  const Instance *files = &record->instance->files;
  g_autoptr (ImageName) below = image_name_new (files, call, parent, record->name->disk);
  if (below == NULL)
    return -1;
  if (strcmp (below->domain, record->name->domain) != 0)
    return fail (call, EINVAL, "%s: parent %s is another domain's", record->name->path, parent);
  g_autofree char *backing = image_name_as_backing (below);
  g_strlcpy (record->facts.backing, backing, sizeof record->facts.backing);
  record->parent = thin_pool_volume_name (record->instance->pool, call, below);
  return record->parent ? 0 : -1;
}

int
record_make_base (Record *record, const struct guardd_call *call)
{
  const Instance *files = &record->instance->files;
  const char *snapshot = record->name->snapshot, *number = strrchr (snapshot, '-');
  if (snapshot[0] == '.' && number != NULL)
    snapshot = number + 1;
  g_autofree char *directory = g_strdup_printf ("%s/base-%s", record->name->domain, snapshot);
  record->base = image_name_new (files, call, directory, record->name->disk);
  if (record->base == NULL)
    return -1;
  g_autofree char *backing = image_name_as_backing (record->base);
  g_strlcpy (record->facts.backing, backing, sizeof record->facts.backing);
  if (mkdirat (files->fd, directory, 0700) < 0 && errno != EEXIST)
    return fail (call, errno, "%s: cannot make it", record->base->path);
  return 0;
}

int
record_open (Record *record, ThinInstance *instance, const struct guardd_call *call,
             const struct guardd_image_spec *spec)
{
  *record = (Record){ .instance = instance, .dir_fd = -1, .facts.size = spec->size };
  record->name = image_name_new (&instance->files, call, spec->directory, spec->disk);
  g_autoptr (ImageName) final = image_name_new (&instance->files, call, spec->name, spec->disk);
  if (record->name == NULL || final == NULL)
    return -1;
  if (strcmp (record->name->domain, final->domain) != 0 || spec->size == 0)
    return fail (call, EINVAL, "%s: cannot hold an image of %" G_GUINT64_FORMAT " bytes called %s",
                 record->name->path, spec->size, spec->name);
  record->lv = thin_pool_volume_name (instance->pool, call, final);
  record->dir_fd = record->lv ? image_directory_open (&instance->files, call, spec->directory) : -1;
  if (record->dir_fd < 0)
    return -1;
  return spec->parent ? record_set_parent (record, call, spec->parent) : record_make_base (record, call);
}

void
record_clear (Record *record)
{
  fd_close (&record->dir_fd);
  image_name_free (record->name);
  image_name_free (record->base);
  g_free (record->lv);
  g_free (record->parent);
}

static void
protect (int dir_fd, const char *name)
{
  auto_fd fd = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd >= 0)
    file_protect (fd);
}

static int
write_base (Record *record, const struct guardd_call *call, GArray *entries, bool unread)
{
  const ImageName *base = record->base;
  IndexFacts facts = { .size = record->facts.size, .base = true, .unread = unread };
  auto_fd dir = image_directory_open (&record->instance->files, call, base->directory);
  auto_fd domain = dir < 0 ? -1 : image_directory_open (&record->instance->files, call, base->domain);
  if (domain < 0 || file_remove (call, dir, base->path, base->index) < 0
      || index_write (call, dir, base->path, base->index, &facts, entries, record->facts.base_hash) < 0)
    return -1;
  protect (dir, base->index);
  return file_sync (call, dir, base->path) < 0 ? -1 : file_sync (call, domain, base->path);
}

static int
write_name (const Record *record, const struct guardd_call *call)
{
  g_autofree char *full = thin_pool_full_name (record->instance->pool, record->lv);
  g_autofree char *text = g_strconcat (full, "\n", NULL);
  if (file_remove (call, record->dir_fd, record->name->path, record->name->data) < 0)
    return -1;
  auto_fd fd = openat (record->dir_fd, record->name->data,
                       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 || write (fd, text, strlen (text)) != (ssize_t)strlen (text))
    return fail (call, errno, "%s/%s: cannot write", record->name->path, record->name->data);
  file_protect (fd);
  return file_sync (call, fd, record->name->path);
}

static guint64
count_data (const GArray *entries)
{
  guint64 n = 0;
  for (guint i = 0; i < entries->len; i++)
    n += g_array_index (entries, IndexEntry, i).offset != 0;
  return n;
}

int
record_write (Record *record, const struct guardd_call *call, const Volume *volume, GArray *entries,
              bool unread, struct guardd_image_info *info)
{
  g_autoptr (GArray) none = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  GArray *own = record->base ? none : entries;
  if ((volume && volume_identity (volume, call, record->facts.identity) < 0) || write_name (record, call) < 0
      || (record->base && write_base (record, call, entries, unread) < 0)
      || file_remove (call, record->dir_fd, record->name->path, record->name->index) < 0
      || index_write (call, record->dir_fd, record->name->path, record->name->index, &record->facts, own,
                      info->index_hash)
             < 0)
    return -1;
  protect (record->dir_fd, record->name->index);
  info->changed_blocks = unread ? index_blocks (record->facts.size) : entries->len;
  info->stored_bytes = (record->base ? entries->len : count_data (entries)) * (guint64)GUARDD_BLOCK_SIZE;
  info->depth = 0;
  return 0;
}

void
record_discard (Record *record)
{
  if (record->dir_fd >= 0) {
    file_remove (&fail_quietly, record->dir_fd, record->name->path, record->name->index);
    file_remove (&fail_quietly, record->dir_fd, record->name->path, record->name->data);
  }
  if (record->base) {
    auto_fd dir = image_directory_open (&record->instance->files, &fail_quietly, record->base->directory);
    if (dir >= 0)
      file_remove (&fail_quietly, dir, record->base->path, record->base->index);
    /* when the last disk's is gone */
    unlinkat (record->instance->files.fd, record->base->directory, AT_REMOVEDIR);
  }
  if (record->lv)
    thin_pool_remove (record->instance->pool, &fail_quietly, record->lv);
}
