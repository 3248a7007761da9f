/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a crash, a damaged disk or a hand in the pool leaves behind, made on disk state by state, and what the
 * next start says and does about it.  Whatever it is, the snapshots that nobody touched stay.
 */
#include "pool-fixture.h"

#include <stdio.h>

static char *
history_get (const Fixture *fixture)
{
  return fixture_get (fixture, "history", NULL);
}

static void
history_put (const Fixture *fixture, const char *text, gsize length)
{
  fixture_put (fixture, "history", text, length);
}

/* The history without its last n lines. */
static void
history_cut (const Fixture *fixture, guint n)
{
  g_autofree char *text = history_get (fixture);
  gsize length = strlen (text);
  for (guint i = 0; i < n; i++) {
    length--;
    while (length > 0 && text[length - 1] != '\n')
      length--;
  }
  history_put (fixture, text, length);
}

static void
catalog_drop (const Fixture *fixture)
{
  static const char *const suffixes[] = { "", "-wal", "-shm" };
  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++) {
    g_autofree char *path = g_strconcat (fixture->catalog, suffixes[i], NULL);
    unlink (path);
  }
}

static void
directory_remove (const Fixture *fixture, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = fixture_path (fixture, name);
  files_remove_tree (AT_FDCWD, path, &error);
  g_assert_no_error (error);
}

/* The pool goes on: it takes, gives back, and shows nothing wrong. */
static void
check_goes_on (Fixture *fixture, guint64 parent)
{
  guint64 number = fixture_take (fixture, parent, 5, 0);
  g_assert_cmpuint (fixture_read (fixture, number, 5), ==, (guint8)number);
  g_assert_true (pool_verify_history (fixture->pool, DOMAIN, NULL));
  fixture_reopen (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  g_assert_cmpuint (fixture_read (fixture, number, 5), ==, (guint8)number);
}

/* --- a crash while a snapshot was taken --- */

static void
test_draft_is_removed (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 2);
  PoolDraft *draft = fixture_draft (fixture);
  g_autoptr (Manifest) manifest = fixture_manifest (3, 0);
  g_autofree char *from = fixture_path (fixture, ".new-00000003"), *to = fixture_path (fixture, "copy");
  draft_add_disk (draft, manifest, "vda", 2, 0, 3);
  g_assert_cmpint (rename (from, to), ==, 0);
  pool_draft_abort (draft);
  g_assert_cmpint (rename (to, from), ==, 0);
  fixture_reopen (fixture);
  g_assert_false (fixture_has (fixture, ".new-00000003"));
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  g_assert_cmpuint (fixture_count (fixture), ==, 2);
  check_goes_on (fixture, 2);
}

static void
test_create_line_without_directory_is_void (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 3);
  fixture_close (fixture);
  directory_remove (fixture, "00000003");
  fixture_open (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  g_assert_cmpuint (fixture_count (fixture), ==, 2);
  g_autofree char *text = history_get (fixture);
  g_assert_nonnull (strstr (text, "\"op\":\"void\""));
  g_assert_cmpuint (fixture_take (fixture, 2, 0, 0), ==, 4);
  check_goes_on (fixture, 2);
}

static void
test_line_is_durable_and_the_draft_has_its_old_name (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 3);
  fixture_close (fixture);
  g_autofree char *from = fixture_path (fixture, "00000003"), *to = fixture_path (fixture, ".new-00000003");
  g_assert_cmpint (rename (from, to), ==, 0);
  fixture_open (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  g_assert_cmpuint (fixture_count (fixture), ==, 2);
  g_assert_false (fixture_has (fixture, ".new-00000003"));
  check_goes_on (fixture, 2);
}

