/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guardd/catalog.h"

#include "base/files.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#define POOL "aaaaaaaa-0000-0000-0000-000000000000"
#define OTHER_POOL "bbbbbbbb-0000-0000-0000-000000000000"

typedef struct {
  char *directory, *path;
  Catalog *catalog;
} Fixture;

static Catalog *
open_pool (Fixture *fixture, const char *pool_id, char **problem)
{
  g_autoptr (GError) error = NULL;
  Catalog *catalog = catalog_open (fixture->path, pool_id, problem, &error);
  g_assert_no_error (error);
  return catalog;
}

static void
open_again (Fixture *fixture)
{
  char *problem = NULL;
  g_clear_pointer (&fixture->catalog, catalog_close);
  fixture->catalog = open_pool (fixture, POOL, &problem);
  g_assert_null (problem);
}

static void
set_up (Fixture *fixture, const void *data)
{
  fixture->directory = g_dir_make_tmp ("guardd-catalog-XXXXXX", NULL);
  fixture->path = g_build_filename (fixture->directory, "catalog.sqlite", NULL);
  open_again (fixture);
}

static void
tear_down (Fixture *fixture, const void *data)
{
  catalog_close (fixture->catalog);
  g_assert_true (files_remove_tree (AT_FDCWD, fixture->directory, NULL));
  g_free (fixture->directory);
  g_free (fixture->path);
}

static void
put (Catalog *catalog, const char *domain, guint64 number, const char *manifest, const char *state)
{
  g_autoptr (GError) error = NULL;
  CatalogRow row = { .number = number,
                     .manifest = (char *)manifest,
                     .manifest_stamp = "stamp",
                     .state = (char *)state,
                     .state_stamp = state ? "state stamp" : NULL };
  catalog_put (catalog, domain, &row, &error);
  g_assert_no_error (error);
}

static guint
count (Catalog *catalog, const char *domain)
{
  g_autoptr (GHashTable) rows = catalog_load (catalog, domain);
  return g_hash_table_size (rows);
}

/* --- */

static void
test_rows_come_back (Fixture *fixture, const void *data)
{
  put (fixture->catalog, "d1", 1, "{\"a\": 1}", NULL);
  put (fixture->catalog, "d1", 2, "{}", "{\"hold\": null}");
  put (fixture->catalog, "d2", 1, "other", NULL);
  put (fixture->catalog, "d1", 2, "newer", NULL);
  open_again (fixture);
  g_autoptr (GHashTable) rows = catalog_load (fixture->catalog, "d1");
  guint64 one = 1, two = 2;
  const CatalogRow *row = g_hash_table_lookup (rows, &one), *second = g_hash_table_lookup (rows, &two);
  g_assert_cmpuint (g_hash_table_size (rows), ==, 2);
  g_assert_cmpstr (row->manifest, ==, "{\"a\": 1}");
  g_assert_cmpstr (row->manifest_stamp, ==, "stamp");
  g_assert_null (row->state);
  g_assert_cmpstr (second->manifest, ==, "newer");
}

static void
test_removed_rows_are_gone (Fixture *fixture, const void *data)
{
  put (fixture->catalog, "d1", 1, "{}", NULL);
  put (fixture->catalog, "d1", 2, "{}", NULL);
  g_assert_true (catalog_remove (fixture->catalog, "d1", 1, NULL));
  g_assert_true (catalog_remove (fixture->catalog, "d1", 7, NULL));
  g_assert_cmpuint (count (fixture->catalog, "d1"), ==, 1);
}

static void
test_pools_share_a_file_and_nothing_else (Fixture *fixture, const void *data)
{
  char *problem = NULL;
  HistoryHead head = { .n = 5 }, found;
  Catalog *other = open_pool (fixture, OTHER_POOL, &problem);
  put (fixture->catalog, "d1", 1, "mine", NULL);
  put (other, "d1", 1, "theirs", NULL);
  g_assert_true (catalog_put_head (other, "d1", &head, NULL));
  g_assert_false (catalog_get_head (fixture->catalog, "d1", &found));
  g_assert_true (catalog_clear (fixture->catalog, NULL));
  g_assert_cmpuint (count (fixture->catalog, "d1"), ==, 0);
  g_assert_cmpuint (count (other, "d1"), ==, 1);
  catalog_close (other);
}

