/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must be so without any LVM: names that are refused, a helper that dies, hangs or babbles. */
#include "lvm/client.h"
#include "lvm/names.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

static void
test_names (void)
{
  static const char *const good[] = { "vg0", "v-g.0+x", "a", "+a", "_b.c", "guardd-1234-00000001-vda" };
  static const char *const bad[]
      = { "", "-a", ".", "..", "a b", "a/b", "a\"b", "a'b", "a;b", "a\\b", "a\nb", "ä", "a@b", "a{b" };
  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (lvm_name_is_valid (good[i]));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (lvm_name_is_valid (bad[i]));
  g_assert_false (lvm_name_is_valid (NULL));
  g_autofree char *dashes = g_strnfill (60, '-'), *long_name = g_strconcat ("a", dashes, NULL);
  g_assert_true (lvm_names_fit ("vg", "a"));
  g_assert_false (lvm_names_fit ("vg", long_name)); /* 121 when its dashes are doubled */
}

/* A helper made of a shell script: says `answer` to every line, or does something else. */
static LvmClient *
client_of_script (const char *directory, const char *script)
{
  g_autofree char *path = g_build_filename (directory, "helper", NULL);
  g_autofree char *text = g_strconcat ("#!/bin/bash\n", script, "\n", NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_chmod (path, 0755);
  return lvm_client_new (path, "vg", directory);
}

static json_object *
request (const char *op)
{
  json_object *object = json_object_new_object ();
  json_object_object_add (object, "op", json_object_new_string (op));
  return object;
}

static char *
directory_new (void)
{
  g_autoptr (GError) error = NULL;
  char *directory = g_dir_make_tmp ("guardd-lvm-XXXXXX", &error);
  g_assert_no_error (error);
  return directory;
}

static void
directory_remove (char *directory)
{
  g_autofree char *path = g_build_filename (directory, "helper", NULL);
  g_unlink (path);
  g_rmdir (directory);
  g_free (directory);
}

static void
expect_lost (const char *script, const char *op, guint deadline_ms)
{
  g_autoptr (GError) error = NULL;
  char *directory = directory_new ();
  g_autoptr (LvmClient) client = client_of_script (directory, script);
  g_assert_false (lvm_client_ask (client, request (op), deadline_ms, NULL, &error));
  g_assert_error (error, LVM_ERROR, LVM_ERROR_LOST);
  g_assert_cmpint (lvm_client_pid (client), ==, 0);
  directory_remove (directory);
}

static void
test_death_is_an_error (void)
{
  expect_lost ("read -r -u 3 line; exit 0", "report", 5000);
  expect_lost ("read -r -u 3 line; kill -9 $$", "report", 5000);
}

static void
test_nonsense_is_an_error (void)
{
  expect_lost ("while read -r -u 3 line; do echo hello >&3; done", "report", 5000);
  expect_lost ("while read -r -u 3 line; do echo '[1]' >&3; done", "report", 5000);
}

static void
test_late_one_is_ended (void)
{
  gint64 begin = g_get_monotonic_time ();
  expect_lost (
      "while read -r -u 3 line; do case $line in *settle*) echo '{\"ok\": true}' >&3;; *) read -r -u 3 "
      "forever;; esac; done",
      "activate", 300);
  g_assert_cmpint (g_get_monotonic_time () - begin, <, 5 * G_USEC_PER_SEC);
}

static void
test_another_takes_its_place (void)
{
  g_autoptr (GError) error = NULL;
  char *directory = directory_new ();
  g_autoptr (LvmClient) client
      = client_of_script (directory, "while read -r -u 3 line; do echo '{\"ok\": true}' >&3; done");
  g_assert_true (lvm_client_ask (client, request ("report"), 5000, NULL, &error));
  int first = lvm_client_pid (client);
  kill (first, SIGKILL);
  /* Either it is found dead, or it dies of this request; then the next one has another. */
  if (!lvm_client_ask (client, request ("report"), 5000, NULL, NULL))
    g_assert_true (lvm_client_ask (client, request ("report"), 5000, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (lvm_client_pid (client), !=, first);
  directory_remove (directory);
}

static void
test_refusal_has_its_words (void)
{
  g_autoptr (GError) error = NULL;
  char *directory = directory_new ();
  g_autoptr (LvmClient) client = client_of_script (
      directory, "while read -r -u 3 line; do case $line in *settle*) echo '{\"ok\": true}' >&3;; "
                 "*) echo '{\"ok\": false, \"error\": \"no such group\"}' >&3;; esac; done");
  g_assert_false (lvm_client_ask (client, request ("report"), 5000, NULL, &error));
  g_assert_error (error, LVM_ERROR, LVM_ERROR_REFUSED);
  g_assert_cmpstr (error->message, ==, "no such group");
  g_assert_cmpint (lvm_client_pid (client), !=, 0);
  directory_remove (directory);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lvm-client/names-that-need-quotes-are-refused", test_names);
  g_test_add_func ("/lvm-client/a-helper-that-dies-is-an-error", test_death_is_an_error);
  g_test_add_func ("/lvm-client/a-helper-that-babbles-is-ended", test_nonsense_is_an_error);
  g_test_add_func ("/lvm-client/a-helper-that-hangs-is-ended-at-its-deadline", test_late_one_is_ended);
  g_test_add_func ("/lvm-client/another-takes-the-place-of-a-dead-one", test_another_takes_its_place);
  g_test_add_func ("/lvm-client/a-refusal-has-lvms-words", test_refusal_has_its_words);
  return g_test_run ();
}