static void
test_torn_last_line_is_cut_off_at_any_length (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 3);
  fixture_close (fixture);
  directory_remove (fixture, "00000003");
  g_autofree char *text = history_get (fixture);
  gsize whole = strlen (text), start = 0;
  text[whole - 1] = '\0';
  start = (gsize)(strrchr (text, '\n') - text) + 1;
  text[whole - 1] = '\n';
  for (gsize length = start + 1; length < whole; length += 23) {
    history_put (fixture, text, length);
    catalog_drop (fixture);
    fixture_open (fixture);
    g_assert_true (fixture_reports (fixture, "history", "torn"));
    g_assert_cmpuint (fixture_count (fixture), ==, 2);
    fixture_reopen (fixture);
    g_assert_cmpuint (fixture_problems (fixture), ==, 0);
    fixture_close (fixture);
  }
  fixture_open (fixture);
  check_goes_on (fixture, 2);
}

static void
test_torn_last_line_of_zeros_is_cut_off (Fixture *fixture, const void *data)
{
  char zeros[300] = { 0 };
  fixture_take_many (fixture, 2);
  fixture_close (fixture);
  gsize length = 0;
  g_autofree char *text = fixture_get (fixture, "history", &length);
  g_autofree char *both = g_malloc (length + sizeof zeros);
  memcpy (both, text, length);
  memcpy (both + length, zeros, sizeof zeros);
  history_put (fixture, both, length + sizeof zeros);
  fixture_open (fixture);
  g_assert_true (fixture_reports (fixture, "history", "torn"));
  g_assert_cmpuint (fixture_count (fixture), ==, 2);
  check_goes_on (fixture, 2);
}

static void
test_state_line_without_its_file_is_carried_out (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 2);
  g_assert_true (fixture_hold (fixture, 1, "mine"));
  fixture_close (fixture);
  directory_remove (fixture, "00000001/state.json");
  fixture_open (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  g_assert_true (fixture_has (fixture, "00000001/state.json"));
  g_autoptr (Snapshot) snapshot = pool_resolve (fixture->pool, DOMAIN, "1", 0, NULL);
  g_assert_cmpstr (snapshot->state->hold, ==, "mine");
}

/* --- a crash while snapshots were removed --- */

static void
test_prepared_maintenance_without_line_is_thrown_away (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 4);
  fixture_close (fixture);
  g_autofree char *aside = fixture_path (fixture, ".maintain");
  g_autofree char *part = g_build_filename (aside, "half.part", NULL);
  g_assert_cmpint (mkdir (aside, 0700), ==, 0);
  g_assert_true (g_file_set_contents (part, "half", -1, NULL));
  fixture_open (fixture);
  g_assert_false (fixture_has (fixture, ".maintain"));
  for (guint64 n = 1; n <= 4; n++)
    fixture_check_content (fixture, n);
  check_goes_on (fixture, 4);
}

static void
test_maintenance_without_its_last_line_is_done_again (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 4);
  fixture_delete (fixture, 2);
  fixture_close (fixture);
  history_cut (fixture, 1);
  catalog_drop (fixture);
  fixture_open (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  g_assert_cmpuint (fixture_count (fixture), ==, 3);
  fixture_check_content (fixture, 3);
  fixture_check_content (fixture, 4);
  g_autofree char *text = history_get (fixture);
  g_assert_nonnull (strstr (text, "\"op\":\"maintained\""));
  check_goes_on (fixture, 4);
}

static void
test_half_removed_directory_is_removed_at_last (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 4);
  fixture_delete (fixture, 2);
  fixture_close (fixture);
  history_cut (fixture, 1);
  catalog_drop (fixture);
  g_autofree char *directory = fixture_path (fixture, "00000002");
  g_assert_cmpint (mkdir (directory, 0700), ==, 0);
  fixture_put (fixture, "00000002/manifest.json", "{}", 2);
  fixture_open (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  g_assert_false (fixture_has (fixture, "00000002"));
  g_assert_cmpuint (fixture_count (fixture), ==, 3);
  check_goes_on (fixture, 4);
}

/* --- a long history --- */

