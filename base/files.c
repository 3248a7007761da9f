/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TREE_DEPTH_MAX 8

char *
files_path (int dir_fd, const char *name)
{
  if (dir_fd == AT_FDCWD)
    return g_strdup (name);
  g_autofree char *link = g_strdup_printf ("/proc/self/fd/%d", dir_fd);
  g_autofree char *directory = g_file_read_link (link, NULL);
  if (directory == NULL)
    return g_strdup (name);
  return *name ? g_build_filename (directory, name, NULL) : g_steal_pointer (&directory);
}

void
files_set_error (GError **error, int errno_value, int dir_fd, const char *name, const char *what)
{
  g_autofree char *path = files_path (dir_fd, name);
  GFileError code = errno_value == EDQUOT ? G_FILE_ERROR_NOSPC : g_file_error_from_errno (errno_value);
  g_set_error (error, G_FILE_ERROR, (gint)code, "%s: cannot %s: %s", path, what, g_strerror (errno_value));
}

int
files_open_directory (int dir_fd, const char *name, GError **error)
{
  int fd = openat (dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    files_set_error (error, errno, dir_fd, name, "open the directory");
  return fd;
}

static int
file_write_all (int fd, const char *data, size_t length)
{
  while (length > 0) {
    ssize_t n = write (fd, data, length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    data += n;
    length -= (size_t)n;
  }
  return 0;
}

int
files_create (int dir_fd, const char *name, const void *data, size_t length, mode_t mode, GError **error)
{
  int fd = openat (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) {
    files_set_error (error, errno, dir_fd, name, "create it");
    return -1;
  }
  if (file_write_all (fd, data, length) < 0) {
    files_set_error (error, errno, dir_fd, name, "write it");
    close (fd);
    unlinkat (dir_fd, name, 0);
    return -1;
  }
  /* Only a start, so that several files' fsync() share one journal commit; fsync() is what counts. */
  sync_file_range (fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  return fd;
}

static bool
file_replace_in (int dir_fd, const char *name, const void *data, size_t length, mode_t mode, GError **error)
{
  g_autofree char *aside = g_strdup_printf (".%s.tmp", name);
  if (!files_unlink (dir_fd, aside, error))
    return false;
  int fd = files_create (dir_fd, aside, data, length, mode, error);
  if (fd < 0)
    return false;
  bool ok = files_sync (fd, error);
  close (fd);
  if (ok && renameat (dir_fd, aside, dir_fd, name) < 0) {
    files_set_error (error, errno, dir_fd, name, "replace it");
    ok = false;
  }
  if (!ok)
    unlinkat (dir_fd, aside, 0);
  return ok && files_sync (dir_fd, error);
}

bool
files_replace (int dir_fd, const char *name, const void *data, size_t length, mode_t mode, GError **error)
{
  if (dir_fd != AT_FDCWD)
    return file_replace_in (dir_fd, name, data, length, mode, error);
  g_autofree char *parent = g_path_get_dirname (name), *base = g_path_get_basename (name);
  int parent_fd = open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent_fd < 0) {
    files_set_error (error, errno, AT_FDCWD, parent, "open the directory");
    return false;
  }
  bool ok = file_replace_in (parent_fd, base, data, length, mode, error);
  close (parent_fd);
  return ok;
}

static GBytes *
file_read_all (int fd, size_t limit, int *errno_value)
{
  struct stat st;
  if (fstat (fd, &st) < 0) {
    *errno_value = errno;
    return NULL;
  }
  if (!S_ISREG (st.st_mode)) {
    *errno_value = EINVAL;
    return NULL;
  }
  if ((guint64)st.st_size > limit) {
    *errno_value = EFBIG;
    return NULL;
  }
  size_t size = (size_t)st.st_size, done = 0;
  g_autofree char *data = g_malloc (size + 1);
  while (done < size) {
    ssize_t n = read (fd, data + done, size - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      *errno_value = errno;
      return NULL;
    }
    if (n == 0)
      break;
    done += (size_t)n;
  }
  data[done] = '\0';
  return g_bytes_new_take (g_steal_pointer (&data), done);
}

GBytes *
files_read (int dir_fd, const char *name, size_t limit, GError **error)
{
  /* O_NONBLOCK: a FIFO planted under this name must not hang us. */
  int fd = openat (dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) {
    files_set_error (error, errno, dir_fd, name, "open it");
    return NULL;
  }
  int errno_value = 0;
  GBytes *bytes = file_read_all (fd, limit, &errno_value);
  close (fd);
  if (bytes == NULL)
    files_set_error (error, errno_value, dir_fd, name,
                     errno_value == EINVAL ? "read what is no regular file" : "read it");
  return bytes;
}

bool
files_sync (int fd, GError **error)
{
  if (fsync (fd) == 0)
    return true;
  files_set_error (error, errno, fd, "", "make it durable (fsync)");
  return false;
}

bool
files_set_immutable (int fd, bool on)
{
  int flags = 0;
  if (ioctl (fd, FS_IOC_GETFLAGS, &flags) < 0)
    return false;
  int wanted = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
  return wanted == flags || ioctl (fd, FS_IOC_SETFLAGS, &wanted) == 0;
}

static void
file_clear_immutable (int dir_fd, const char *name)
{
  int fd = openat (dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0)
    return;
  files_set_immutable (fd, false);
  close (fd);
}

bool
files_unlink (int dir_fd, const char *name, GError **error)
{
  if (unlinkat (dir_fd, name, 0) == 0 || errno == ENOENT)
    return true;
  if (errno == EPERM || errno == EACCES) {
    file_clear_immutable (dir_fd, name);
    if (unlinkat (dir_fd, name, 0) == 0 || errno == ENOENT)
      return true;
  }
  files_set_error (error, errno, dir_fd, name, "remove it");
  return false;
}

static bool tree_remove (int dir_fd, const char *name, dev_t device, int depth, GError **error);

static bool
tree_empty (int fd, dev_t device, int depth, GError **error)
{
  DIR *directory = fdopendir (fd);
  if (directory == NULL) {
    files_set_error (error, errno, fd, "", "list it");
    close (fd);
    return false;
  }
  bool ok = true;
  const struct dirent *entry;
  while (ok && (entry = readdir (directory)) != NULL)
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      ok = tree_remove (dirfd (directory), entry->d_name, device, depth + 1, error);
  closedir (directory);
  return ok;
}

static bool
tree_remove (int dir_fd, const char *name, dev_t device, int depth, GError **error)
{
  struct stat st;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT)
      return true;
    files_set_error (error, errno, dir_fd, name, "look at it");
    return false;
  }
  if (!S_ISDIR (st.st_mode))
    return files_unlink (dir_fd, name, error);
  if (st.st_dev != device || depth > TREE_DEPTH_MAX) {
    files_set_error (error, depth > TREE_DEPTH_MAX ? ELOOP : EXDEV, dir_fd, name, "remove it");
    return false;
  }
  int fd = files_open_directory (dir_fd, name, error);
  if (fd < 0)
    return false;
  files_set_immutable (fd, false);
  if (!tree_empty (fd, device, depth, error))
    return false;
  if (unlinkat (dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
    return true;
  files_set_error (error, errno, dir_fd, name, "remove the directory");
  return false;
}

bool
files_remove_tree (int dir_fd, const char *name, GError **error)
{
  struct stat st;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT)
      return true;
    files_set_error (error, errno, dir_fd, name, "look at it");
    return false;
  }
  return tree_remove (dir_fd, name, st.st_dev, 0, error);
}
