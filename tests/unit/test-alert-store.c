/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alerts on disk: told in order, once, and not forgotten before everybody has been told. */
#include "guardd/alert-store.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#define KEPT 5u

typedef struct {
  char *directory, *path;
  AlertStore *store;
} Fixture;

static const char *const channels[] = { "hook", NULL };

static void
set_up (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  fixture->directory = g_dir_make_tmp ("guardd-alerts-XXXXXX", &error);
  fixture->path = g_build_filename (fixture->directory, "alerts.sqlite", NULL);
  fixture->store = alert_store_open (fixture->path, KEPT, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *fixture, const void *data)
{
  alert_store_close (fixture->store);
  g_assert_cmpint (g_unlink (fixture->path), ==, 0);
  g_assert_cmpint (g_rmdir (fixture->directory), ==, 0);
  g_free (fixture->path);
  g_free (fixture->directory);
}

static char *
add (Fixture *fixture, guint number)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *id = g_strdup_printf ("id-%04u", number);
  g_autofree char *summary = g_strdup_printf ("summary %u", number);
  Alert alert = { .id = id,
                  .uuid = (char *)"uuid",
                  .domain = (char *)"web01",
                  .level = (char *)"warn",
                  .summary = summary,
                  .rollback = (char *)"",
                  .json = (char *)"{}",
                  .time_us = number };
  alert_store_add (fixture->store, &alert, channels, &error);
  g_assert_no_error (error);
  return g_steal_pointer (&id);
}

static void
add_many (Fixture *fixture, guint n, bool told)
{
  for (guint i = 0; i < n; i++) {
    g_autofree char *id = add (fixture, i);
    if (told)
      g_assert_true (alert_store_delivered (fixture->store, "hook", id, NULL));
  }
}

static guint
count (Fixture *fixture)
{
  g_autoptr (GPtrArray) all = alert_store_list (fixture->store, NULL, 1000, NULL);
  return all->len;
}

static void
test_incidents_that_it_knows (Fixture *fixture, const void *data)
{
  Alert alert = { .id = (char *)"id-0001",
                  .incident = (char *)"incident",
                  .uuid = (char *)"uuid",
                  .domain = (char *)"web01",
                  .level = (char *)"warn",
                  .summary = (char *)"summary",
                  .rollback = (char *)"",
                  .json = (char *)"{}" };
  bool told = true;
  g_assert_true (alert_store_knows (fixture->store, "incident", "warn", &told, NULL));
  g_assert_false (told);
  g_assert_true (alert_store_add (fixture->store, &alert, channels, NULL));
  g_assert_true (alert_store_resolve (fixture->store, "incident", "real", NULL, NULL));
  g_assert_true (alert_store_knows (fixture->store, "incident", "warn", &told, NULL));
  g_assert_true (told);
  g_assert_true (alert_store_knows (fixture->store, "another", "warn", &told, NULL));
  g_assert_false (told);
}

static void
test_rises_that_it_knows (Fixture *fixture, const void *data)
{
  static const char *const levels[] = { "warn", "critical" };
  bool told = true;
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    Alert alert = { .id = (char *)levels[i],
                    .incident = (char *)"incident",
                    .uuid = (char *)"uuid",
                    .domain = (char *)"web01",
                    .level = (char *)levels[i],
                    .summary = (char *)"summary",
                    .rollback = (char *)"",
                    .json = (char *)"{}" };
    g_assert_true (alert_store_knows (fixture->store, "incident", levels[i], &told, NULL));
    g_assert_false (told);
    g_assert_true (alert_store_add (fixture->store, &alert, channels, NULL));
    g_assert_true (alert_store_knows (fixture->store, "incident", levels[i], &told, NULL));
    g_assert_true (told);
  }
  g_assert_true (alert_store_knows (fixture->store, "incident", "warn", &told, NULL));
  g_assert_true (told);
}

