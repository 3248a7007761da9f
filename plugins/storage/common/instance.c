/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define DISK_NAME_MAX 31
#define BASE_PREFIX "base-"

static bool
is_plain (const char *text, size_t max, const char *also)
{
  size_t n = strlen (text);
  if (n == 0 || n > max || text[0] == '-')
    return false;
  for (size_t i = 0; i < n; i++)
    if (!g_ascii_isalnum (text[i]) && strchr (also, text[i]) == NULL)
      return false;
  return true;
}

/* ".new-00000042" while it is written: names with a leading dot, but not "." and "..". */
static bool
directory_is_plain (const char *text)
{
  return is_plain (text[0] == '.' ? text + 1 : text, 64, "-_") && strcmp (text, ".") != 0;
}

bool
image_name_is_base (const ImageName *name)
{
  return g_str_has_prefix (name->snapshot, BASE_PREFIX);
}

ImageName *
image_name_new (const Instance *instance, const struct guardd_call *call, const char *directory,
                const char *disk)
{
  const char *slash = strchr (directory, '/');
  g_autofree char *domain = slash ? g_strndup (directory, (gsize)(slash - directory)) : NULL;
  if (slash == NULL || !directory_is_plain (slash + 1) || !is_plain (domain, 64, "-")
      || !is_plain (disk, DISK_NAME_MAX, "_-")) {
    fail (call, EINVAL, "%s/%s: image of disk \"%s\"", instance->path, directory, disk);
    return NULL;
  }
  ImageName *name = g_new0 (ImageName, 1);
  name->directory = g_strdup (directory);
  name->domain = g_steal_pointer (&domain);
  name->snapshot = g_strdup (slash + 1);
  name->disk = g_strdup (disk);
  name->path = g_strdup_printf ("%s/%s", instance->path, directory);
  name->data = g_strdup_printf ("%s.%s", disk,
                                image_name_is_base (name) ? instance->base_suffix : instance->data_suffix);
  name->index = g_strdup_printf ("%s.idx", disk);
  return name;
}

void
image_name_free (ImageName *name)
{
  if (name == NULL)
    return;
  g_free (name->directory);
  g_free (name->domain);
  g_free (name->snapshot);
  g_free (name->disk);
  g_free (name->path);
  g_free (name->data);
  g_free (name->index);
  g_free (name);
}

char *
image_name_as_backing (const ImageName *name)
{
  return g_strdup_printf ("../%s/%s", name->snapshot, name->data);
}

ImageName *
image_name_backing (const Instance *instance, const struct guardd_call *call, const ImageName *name,
                    const char *backing)
{
  g_auto (GStrv) parts = g_strsplit (backing, "/", 4);
  if (g_strv_length (parts) == 3 && strcmp (parts[0], "..") == 0 && parts[1][0] != '.'
      && directory_is_plain (parts[1])) {
    g_autofree char *directory = g_strdup_printf ("%s/%s", name->domain, parts[1]);
    g_autoptr (ImageName) result = image_name_new (instance, call, directory, name->disk);
    if (result == NULL || strcmp (result->data, parts[2]) == 0)
      return g_steal_pointer (&result);
  }
  fail (call, 0, "%s/%s: damaged: stands on something that is not this disk's image", name->path,
        name->index);
  return NULL;
}

int
image_directory_open (const Instance *instance, const struct guardd_call *call, const char *directory)
{
  int fd = openat (instance->fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    fail (call, errno, "%s/%s: cannot open", instance->path, directory);
  return fd;
}

static void
set_immutable (int fd, bool on)
{
  int flags = 0;
  /* Not every filesystem has it, and root in a container may not: the mode alone then. */
  if (ioctl (fd, FS_IOC_GETFLAGS, &flags) < 0)
    return;
  int wanted = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
  if (wanted != flags && ioctl (fd, FS_IOC_SETFLAGS, &wanted) < 0)
    return;
}

void
file_protect (int fd)
{
  if (fchmod (fd, 0400) == 0)
    set_immutable (fd, true);
}

void
file_unprotect (int dir_fd, const char *name)
{
  auto_fd fd = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd >= 0)
    set_immutable (fd, false);
}

int
file_remove (const struct guardd_call *call, int dir_fd, const char *path, const char *name)
{
  if (unlinkat (dir_fd, name, 0) == 0 || errno == ENOENT)
    return 0;
  file_unprotect (dir_fd, name);
  if (unlinkat (dir_fd, name, 0) == 0 || errno == ENOENT)
    return 0;
  return fail (call, errno, "%s/%s: cannot remove it", path, name);
}

int
file_sync (const struct guardd_call *call, int fd, const char *path)
{
  return fsync (fd) == 0 ? 0 : fail (call, errno, "%s: cannot make it durable", path);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *
directory_list (const struct guardd_call *call, int dir_fd, const char *path)
{
  int fd = openat (dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (dir == NULL) {
    fail (call, errno, "%s: cannot list it", path);
    fd_close (&fd);
    return NULL;
  }
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  const struct dirent *entry;
  while ((entry = readdir (dir)) != NULL)
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      g_ptr_array_add (names, g_strdup (entry->d_name));
  closedir (dir);
  g_ptr_array_sort (names, compare_names);
  return names;
}
