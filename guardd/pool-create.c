/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs nothing but base/, so that a tool can make a pool without the daemon's other parts. */
#include "base/files.h"
#include "base/json.h"
#include "base/units.h"

#include "pool-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What mkfs.xfs asks for at least. */
#define IMAGE_SIZE_MIN ((guint64)300 * 1024 * 1024)

G_DEFINE_QUARK (guardd - pool - error - quark, pool_error)

G_GNUC_PRINTF (2, 3)
static bool
create_fail (GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, POOL_ERROR, POOL_ERROR_FAILED, "%s", text);
  return false;
}

static bool
command_run (const char *const *argv, GError **error)
{
  g_autofree char *output = NULL, *messages = NULL;
  g_auto (GStrv) environment = g_environ_setenv (g_get_environ (), "LC_ALL", "C", TRUE);
  int status = 0;
  if (!g_spawn_sync (NULL, (char **)argv, environment, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, &messages,
                     &status, error))
    return false;
  if (g_spawn_check_wait_status (status, NULL))
    return true;
  g_autofree char *command = g_strjoinv (" ", (char **)argv);
  g_strchomp (messages);
  return create_fail (error, "%s: %s", command, *messages ? messages : "failed and did not say why");
}

/* --- the directory --- */

static bool
directory_is_empty (const char *path, GError **error)
{
  g_autoptr (GDir) directory = g_dir_open (path, 0, error);
  if (directory == NULL)
    return false;
  const char *name;
  while ((name = g_dir_read_name (directory)) != NULL)
    if (strcmp (name, "lost+found") != 0)
      return create_fail (error, "%s: not empty (it holds %s): a new pool wants a new or empty directory",
                          path, name);
  return true;
}

static bool
directory_prepare (const char *path, bool *made, GError **error)
{
  *made = mkdir (path, 0700) == 0;
  if (*made)
    return true;
  if (errno != EEXIST)
    return create_fail (error, "%s: cannot make the directory: %s", path, g_strerror (errno));
  return directory_is_empty (path, error);
}

static bool
identity_write (const char *path, const PoolStorage *storage, GError **error)
{
  if (chmod (path, 0700) < 0)
    return create_fail (error, "%s: cannot make it private: %s", path, g_strerror (errno));
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return create_fail (error, "%s: cannot open it: %s", path, g_strerror (errno));
  bool ok = pool_identity_write (fd, storage, error);
  close (fd);
  return ok;
}

/* --- the filesystem image --- */

static bool
image_allocate (int fd, const char *image, guint64 size, GError **error)
{
  /* Reserved, not only promised: a pool must not fail because somebody else filled the disk below it. */
  if (fallocate (fd, 0, 0, (off_t)size) == 0)
    return true;
  if (errno == EOPNOTSUPP && ftruncate (fd, (off_t)size) == 0)
    return true;
  int errno_value = errno;
  struct statvfs vfs;
  guint64 left = fstatvfs (fd, &vfs) == 0 ? (guint64)vfs.f_bavail * vfs.f_frsize : 0;
  g_autofree char *wanted = size_format (size), *free_text = size_format (left);
  return create_fail (error, "%s: cannot reserve %s (%s free there): %s", image, wanted, free_text,
                      g_strerror (errno_value));
}

static bool
image_mount (const char *image, const char *path, GError **error)
{
  const char *argv[] = { "mount", "-o", "loop,nodev,nosuid,noexec", image, path, NULL };
  return command_run (argv, error);
}

static bool
image_make (const char *image, const char *path, guint64 size, GError **error)
{
  if (size < IMAGE_SIZE_MIN) {
    g_autofree char *least = size_format (IMAGE_SIZE_MIN);
    return create_fail (error, "%s: a pool of its own filesystem needs at least %s", image, least);
  }
  int fd = open (image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return create_fail (error, "%s: cannot create it: %s", image, g_strerror (errno));
  bool ok = image_allocate (fd, image, size, error);
  close (fd);
  /* -K: discarding would give the reserved space back. */
  const char *mkfs[] = { "mkfs.xfs", "-q", "-K", "-m", "reflink=1", image, NULL };
  ok = ok && command_run (mkfs, error) && image_mount (image, path, error);
  if (!ok)
    unlink (image);
  return ok;
}

static void
image_undo (const char *image, const char *path)
{
  const char *umount[] = { "umount", path, NULL };
  if (command_run (umount, NULL))
    unlink (image);
}

bool
pool_create (const char *path, guint64 size, const PoolStorage *storage, GError **error)
{
  g_autofree char *absolute = g_canonicalize_filename (path, NULL);
  g_autofree char *image = g_strconcat (absolute, ".img", NULL);
  bool made = false;
  if (size == 0 && access (image, F_OK) == 0)
    return create_fail (error,
                        "%s: is there already and would be mounted over the pool; remove it or give "
                        "a size to make a new one elsewhere",
                        image);
  if (!directory_prepare (absolute, &made, error))
    return false;
  bool ok = size == 0 || image_make (image, absolute, size, error);
  if (ok && !identity_write (absolute, storage, error)) {
    if (size > 0)
      image_undo (image, absolute);
    ok = false;
  }
  if (!ok && made)
    rmdir (absolute);
  return ok;
}

bool
pool_mount_if_needed (const char *path, GError **error)
{
  g_autofree char *image = g_strconcat (path, ".img", NULL);
  g_autofree char *identity = g_build_filename (path, POOL_JSON, NULL);
  g_autofree char *parent = g_path_get_dirname (path);
  struct stat st, above;
  if (lstat (image, &st) < 0 || !S_ISREG (st.st_mode) || access (identity, F_OK) == 0)
    return true;
  if (stat (path, &st) < 0 || stat (parent, &above) < 0 || st.st_dev != above.st_dev)
    return true; /* something is mounted already, or opening will say what is wrong */
  return image_mount (image, path, error);
}