static void
test_order (Fixture *fixture, const void *data)
{
  add_many (fixture, 3, false);
  for (guint i = 0; i < 3; i++) {
    g_autofree char *expected = g_strdup_printf ("id-%04u", i);
    guint attempts = 9;
    gint64 not_before = 9;
    g_autoptr (Alert) next = alert_store_next (fixture->store, "hook", &attempts, &not_before, NULL);
    g_assert_cmpstr (next->id, ==, expected);
    g_assert_cmpuint (attempts, ==, 0);
    g_assert_true (alert_store_delivered (fixture->store, "hook", next->id, NULL));
  }
  guint attempts;
  gint64 not_before;
  g_assert_null (alert_store_next (fixture->store, "hook", &attempts, &not_before, NULL));
}

static void
test_once (Fixture *fixture, const void *data)
{
  g_autofree char *first = add (fixture, 1);
  g_autofree char *again = add (fixture, 1);
  g_assert_cmpuint (count (fixture), ==, 1);
}

static void
test_forgotten (Fixture *fixture, const void *data)
{
  add_many (fixture, 20, true);
  g_assert_cmpuint (count (fixture), ==, KEPT);
}

static void
test_not_forgotten (Fixture *fixture, const void *data)
{
  add_many (fixture, 20, false);
  g_assert_cmpuint (count (fixture), ==, 20);
}

static void
refuse (Fixture *fixture, const char *id, guint expected)
{
  g_autoptr (GError) error = NULL;
  guint times = 0;
  alert_store_refused (fixture->store, "hook", id, 7, "no", &times, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (times, ==, expected);
}

static void
assert_next (Fixture *fixture, const char *expected, gint64 expected_not_before)
{
  guint attempts;
  gint64 not_before = 9;
  g_autoptr (Alert) next = alert_store_next (fixture->store, "hook", &attempts, &not_before, NULL);
  g_assert_cmpstr (next->id, ==, expected);
  g_assert_cmpint (not_before, ==, expected_not_before);
}

static void
test_refused (Fixture *fixture, const void *data)
{
  add_many (fixture, 2, false);
  alert_store_failed (fixture->store, "hook", "id-0000", 5, "away", NULL);
  assert_next (fixture, "id-0000", 5);
  refuse (fixture, "id-0000", 1);
  refuse (fixture, "id-0001", 1);
  assert_next (fixture, "id-0000", 7);
  refuse (fixture, "id-0000", 2);
  assert_next (fixture, "id-0001", 7);
  g_autofree char *later = add (fixture, 2);
  assert_next (fixture, later, 0);
}

/* No file of this process can grow. */
static void
test_full (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  struct rlimit was, none;
  add_many (fixture, 1, false);
  alert_store_close (fixture->store);
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &was), ==, 0);
  none = (struct rlimit){ 0, was.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &none), ==, 0);
  fixture->store = alert_store_open (fixture->path, KEPT, &error);
  bool written = fixture->store && alert_store_delivered (fixture->store, "hook", "id-0000", NULL);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &was), ==, 0);
  g_assert_no_error (error);
  g_assert_false (written);
  assert_next (fixture, "id-0000", 0);
  g_assert_true (alert_store_delivered (fixture->store, "hook", "id-0000", &error));
  g_autofree char *shared = g_strconcat (fixture->path, "-shm", NULL);
  g_unlink (shared); /* empty: it could not grow */
}

static void
test_broken (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *junk = g_strnfill (8192, 'x');
  alert_store_close (fixture->store);
  g_assert_true (g_file_set_contents (fixture->path, junk, -1, NULL));
  fixture->store = alert_store_open (fixture->path, KEPT, &error);
  g_assert_null (fixture->store);
  g_assert_nonnull (strstr (error->message, "move it away"));
  g_clear_error (&error);
  g_assert_null (alert_store_open ("/nonexistent/alerts.sqlite", KEPT, &error));
  g_assert_null (strstr (error->message, "move it away"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add ("/alert-store/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("told in order", test_order);
  ADD ("the same alert is stored once", test_once);
  ADD ("old ones that were told are forgotten", test_forgotten);
  ADD ("none is forgotten before it was told", test_not_forgotten);
  ADD ("what is refused comes after all others", test_refused);
  ADD ("a full disk keeps nobody from reading it", test_full);
  ADD ("only what is broken is to be moved away", test_broken);
  ADD ("incidents that were told are known", test_incidents_that_it_knows);
  ADD ("an incident that has risen is not known at its new level", test_rises_that_it_knows);
  return g_test_run ();
}
