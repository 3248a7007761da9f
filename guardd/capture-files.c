/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "capture-files.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <gio/gunixoutputstream.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* UEFI variable stores are 128 KiB to 4 MiB; a TPM's state some 100 KiB */
#define FILE_MAX (16 * 1024 * 1024)

static GBytes *
tar_directory (const char *directory, GError **error)
{
  g_autoptr (GSubprocess) tar
      = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, error, "tar",
                          "--create", "--file=-", "--directory", directory, ".", NULL);
  g_autoptr (GBytes) output = NULL;

  if (!tar || !g_subprocess_communicate (tar, NULL, NULL, &output, NULL, error))
    return NULL;
  if (!g_subprocess_get_successful (tar) || g_bytes_get_size (output) > FILE_MAX) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: tar failed, or its content is over 16 MiB",
                 directory);
    return NULL;
  }
  return g_steal_pointer (&output);
}

static GBytes *
read_file (const char *path, GError **error)
{
  struct stat st;
  char *content;
  gsize length;

  if (stat (path, &st) == 0 && st.st_size > FILE_MAX) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: over 16 MiB", path);
    return NULL;
  }
  if (!g_file_get_contents (path, &content, &length, error))
    return NULL;
  return g_bytes_new_take (content, length);
}

/* *has: it is in the draft.  False only when the pool failed. */
static bool
add_optional (PoolDraft *draft, const char *name, GBytes *content, GError *why, bool *has, GError **error)
{
  if (!content) {
    g_warning ("%s is not in the snapshot: %s, ignoring", name, why->message);
    return true;
  }
  *has = pool_draft_file (draft, name, content, error);
  return *has;
}

bool
capture_files_add (PoolDraft *draft, Manifest *manifest, const Domain *domain, GError **error)
{
  g_autoptr (GBytes) xml = g_bytes_new (domain->xml, strlen (domain->xml));

  if (!pool_draft_file (draft, "domain.xml", xml, error))
    return false;
  if (domain->nvram) {
    g_autoptr (GError) why = NULL;
    g_autoptr (GBytes) nvram = read_file (domain->nvram, &why);

    if (!add_optional (draft, "nvram", nvram, why, &manifest->has_nvram, error))
      return false;
  }
  if (domain->tpm_state) {
    g_autoptr (GError) why = NULL;
    g_autoptr (GBytes) tpm = tar_directory (domain->tpm_state, &why);

    if (!add_optional (draft, "tpm", tpm, why, &manifest->has_tpm, error))
      return false;
  }
  return true;
}

/* --- putting back --- */

/* Others pass through them, as through those that libvirt makes. */
static bool
make_parents (const char *path, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (path);
  if (g_mkdir_with_parents (parent, 0711) == 0)
    return true;
  files_set_error (error, errno, AT_FDCWD, parent, "make the directory");
  return false;
}

/* The archive has its owner and mode, and those of what is in it. */
static bool
restore_tpm (GBytes *archive, const char *directory, GError **error)
{
  if (!make_parents (directory, error))
    return false;
  if (mkdir (directory, 0700) < 0 && errno != EEXIST) {
    files_set_error (error, errno, AT_FDCWD, directory, "make the directory");
    return false;
  }
  int fd = files_open_directory (AT_FDCWD, directory, error); /* and no link to another */
  if (fd < 0)
    return false;
  close (fd);
  g_autoptr (GSubprocess) tar
      = g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, error, "tar",
                          "--extract", "--file=-", "--directory", directory, NULL);
  if (!tar || !g_subprocess_communicate (tar, archive, NULL, NULL, NULL, error))
    return false;
  if (!g_subprocess_get_successful (tar)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "TPM state: tar could not unpack into %s", directory);
    return false;
  }
  return true;
}

/* With the owner of its directory: libvirt gives it QEMU's when the guest starts, unless it is told to leave
 * owners alone, and then whoever manages them owns the directory. */
static int
create_file (const char *path, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (path);
  struct stat st;
  if (!make_parents (path, error))
    return -1;
  int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    files_set_error (error, errno, AT_FDCWD, path, "create it");
  else if (stat (parent, &st) == 0 && fchown (fd, st.st_uid, st.st_gid) < 0)
    g_warning ("%s: cannot give it the owner of its directory: %s, ignoring", path, g_strerror (errno));
  return fd;
}

/* In place where it is there, so that owner, mode and label stay those that libvirt gave the file.  Its
 * directory may be QEMU's, which may be an intruder's. */
static int
open_file (const char *path, GError **error)
{
  struct stat st;
  int fd = open (path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT)
    return create_file (path, error);
  if (fd < 0)
    files_set_error (error, errno, AT_FDCWD, path, "open it");
  else if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE, "%s: is not a file", path);
    close (fd);
    return -1;
  }
  return fd;
}

static bool
restore_file (const char *path, GBytes *content, GError **error)
{
  gsize length;
  const void *data = g_bytes_get_data (content, &length);
  int fd = open_file (path, error);
  if (fd < 0)
    return false;
  g_autoptr (GOutputStream) out = g_unix_output_stream_new (fd, FALSE);
  bool ok = g_output_stream_write_all (out, data, length, NULL, NULL, error);
  if (!ok)
    g_prefix_error (error, "%s: ", path);
  else if (ftruncate (fd, (off_t)length) < 0) {
    files_set_error (error, errno, AT_FDCWD, path, "truncate it");
    ok = false;
  }
  ok = ok && files_sync (fd, error);
  close (fd);
  return ok;
}

bool
capture_files_restore (Pool *pool, const Manifest *manifest, const Domain *domain, GError **error)
{
  if (manifest->has_nvram && domain->nvram) {
    g_autoptr (GBytes) nvram = pool_snapshot_file (pool, domain->uuid, manifest->number, "nvram", error);

    if (!nvram || !restore_file (domain->nvram, nvram, error))
      return false;
  }
  if (manifest->has_tpm && domain->tpm_state) {
    g_autoptr (GBytes) tpm = pool_snapshot_file (pool, domain->uuid, manifest->number, "tpm", error);

    if (!tpm || !restore_tpm (tpm, domain->tpm_state, error))
      return false;
  }
  return true;
}
