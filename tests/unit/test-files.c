/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/files.h"
#include "base/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  char *directory;
  int fd;
} Fixture;

static void
set_up (Fixture *fixture, const void *data)
{
  fixture->directory = g_dir_make_tmp ("guardd-files-XXXXXX", NULL);
  fixture->fd = files_open_directory (AT_FDCWD, fixture->directory, NULL);
  g_assert_cmpint (fixture->fd, >=, 0);
}

static void
tear_down (Fixture *fixture, const void *data)
{
  close (fixture->fd);
  g_assert_true (files_remove_tree (AT_FDCWD, fixture->directory, NULL));
  g_free (fixture->directory);
}

static void
make (Fixture *fixture, const char *name, const char *text)
{
  g_autoptr (GError) error = NULL;
  int fd = files_create (fixture->fd, name, text, strlen (text), 0600, &error);
  g_assert_no_error (error);
  close (fd);
}

static void
check (Fixture *fixture, const char *name, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = files_read (fixture->fd, name, 1000, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), text, strlen (text));
}

static void
test_created_file_is_read_back (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  make (fixture, "a", "content");
  make (fixture, "empty", "");
  check (fixture, "a", "content");
  check (fixture, "empty", "");
  g_assert_cmpint (files_create (fixture->fd, "a", "x", 1, 0600, &error), ==, -1);
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_EXIST);
  check (fixture, "a", "content");
}

static void
test_replaced_file_is_another (Fixture *fixture, const void *data)
{
  g_autofree char *path = files_path (fixture->fd, "a");
  make (fixture, "a", "old");
  make (fixture, ".a.tmp", "left by a crash");
  g_assert_true (files_replace (fixture->fd, "a", "new", 3, 0600, NULL));
  check (fixture, "a", "new");
  g_assert_true (files_replace (AT_FDCWD, path, "newer", 5, 0600, NULL));
  check (fixture, "a", "newer");
  g_assert_cmpint (faccessat (fixture->fd, ".a.tmp", F_OK, 0), ==, -1);
}

static void
test_replacing_does_not_write_through_a_link (Fixture *fixture, const void *data)
{
  make (fixture, "target", "precious");
  g_assert_cmpint (symlinkat ("target", fixture->fd, "a"), ==, 0);
  g_assert_true (files_replace (fixture->fd, "a", "new", 3, 0600, NULL));
  check (fixture, "a", "new");
  check (fixture, "target", "precious");
}

static void
test_reading_is_bounded_and_follows_nothing (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  make (fixture, "a", "0123456789");
  g_assert_null (files_read (fixture->fd, "a", 9, &error));
  g_assert_nonnull (strstr (error->message, "/a:"));
  g_clear_error (&error);
  g_assert_cmpint (symlinkat ("a", fixture->fd, "link"), ==, 0);
  g_assert_null (files_read (fixture->fd, "link", 100, &error));
  g_clear_error (&error);
  g_assert_cmpint (mkfifoat (fixture->fd, "fifo", 0600), ==, 0);
  g_assert_null (files_read (fixture->fd, "fifo", 100, &error));
  g_clear_error (&error);
  g_assert_null (files_read (fixture->fd, "missing", 100, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_clear_error (&error);
  g_assert_cmpint (files_open_directory (fixture->fd, "link", &error), ==, -1);
  g_assert_nonnull (error);
}

static void
test_full_filesystem_has_its_code (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  files_set_error (&error, ENOSPC, fixture->fd, "full", "write it");
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC);
  g_clear_error (&error);
  files_set_error (&error, EDQUOT, fixture->fd, "full", "write it");
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC);
}

static void
test_immutable_files_are_removed_too (Fixture *fixture, const void *data)
{
  make (fixture, "a", "x");
  int fd = openat (fixture->fd, "a", O_RDONLY);
  bool immutable = files_set_immutable (fd, true);
  close (fd);
  if (immutable)
    g_assert_cmpint (unlinkat (fixture->fd, "a", 0), ==, -1);
  g_assert_true (files_unlink (fixture->fd, "a", NULL));
  g_assert_true (files_unlink (fixture->fd, "a", NULL));
  g_assert_cmpint (faccessat (fixture->fd, "a", F_OK, 0), ==, -1);
}

static void
test_removing_a_tree_leaves_what_links_lead_to (Fixture *fixture, const void *data)
{
  make (fixture, "precious", "x");
  g_assert_cmpint (mkdirat (fixture->fd, "keep", 0700), ==, 0);
  g_assert_cmpint (mkdirat (fixture->fd, "keep/inside", 0700), ==, 0);
  g_assert_cmpint (mkdirat (fixture->fd, "tree", 0700), ==, 0);
  g_assert_cmpint (mkdirat (fixture->fd, "tree/sub", 0700), ==, 0);
  g_assert_cmpint (symlinkat ("../../keep", fixture->fd, "tree/sub/directory"), ==, 0);
  g_assert_cmpint (symlinkat ("../precious", fixture->fd, "tree/file"), ==, 0);
  make (fixture, "tree/sub/a", "x");
  g_assert_true (files_remove_tree (fixture->fd, "tree", NULL));
  g_assert_true (files_remove_tree (fixture->fd, "tree", NULL));
  g_assert_cmpint (faccessat (fixture->fd, "tree", F_OK, 0), ==, -1);
  g_assert_cmpint (faccessat (fixture->fd, "keep/inside", F_OK, 0), ==, 0);
  check (fixture, "precious", "x");
}

static void
test_removing_a_tree_is_bounded (Fixture *fixture, const void *data)
{
  g_autoptr (GString) path = g_string_new ("d");
  for (guint i = 0; i < 12; i++) {
    g_assert_cmpint (mkdirat (fixture->fd, path->str, 0700), ==, 0);
    g_string_append (path, "/d");
  }
  g_assert_false (files_remove_tree (fixture->fd, "d", NULL));
  /* in pieces, for the sake of the clean-up */
  g_assert_true (files_remove_tree (fixture->fd, "d/d/d/d/d/d", NULL));
}

static void
test_hexadecimal (Fixture *fixture, const void *data)
{
  static const guint8 bytes[] = { 0x00, 0x0f, 0xf0, 0xff, 0x5a };
  guint8 again[5];
  g_autofree char *text = hex_format (bytes, 5);
  g_assert_cmpstr (text, ==, "000ff0ff5a");
  g_assert_true (hex_parse (text, again, 5));
  g_assert_cmpmem (bytes, 5, again, 5);
  g_assert_false (hex_parse ("000ff0ff5", again, 5));
  g_assert_false (hex_parse ("000ff0ff5a0", again, 5));
  g_assert_false (hex_parse ("000ff0ff5g", again, 5));
  g_assert_false (hex_parse ("", again, 5));
}

#define ADD(name) g_test_add ("/files/" #name, Fixture, NULL, set_up, test_##name, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (created_file_is_read_back);
  ADD (replaced_file_is_another);
  ADD (replacing_does_not_write_through_a_link);
  ADD (reading_is_bounded_and_follows_nothing);
  ADD (full_filesystem_has_its_code);
  ADD (immutable_files_are_removed_too);
  ADD (removing_a_tree_leaves_what_links_lead_to);
  ADD (removing_a_tree_is_bounded);
  ADD (hexadecimal);
  return g_test_run ();
}
