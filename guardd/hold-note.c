/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "hold-note.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#define DIRECTORY "held"

static int
notes_open (const char *state_dir, GError **error)
{
  g_autofree char *path = g_build_filename (state_dir, DIRECTORY, NULL);
  if (g_mkdir (path, 0700) < 0 && errno != EEXIST) {
    files_set_error (error, errno, AT_FDCWD, path, "make the directory");
    return -1;
  }
  return files_open_directory (AT_FDCWD, path, error);
}

bool
hold_note_write (const char *state_dir, const char *uuid, GError **error)
{
  int fd = notes_open (state_dir, error);
  bool ok = fd >= 0 && files_replace (fd, uuid, "", 0, 0600, error);
  if (fd >= 0)
    close (fd);
  return ok;
}

bool
hold_note_exists (const char *state_dir, const char *uuid)
{
  g_autofree char *path = g_build_filename (state_dir, DIRECTORY, uuid, NULL);
  return access (path, F_OK) == 0;
}

/* One that stays after a crash resumes a guest that runs: nothing. */
void
hold_note_remove (const char *state_dir, const char *uuid)
{
  g_autofree char *path = g_build_filename (state_dir, DIRECTORY, uuid, NULL);
  if (g_unlink (path) < 0 && errno != ENOENT)
    g_warning ("%s: cannot remove it: %s", path, g_strerror (errno));
}

char **
hold_notes_list (const char *state_dir)
{
  g_autofree char *path = g_build_filename (state_dir, DIRECTORY, NULL);
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  g_autoptr (GStrvBuilder) uuids = g_strv_builder_new ();
  const char *name;
  while (directory && (name = g_dir_read_name (directory)) != NULL)
    if (g_uuid_string_is_valid (name))
      g_strv_builder_add (uuids, name);
  return g_strv_builder_end (uuids);
}
