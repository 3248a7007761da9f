/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pool in a filesystem image of its own: needs root and a loop device; mounts in a mount namespace of its
 * own. */
#include "pool-fixture.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#define SIZE ((guint64)400 << 20)

static void
set_up (Fixture *fixture, const void *data)
{
  fixture->directory = g_dir_make_tmp ("guardd-pool-XXXXXX", NULL);
  fixture->path = g_build_filename (fixture->directory, "pool", NULL);
  fixture->catalog = g_build_filename (fixture->directory, "catalog.sqlite", NULL);
}

static void
tear_down (Fixture *fixture, const void *data)
{
  fixture_close (fixture);
  umount2 (fixture->path, MNT_DETACH);
  fixture_tear_down (fixture, data);
}

static void
create (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  pool_create (fixture->path, SIZE, NULL, &error);
  g_assert_no_error (error);
}

static void
test_pool_of_its_own_filesystem (Fixture *fixture, const void *data)
{
  PoolInfo info;
  struct statvfs vfs;
  create (fixture);
  fixture_open (fixture);
  g_assert_true (pool_info (fixture->pool, &info, NULL));
  g_assert_true (info.reflinks);
  g_assert_cmpuint (info.size_bytes, <=, SIZE);
  g_assert_cmpuint (info.size_bytes, >, SIZE / 2);
  g_assert_cmpint (statvfs (fixture->path, &vfs), ==, 0);
  g_assert_cmpuint (vfs.f_flag & (ST_NODEV | ST_NOSUID | ST_NOEXEC), ==, ST_NODEV | ST_NOSUID | ST_NOEXEC);
  fixture_take_many (fixture, 5);
  fixture_delete (fixture, 2);
  fixture_check_content (fixture, 5);
}

static void
test_opening_mounts_it (Fixture *fixture, const void *data)
{
  create (fixture);
  fixture_open (fixture);
  fixture_take_many (fixture, 2);
  fixture_close (fixture);
  g_assert_cmpint (umount (fixture->path), ==, 0);
  fixture_open (fixture);
  g_assert_cmpuint (fixture_count (fixture), ==, 2);
  fixture_check_content (fixture, 2);
}

static void
test_full_pool_says_so_and_keeps_what_it_has (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  create (fixture);
  fixture_open (fixture);
  fixture_take_many (fixture, 2);
  g_autofree char *ballast = g_build_filename (fixture->path, "lost+found", NULL);
  int fd = open (ballast, O_WRONLY | O_CREAT, 0600);
  for (off_t size = SIZE; size >= 4096;)
    if (fallocate (fd, FALLOC_FL_KEEP_SIZE, lseek (fd, 0, SEEK_CUR), size) == 0)
      g_assert_cmpint (lseek (fd, size, SEEK_CUR), >, 0);
    else
      size /= 2;
  g_assert_null (pool_draft_new (fixture->pool, DOMAIN, 0, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_FULL);
  g_assert_nonnull (strstr (error->message, fixture->path));
  fixture_check_content (fixture, 2);
  close (fd);
  g_assert_cmpint (unlink (ballast), ==, 0);
  /* XFS gives the space of a removed file back in the background. */
  PoolInfo info = { 0 };
  for (guint i = 0; info.free_bytes < (100 << 20) && i < 1000; i++) {
    g_usleep (10000);
    pool_info (fixture->pool, &info, NULL);
  }
  g_assert_cmpuint (fixture_take (fixture, 2, 0, 0), ==, 3);
}

static void
test_too_small_is_refused_and_leaves_nothing (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *image = g_strconcat (fixture->path, ".img", NULL);
  g_assert_false (pool_create (fixture->path, 1 << 20, NULL, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_FAILED);
  g_assert_cmpint (access (fixture->path, F_OK), ==, -1);
  g_assert_cmpint (access (image, F_OK), ==, -1);
}

static void
test_too_large_is_refused_and_leaves_nothing (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *image = g_strconcat (fixture->path, ".img", NULL);
  g_assert_false (pool_create (fixture->path, (guint64)1 << 50, NULL, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "free"));
  g_assert_cmpint (access (fixture->path, F_OK), ==, -1);
  g_assert_cmpint (access (image, F_OK), ==, -1);
}

#define ADD(name) g_test_add ("/pool-create/" #name, Fixture, NULL, set_up, test_##name, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* What is mounted here is seen and left by nobody else. */
  g_assert_cmpint (unshare (CLONE_NEWNS), ==, 0);
  g_assert_cmpint (mount ("none", "/", "none", MS_REC | MS_PRIVATE, NULL), ==, 0);
  ADD (pool_of_its_own_filesystem);
  ADD (opening_mounts_it);
  ADD (full_pool_says_so_and_keeps_what_it_has);
  ADD (too_small_is_refused_and_leaves_nothing);
  ADD (too_large_is_refused_and_leaves_nothing);
  return g_test_run ();
}