static void
test_heads_outlive_a_clearing (Fixture *fixture, const void *data)
{
  HistoryHead head = { .n = 7 }, found = { 0 };
  memset (head.hash, 0x5a, sizeof head.hash);
  g_assert_true (catalog_put_head (fixture->catalog, "d1", &head, NULL));
  g_assert_true (catalog_clear (fixture->catalog, NULL));
  open_again (fixture);
  g_assert_true (catalog_get_head (fixture->catalog, "d1", &found));
  g_assert_cmpuint (found.n, ==, 7);
  g_assert_cmpmem (found.hash, sizeof found.hash, head.hash, sizeof head.hash);
}

static void
test_one_transaction_holds_many_rows (Fixture *fixture, const void *data)
{
  g_assert_true (catalog_begin (fixture->catalog, NULL));
  for (guint64 i = 1; i <= 500; i++)
    put (fixture->catalog, "d1", i, "{}", NULL);
  g_assert_true (catalog_commit (fixture->catalog, NULL));
  g_assert_cmpuint (count (fixture->catalog, "d1"), ==, 500);
}

static void
test_stamp_changes_with_the_file (Fixture *fixture, const void *data)
{
  struct stat st;
  g_autofree char *file = g_build_filename (fixture->directory, "file", NULL);
  g_assert_true (g_file_set_contents (file, "one", -1, NULL));
  g_assert_cmpint (stat (file, &st), ==, 0);
  g_autofree char *one = catalog_stamp (&st), *same = catalog_stamp (&st);
  g_assert_cmpstr (one, ==, same);
  g_assert_true (g_file_set_contents (file, "two", -1, NULL));
  g_assert_cmpint (stat (file, &st), ==, 0);
  g_autofree char *two = catalog_stamp (&st);
  g_assert_cmpstr (one, !=, two);
}

/* Whatever is damaged: it can be opened, used without a crash, and where it is found it is said. */
static void
test_damage_never_stops_the_daemon (Fixture *fixture, const void *data)
{
  g_autofree char *whole = NULL;
  gsize length = 0;
  guint replaced = 0;
  for (guint64 i = 1; i <= 50; i++)
    put (fixture->catalog, "d1", i, "{\"some\": \"text\"}", NULL);
  g_clear_pointer (&fixture->catalog, catalog_close);
  g_assert_true (g_file_get_contents (fixture->path, &whole, &length, NULL));
  for (guint round = 0; round < 60; round++) {
    g_autofree char *damaged = g_memdup2 (whole, length);
    g_autofree char *problem = NULL;
    for (int n = g_test_rand_int_range (1, 20); n > 0; n--)
      damaged[g_test_rand_int_range (0, round % 2 ? 200 : (gint32)length)] = (char)g_test_rand_int ();
    g_assert_true (g_file_set_contents (fixture->path, damaged, (gssize)length, NULL));
    fixture->catalog = open_pool (fixture, POOL, &problem);
    replaced += problem != NULL;
    CatalogRow row = { .number = 1, .manifest = (char *)"after", .manifest_stamp = (char *)"stamp" };
    bool entered = catalog_put (fixture->catalog, "d2", &row, NULL);
    g_assert_true (entered || problem == NULL);
    g_assert_cmpuint (count (fixture->catalog, "d1"), <=, 50);
    g_clear_pointer (&fixture->catalog, catalog_close);
  }
  g_assert_cmpuint (replaced, >, 0);
}

static void
test_file_that_cannot_be_made_is_an_error (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  char *problem = NULL;
  g_autofree char *path = g_build_filename (fixture->directory, "missing", "catalog.sqlite", NULL);
  g_assert_null (catalog_open (path, POOL, &problem, &error));
  g_assert_nonnull (strstr (error->message, path));
  g_assert_null (problem);
}

#define ADD(name) g_test_add ("/catalog/" #name, Fixture, NULL, set_up, test_##name, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (rows_come_back);
  ADD (removed_rows_are_gone);
  ADD (pools_share_a_file_and_nothing_else);
  ADD (heads_outlive_a_clearing);
  ADD (one_transaction_holds_many_rows);
  ADD (stamp_changes_with_the_file);
  ADD (damage_never_stops_the_daemon);
  ADD (file_that_cannot_be_made_is_an_error);
  return g_test_run ();
}
