/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-files.h"

#include "base/files.h"

#include <gio/gio.h>
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

static bool
restore_tpm (GBytes *archive, const char *directory, GError **error)
{
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

/* In place, so that owner, mode and label stay those that libvirt gave the file. */
static bool
overwrite_file (const char *path, GBytes *content, GError **error)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GFileIOStream) stream = g_file_open_readwrite (file, NULL, error);
  GOutputStream *out;
  gsize length;
  const void *data = g_bytes_get_data (content, &length);

  if (!stream)
    return false;
  out = g_io_stream_get_output_stream (G_IO_STREAM (stream));
  return g_output_stream_write_all (out, data, length, NULL, NULL, error)
         && g_seekable_truncate (G_SEEKABLE (stream), (goffset)length, NULL, error)
         && g_io_stream_close (G_IO_STREAM (stream), NULL, error);
}

bool
capture_files_restore (Pool *pool, const Manifest *manifest, const Domain *domain, GError **error)
{
  if (manifest->has_nvram && domain->nvram) {
    g_autoptr (GBytes) nvram = pool_snapshot_file (pool, domain->uuid, manifest->number, "nvram", error);

    if (!nvram || !overwrite_file (domain->nvram, nvram, error))
      return false;
  }
  if (manifest->has_tpm && domain->tpm_state) {
    g_autoptr (GBytes) tpm = pool_snapshot_file (pool, domain->uuid, manifest->number, "tpm", error);

    if (!tpm || !restore_tpm (tpm, domain->tpm_state, error))
      return false;
  }
  return true;
}