static void
test_history_is_rotated_and_loses_nothing (Fixture *fixture, const void *data)
{
  g_autofree char *words = g_strnfill (200 * 1024, 'x'), *hold = NULL;
  fixture_take_many (fixture, 3);
  for (guint i = 0; i < 30; i++) {
    g_free (hold);
    hold = g_strdup_printf ("%u%s", i, words);
    g_assert_true (fixture_hold (fixture, 2, hold));
  }
  g_assert_true (fixture_has (fixture, "history.old"));
  fixture_delete (fixture, 1);
  for (int round = 0; round < 2; round++) {
    g_autoptr (Snapshot) snapshot = pool_resolve (fixture->pool, DOMAIN, "2", 0, NULL);
    g_assert_cmpstr (snapshot->state->hold, ==, hold);
    fixture_check_content (fixture, 2);
    g_assert_cmpuint (fixture_count (fixture), ==, 2);
    fixture_reopen (fixture);
    g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  }
  /* a crash between the two renames of the rotation */
  fixture_close (fixture);
  g_autofree char *now = fixture_path (fixture, "history"), *next = fixture_path (fixture, "history.new");
  g_assert_cmpint (rename (now, next), ==, 0);
  fixture_open (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  g_assert_cmpuint (fixture_count (fixture), ==, 2);
  g_assert_cmpuint (fixture_take (fixture, 3, 0, 0), ==, 4);
}

/* --- hands in the pool, and rot --- */

static void
test_edited_manifest_is_reported_and_not_listed (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 3);
  fixture_close (fixture);
  g_autofree char *text = fixture_get (fixture, "00000002/manifest.json", NULL);
  g_auto (GStrv) parts = g_strsplit (text, "web01", -1);
  g_autofree char *edited = g_strjoinv ("web02", parts);
  fixture_put (fixture, "00000002/manifest.json", edited, strlen (edited));
  fixture_open (fixture);
  g_assert_true (fixture_reports (fixture, "00000002/manifest.json", "edited or damaged"));
  g_assert_cmpuint (fixture_count (fixture), ==, 2);
  /* It stays what others stand on: removing around it must not touch it. */
  fixture_delete (fixture, 1);
  fixture_check_content (fixture, 3);
  fixture_close (fixture);
  fixture_put (fixture, "00000002/manifest.json", text, strlen (text));
  fixture_open (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  fixture_check_content (fixture, 2);
}

static void
test_planted_directory_is_reported_and_not_listed (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  guint64 number = 1;
  fixture_take_many (fixture, 2);
  fixture_close (fixture);
  g_autofree char *directory = fixture_path (fixture, "00000009");
  g_autofree char *manifest = fixture_get (fixture, "00000002/manifest.json", NULL);
  g_assert_cmpint (mkdir (directory, 0700), ==, 0);
  fixture_put (fixture, "00000009/manifest.json", manifest, strlen (manifest));
  fixture_open (fixture);
  g_assert_true (fixture_reports (fixture, "00000009", "history"));
  g_assert_cmpuint (fixture_count (fixture), ==, 2);
  /* captures go on with numbers above it, but nothing is merged or removed */
  g_assert_cmpuint (fixture_take (fixture, 2, 0, 0), ==, 10);
  g_assert_false (pool_delete (fixture->pool, DOMAIN, &number, 1, false, NULL, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_DAMAGED);
}

static void
test_lost_directory_is_reported_until_a_scan (Fixture *fixture, const void *data)
{
  guint64 found = 0;
  fixture_take_many (fixture, 4);
  fixture_delete (fixture, 2);
  fixture_close (fixture);
  directory_remove (fixture, "00000001");
  for (int round = 0; round < 2; round++) {
    fixture_open (fixture);
    g_assert_true (fixture_reports (fixture, "00000001", "removed by somebody else"));
    g_assert_cmpuint (fixture_count (fixture), ==, 2);
    fixture_close (fixture);
  }
  fixture_open (fixture);
  g_assert_true (pool_scan (fixture->pool, &found, NULL));
  g_assert_cmpuint (found, ==, 2);
  fixture_reopen (fixture);
  g_assert_false (fixture_reports (fixture, "00000001", "removed by somebody else"));
}

static void
test_edited_history_is_reported_and_the_snapshots_stay (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  guint64 found = 0, number = 1;
  fixture_take_many (fixture, 4);
  fixture_close (fixture);
  g_autofree char *text = history_get (fixture);
  strstr (text, "\"snapshot\":2")[11] = '7';
  history_put (fixture, text, strlen (text));
  fixture_open (fixture);
  g_assert_true (fixture_reports (fixture, "history", "line 2"));
  g_assert_cmpuint (fixture_count (fixture), ==, 3);
  g_assert_false (pool_verify_history (fixture->pool, DOMAIN, &error));
  g_assert_nonnull (strstr (error->message, "history"));
  g_assert_false (pool_delete (fixture->pool, DOMAIN, &number, 1, false, NULL, NULL));
  g_assert_cmpuint (fixture_take (fixture, 4, 4, 0), ==, 5);
  /* A person decides that what is there counts. */
  g_assert_true (pool_scan (fixture->pool, &found, NULL));
  g_assert_cmpuint (found, ==, 5);
  fixture_reopen (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  g_assert_true (pool_verify_history (fixture->pool, DOMAIN, NULL));
  g_assert_true (fixture_has (fixture, "history.old"));
  fixture_delete (fixture, 1);
  for (guint64 n = 2; n <= 5; n++)
    fixture_check_content (fixture, n);
}

static void
test_lost_history_is_reported_and_a_scan_adopts (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  guint64 found = 0;
  fixture_take_many (fixture, 3);
  fixture_close (fixture);
  catalog_drop (fixture);
  directory_remove (fixture, "history");
  fixture_open (fixture);
  g_assert_true (fixture_reports (fixture, "history", "missing"));
  pool_scan (fixture->pool, &found, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (found, ==, 3);
  fixture_reopen (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  for (guint64 n = 1; n <= 3; n++)
    fixture_check_content (fixture, n);
  pool_verify (fixture->pool, DOMAIN, 3, true, NULL, NULL, &error);
  g_assert_no_error (error);
  g_autoptr (GBytes) xml = pool_snapshot_file (fixture->pool, DOMAIN, 3, "domain.xml", NULL);
  g_assert_nonnull (xml);
  check_goes_on (fixture, 3);
}

/* Lines and directories cut off together leave a whole chain; only what we remember elsewhere shows it. */
static void
test_history_put_back_to_an_older_state_shows (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 4);
  fixture_close (fixture);
  history_cut (fixture, 2);
  directory_remove (fixture, "00000003");
  directory_remove (fixture, "00000004");
  fixture_open (fixture);
  g_assert_true (fixture_reports (fixture, "history", "cut off"));
  g_assert_cmpuint (fixture_count (fixture), ==, 2);
}

static void
test_vanished_domain_shows_until_a_scan (Fixture *fixture, const void *data)
{
  guint64 found = 1;
  fixture_take_many (fixture, 2);
  fixture_close (fixture);
  directory_remove (fixture, "");
  fixture_open (fixture);
  g_assert_true (fixture_reports (fixture, DOMAIN, "removed by somebody else"));
  g_assert_true (pool_scan (fixture->pool, &found, NULL));
  g_assert_cmpuint (found, ==, 0);
  fixture_reopen (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  check_goes_on (fixture, 0);
}

static void
test_damaged_snapshot_can_be_removed_on_purpose (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  guint64 number = 2;
  fixture_take_many (fixture, 4);
  fixture_close (fixture);
  fixture_put (fixture, "00000002/manifest.json", "{}", 2);
  fixture_open (fixture);
  g_assert_false (pool_delete (fixture->pool, DOMAIN, &number, 1, false, NULL, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_BUSY);
  g_assert_true (pool_delete (fixture->pool, DOMAIN, &number, 1, true, NULL, NULL));
  g_assert_false (fixture_has (fixture, "00000002"));
  fixture_check_content (fixture, 3);
  fixture_reopen (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  fixture_check_content (fixture, 4);
}

static void
test_edited_state_does_not_count (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 2);
  g_assert_true (fixture_hold (fixture, 1, "mine"));
  fixture_take (fixture, 2, 0, 0);
  fixture_close (fixture);
  const char *released = "{\"hold\":null,\"evidence\":false,\"verdict\":null}\n";
  fixture_put (fixture, "00000001/state.json", released, strlen (released));
  fixture_open (fixture);
  g_assert_true (fixture_reports (fixture, "00000001/state.json", "edited or damaged"));
  g_autoptr (Snapshot) snapshot = pool_resolve (fixture->pool, DOMAIN, "1", 0, NULL);
  g_assert_cmpstr (snapshot->state->hold, ==, "mine");
}

static void
test_links_and_strange_names_are_ignored (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 2);
  fixture_close (fixture);
  g_autofree char *link = fixture_path (fixture, "00000005"), *real = fixture_path (fixture, "00000002"),
                  *strange = fixture_path (fixture, "0x7"), *fifo = fixture_path (fixture, "fifo");
  g_autofree char *domain = g_build_filename (fixture->path, "99999999-2222-3333-4444-555555555555", NULL);
  g_autofree char *outside = g_build_filename (fixture->directory, "outside", NULL);
  g_assert_cmpint (symlink (real, link), ==, 0);
  g_assert_cmpint (mkdir (strange, 0700), ==, 0);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_cmpint (mkdir (outside, 0700), ==, 0);
  g_assert_cmpint (symlink (outside, domain), ==, 0);
  fixture_open (fixture);
  g_assert_cmpuint (fixture_count (fixture), ==, 2);
  g_assert_true (fixture_reports (fixture, "00000005", "not guardd's"));
  g_assert_true (fixture_reports (fixture, "0x7", "not guardd's"));
  g_assert_true (fixture_reports (fixture, "fifo", "not guardd's"));
  g_assert_true (fixture_reports (fixture, "99999999", "directory"));
}

static void
test_manifest_that_is_a_link_is_not_followed (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 2);
  fixture_close (fixture);
  catalog_drop (fixture);
  g_autofree char *text = fixture_get (fixture, "00000001/manifest.json", NULL);
  g_autofree char *outside = g_build_filename (fixture->directory, "outside.json", NULL),
                  *manifest = fixture_path (fixture, "00000001/manifest.json");
  g_assert_true (g_file_set_contents (outside, text, -1, NULL));
  directory_remove (fixture, "00000001/manifest.json");
  g_assert_cmpint (symlink (outside, manifest), ==, 0);
  fixture_open (fixture);
  g_assert_cmpuint (fixture_count (fixture), ==, 1);
  g_assert_true (fixture_reports (fixture, "00000001/manifest.json", "not listed"));
}

static void
test_huge_files_are_refused (Fixture *fixture, const void *data)
{
  static const char *const names[] = { "00000001/manifest.json", "history" };
  fixture_take_many (fixture, 2);
  fixture_close (fixture);
  catalog_drop (fixture);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = fixture_path (fixture, names[i]);
    fixture_put (fixture, names[i], "", 0);
    g_assert_cmpint (truncate (path, (off_t)1 << 40), ==, 0);
    fixture_open (fixture);
    g_assert_true (fixture_reports (fixture, names[i], "too large"));
    fixture_close (fixture);
  }
}

/* Whatever byte rots in any of the files: no crash, it is said, and what is listed is right. */
static void
test_rot_anywhere_never_crashes (Fixture *fixture, const void *data)
{
  static const char *const names[] = { "history", "00000002/manifest.json", "00000002/domain.xml" };
  fixture_take_many (fixture, 3);
  fixture_close (fixture);
  for (guint i = 0; i < 120; i++) {
    gsize length = 0;
    const char *name = names[i % G_N_ELEMENTS (names)];
    g_autofree char *text = fixture_get (fixture, name, &length);
    g_autofree char *rotten = g_memdup2 (text, length);
    rotten[g_test_rand_int_range (0, (gint32)length)] ^= (char)(1 << g_test_rand_int_range (0, 8));
    fixture_put (fixture, name, rotten, length);
    if (g_test_rand_bit ())
      catalog_drop (fixture);
    fixture_open (fixture);
    bool said = fixture_problems (fixture) > 0;
    for (guint64 n = 1; n <= 3; n++)
      said |= !pool_verify (fixture->pool, DOMAIN, n, false, NULL, NULL, NULL);
    g_assert_true (said);
    g_autoptr (GPtrArray) listed = pool_snapshots (fixture->pool, DOMAIN);
    for (guint k = 0; k < listed->len; k++)
      fixture_check_content (fixture, ((Snapshot *)listed->pdata[k])->manifest->number);
    fixture_close (fixture);
    fixture_put (fixture, name, text, length);
    g_autofree char *history = i % G_N_ELEMENTS (names) == 0 ? g_strndup (text, length) : NULL;
    if (history != NULL)
      history_put (fixture, history, length);
  }
}

/* --- the catalog --- */

static void
test_damaged_catalog_is_set_aside_and_made_anew (Fixture *fixture, const void *data)
{
  g_autofree char *damaged = g_strconcat (fixture->catalog, ".damaged", NULL);
  fixture_take_many (fixture, 3);
  fixture_close (fixture);
  catalog_drop (fixture);
  g_autofree char *noise = g_strnfill (8192, 'x');
  g_assert_true (g_file_set_contents (fixture->catalog, noise, 8192, NULL));
  fixture_open (fixture);
  g_assert_true (fixture_reports (fixture, fixture->catalog, "made anew"));
  g_assert_cmpuint (fixture_count (fixture), ==, 3);
  g_assert_cmpint (access (damaged, F_OK), ==, 0);
  fixture_reopen (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
}

#define ADD(name)                                                                                            \
  g_test_add ("/pool-crash/" #name, Fixture, NULL, fixture_set_up, test_##name, fixture_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (draft_is_removed);
  ADD (create_line_without_directory_is_void);
  ADD (line_is_durable_and_the_draft_has_its_old_name);
  ADD (torn_last_line_is_cut_off_at_any_length);
  ADD (torn_last_line_of_zeros_is_cut_off);
  ADD (state_line_without_its_file_is_carried_out);
  ADD (prepared_maintenance_without_line_is_thrown_away);
  ADD (maintenance_without_its_last_line_is_done_again);
  ADD (half_removed_directory_is_removed_at_last);
  ADD (history_is_rotated_and_loses_nothing);
  ADD (edited_manifest_is_reported_and_not_listed);
  ADD (planted_directory_is_reported_and_not_listed);
  ADD (lost_directory_is_reported_until_a_scan);
  ADD (edited_history_is_reported_and_the_snapshots_stay);
  ADD (lost_history_is_reported_and_a_scan_adopts);
  ADD (history_put_back_to_an_older_state_shows);
  ADD (vanished_domain_shows_until_a_scan);
  ADD (damaged_snapshot_can_be_removed_on_purpose);
  ADD (edited_state_does_not_count);
  ADD (links_and_strange_names_are_ignored);
  ADD (manifest_that_is_a_link_is_not_followed);
  ADD (huge_files_are_refused);
  ADD (rot_anywhere_never_crashes);
  ADD (damaged_catalog_is_set_aside_and_made_anew);
  return g_test_run ();
}
