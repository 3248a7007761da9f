/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Firmware variables and TPM state are put back, whatever is there now. */
#include "guardd/capture-files.h"

#include "pool-fixture.h"

#include <glib/gstdio.h>

#define OTHER 1u /* a user that is not us */

typedef struct {
  Fixture pool;
  char *home, *nvram, *state, *tpm, *keys;
  Manifest *manifest;
} Files;

static char *
content (const char *path)
{
  char *text = NULL;
  g_file_get_contents (path, &text, NULL, NULL);
  return text;
}

/* Snapshot 1 has both. */
static void
set_up (Files *files, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) xml = g_bytes_new_static ("<domain/>", 9);
  fixture_set_up (&files->pool, NULL);
  files->home = g_build_filename (files->pool.directory, "nvram", NULL);
  files->nvram = g_build_filename (files->home, "web01.fd", NULL);
  files->state = g_build_filename (files->pool.directory, "swtpm", DOMAIN, NULL);
  files->tpm = g_build_filename (files->state, "tpm2", NULL);
  files->keys = g_build_filename (files->tpm, "tpm2-00.permall", NULL);
  g_assert_cmpint (g_mkdir_with_parents (files->tpm, 0700), ==, 0);
  g_assert_cmpint (g_mkdir (files->home, 0700), ==, 0);
  g_assert_true (g_file_set_contents (files->nvram, "variables", -1, NULL));
  g_assert_true (g_file_set_contents (files->keys, "keys", -1, NULL));
  g_assert_cmpint (chown (files->home, OTHER, OTHER), ==, 0);
  g_assert_cmpint (chown (files->tpm, OTHER, OTHER), ==, 0);
  Domain domain = {
    .uuid = (char *)DOMAIN, .xml = (char *)"<domain/>", .nvram = files->nvram, .tpm_state = files->tpm
  };
  PoolDraft *draft = fixture_draft (&files->pool);
  files->manifest = fixture_manifest (pool_draft_number (draft), 1);
  draft_add_disk (draft, files->manifest, "vda", 0, 0, 1);
  g_assert_true (capture_files_add (draft, files->manifest, &domain, &error));
  g_assert_no_error (error);
  g_assert_true (files->manifest->has_nvram && files->manifest->has_tpm);
  g_assert_true (pool_draft_commit (draft, files->manifest, NULL, &error));
  g_assert_no_error (error);
}

static void
tear_down (Files *files, const void *data)
{
  manifest_free (files->manifest);
  fixture_tear_down (&files->pool, NULL);
  g_free (files->home);
  g_free (files->nvram);
  g_free (files->state);
  g_free (files->tpm);
  g_free (files->keys);
}

static bool
restore (const Files *files, GError **error)
{
  Domain domain = { .uuid = (char *)DOMAIN, .nvram = files->nvram, .tpm_state = files->tpm };
  return capture_files_restore (files->pool.pool, files->manifest, &domain, error);
}

static void
check_restored (const Files *files)
{
  g_autoptr (GError) error = NULL;
  restore (files, &error);
  g_assert_no_error (error);
  g_autofree char *nvram = content (files->nvram), *keys = content (files->keys);
  g_assert_cmpstr (nvram, ==, "variables");
  g_assert_cmpstr (keys, ==, "keys");
}

/* libvirt gave them. */
static void
test_owner_and_mode_stay (Files *files, const void *data)
{
  struct stat st;
  g_assert_true (g_file_set_contents (files->nvram, "other variables, longer", -1, NULL));
  g_assert_cmpint (chmod (files->nvram, 0640), ==, 0);
  g_assert_cmpint (chown (files->nvram, OTHER + 1, OTHER), ==, 0);
  check_restored (files);
  g_assert_cmpint (stat (files->nvram, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0640);
  g_assert_cmpuint (st.st_uid, ==, OTHER + 1);
}

static void
test_what_is_gone_is_made (Files *files, const void *data)
{
  struct stat nvram, state, tpm;
  g_assert_cmpint (g_unlink (files->nvram), ==, 0);
  g_assert_true (files_remove_tree (AT_FDCWD, files->state, NULL));
  check_restored (files);
  g_assert_true (stat (files->nvram, &nvram) == 0 && stat (files->state, &state) == 0
                 && stat (files->tpm, &tpm) == 0);
  g_assert_cmpuint (nvram.st_mode & 07777, ==, 0600);
  g_assert_cmpuint (nvram.st_uid, ==, OTHER);
  g_assert_cmpuint (state.st_mode & 07777, ==, 0711);
  g_assert_cmpuint (tpm.st_mode & 07777, ==, 0700);
  g_assert_cmpuint (tpm.st_uid, ==, OTHER);
}

static void
test_a_directory_that_is_gone_too_is_made (Files *files, const void *data)
{
  g_assert_true (files_remove_tree (AT_FDCWD, files->home, NULL));
  check_restored (files);
}

static void
test_nothing_is_written_through_a_link (Files *files, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *victim = g_build_filename (files->pool.directory, "victim", NULL);
  g_assert_true (g_file_set_contents (victim, "not the guest's", -1, NULL));
  g_assert_cmpint (g_unlink (files->nvram), ==, 0);
  g_assert_cmpint (symlink (victim, files->nvram), ==, 0);
  g_assert_false (restore (files, &error));
  g_assert_nonnull (error);
  g_autofree char *text = content (victim);
  g_assert_cmpstr (text, ==, "not the guest's");
}

static void
test_nothing_is_unpacked_through_a_link (Files *files, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *victim = g_build_filename (files->pool.directory, "victim", NULL);
  g_autofree char *keys = g_build_filename (victim, "tpm2-00.permall", NULL);
  g_assert_cmpint (g_mkdir (victim, 0700), ==, 0);
  g_assert_true (files_remove_tree (AT_FDCWD, files->tpm, NULL));
  g_assert_cmpint (symlink (victim, files->tpm), ==, 0);
  g_assert_false (restore (files, &error));
  g_assert_nonnull (error);
  g_assert_false (g_file_test (keys, G_FILE_TEST_EXISTS));
}

/* To open one would wait for a reader, for ever. */
static void
test_a_pipe_is_refused (Files *files, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_assert_cmpint (g_unlink (files->nvram), ==, 0);
  g_assert_cmpint (mkfifo (files->nvram, 0600), ==, 0);
  g_assert_false (restore (files, &error));
  g_assert_nonnull (error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define TEST(name) g_test_add ("/capture-files/" #name, Files, NULL, set_up, test_##name, tear_down)
  TEST (owner_and_mode_stay);
  TEST (what_is_gone_is_made);
  TEST (a_directory_that_is_gone_too_is_made);
  TEST (nothing_is_written_through_a_link);
  TEST (nothing_is_unpacked_through_a_link);
  TEST (a_pipe_is_refused);
#undef TEST
  return g_test_run ();
}
