/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guardd/history.h"

#include "base/files.h"
#include "base/json.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <openssl/sha.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  char *directory, *path;
  int fd;
  History *history;
  GPtrArray *problems, *ops; /* of the last opening */
} Fixture;

static void
note_op (json_object *line, void *opaque, char **problem)
{
  Fixture *fixture = opaque;
  const char *op = "?";
  json_opt_string (line, "op", &op, NULL);
  g_ptr_array_add (fixture->ops, g_strdup (op));
  if (strcmp (op, "nonsense") == 0)
    *problem = g_strdup ("makes no sense");
}

static void
open_again (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_clear_pointer (&fixture->history, history_close);
  g_ptr_array_set_size (fixture->problems, 0);
  g_ptr_array_set_size (fixture->ops, 0);
  fixture->history = history_open (fixture->fd, note_op, fixture, fixture->problems, &error);
  g_assert_no_error (error);
}

static void
set_up (Fixture *fixture, const void *data)
{
  fixture->directory = g_dir_make_tmp ("guardd-history-XXXXXX", NULL);
  fixture->path = g_build_filename (fixture->directory, HISTORY_FILE, NULL);
  fixture->fd = open (fixture->directory, O_RDONLY | O_DIRECTORY);
  fixture->problems = g_ptr_array_new_with_free_func (g_free);
  fixture->ops = g_ptr_array_new_with_free_func (g_free);
  open_again (fixture);
}

static void
tear_down (Fixture *fixture, const void *data)
{
  history_close (fixture->history);
  close (fixture->fd);
  g_assert_true (files_remove_tree (AT_FDCWD, fixture->directory, NULL));
  g_ptr_array_unref (fixture->problems);
  g_ptr_array_unref (fixture->ops);
  g_free (fixture->directory);
  g_free (fixture->path);
}

static void
append (Fixture *fixture, const char *op, guint64 number)
{
  g_autoptr (GError) error = NULL;
  json_object *members = json_object_new_object ();
  json_add_u64 (members, "snapshot", number);
  json_add_string (members, "path", "a/b \"c\"\n\xc3\xa4");
  g_assert_nonnull (history_append (fixture->history, op, members, &error));
  g_assert_no_error (error);
  g_assert_true (history_sync (fixture->history, NULL));
}

static bool
verifies (Fixture *fixture, GError **error)
{
  HistoryHead head;
  g_autofree char *path = NULL;
  g_autoptr (GBytes) content = history_read (fixture->history, &head, &path, error);
  return content != NULL && history_check (content, &head, path, error);
}

static char *
text_get (Fixture *fixture, gsize *length)
{
  char *text = NULL;
  g_assert_true (g_file_get_contents (fixture->path, &text, length, NULL));
  return text;
}

static void
text_put (Fixture *fixture, const char *text, gsize length)
{
  g_assert_true (g_file_set_contents (fixture->path, text, (gssize)length, NULL));
}

/* --- */

static void
test_lines_are_read_back_in_order (Fixture *fixture, const void *data)
{
  g_assert_true (history_is_new (fixture->history));
  append (fixture, "create", 1);
  append (fixture, "state", 1);
  append (fixture, "create", 2);
  g_assert_true (verifies (fixture, NULL));
  open_again (fixture);
  g_assert_cmpuint (fixture->problems->len, ==, 0);
  g_assert_cmpuint (fixture->ops->len, ==, 3);
  g_assert_cmpstr (fixture->ops->pdata[1], ==, "state");
  g_assert_false (history_is_new (fixture->history));
  append (fixture, "create", 3);
  open_again (fixture);
  g_assert_cmpuint (fixture->problems->len, ==, 0);
  g_assert_true (verifies (fixture, NULL));
}

/* As the header documents it, by hand. */
static void
test_hashes_are_what_the_format_says (Fixture *fixture, const void *data)
{
  g_autofree char *prev = g_strnfill (64, '0');
  append (fixture, "create", 1);
  append (fixture, "create", 2);
  g_autofree char *text = text_get (fixture, NULL);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), ==, 3);
  for (guint i = 0; i < 2; i++) {
    g_autofree char *expected_prev = g_strdup_printf ("\"prev\":\"%s\"", prev);
    char *tail = strstr (lines[i], ",\"hash\":\"");
    g_assert_nonnull (strstr (lines[i], expected_prev));
    g_free (prev);
    prev = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (guint8 *)lines[i], (gsize)(tail - lines[i]));
    g_autofree char *expected_tail = g_strdup_printf (",\"hash\":\"%s\"}", prev);
    g_assert_cmpstr (tail, ==, expected_tail);
  }
}

static void
test_every_changed_byte_shows (Fixture *fixture, const void *data)
{
  gsize length = 0;
  for (guint64 i = 1; i <= 4; i++)
    append (fixture, "create", i);
  g_autofree char *text = text_get (fixture, &length);
  for (gsize at = 0; at < length; at++) {
    g_autoptr (GError) error = NULL;
    text[at] ^= (char)(1 << (at % 8));
    text_put (fixture, text, length);
    g_assert_false (verifies (fixture, &error));
    g_assert_nonnull (strstr (error->message, fixture->path));
    text[at] ^= (char)(1 << (at % 8));
  }
  text_put (fixture, text, length);
  g_assert_true (verifies (fixture, NULL));
}

static void
test_removed_inserted_and_swapped_lines_show (Fixture *fixture, const void *data)
{
  for (guint64 i = 1; i <= 4; i++)
    append (fixture, "create", i);
  g_autofree char *text = text_get (fixture, NULL);
  g_auto (GStrv) l = g_strsplit (text, "\n", -1);
  g_autofree char *wrong[] = {
    g_strjoin ("\n", l[1], l[2], l[3], "", NULL),             /* first removed */
    g_strjoin ("\n", l[0], l[2], l[3], "", NULL),             /* one in the middle removed */
    g_strjoin ("\n", l[0], l[2], l[1], l[3], "", NULL),       /* swapped */
    g_strjoin ("\n", l[0], l[1], l[1], l[2], l[3], "", NULL), /* one twice */
    g_strjoin ("\n", l[0], "{}", l[1], l[2], l[3], "", NULL), /* put in */
    g_strjoin ("\n", l[0], "", l[1], l[2], l[3], "", NULL),   /* an empty one */
    g_strjoin ("\n", l[0], l[1], l[2], "", NULL),             /* last removed: only the head shows it */
  };
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    text_put (fixture, wrong[i], strlen (wrong[i]));
    g_assert_false (verifies (fixture, NULL));
    g_clear_pointer (&wrong[i], g_free);
  }
}

static void
test_problems_name_the_line_and_reading_goes_on (Fixture *fixture, const void *data)
{
  gsize length = 0;
  for (guint64 i = 1; i <= 4; i++)
    append (fixture, "create", i);
  g_autofree char *text = text_get (fixture, &length);
  *strstr (text, "\"snapshot\":2") = '\'';
  text_put (fixture, text, length);
  open_again (fixture);
  g_assert_cmpuint (fixture->ops->len, ==, 3);
  g_assert_cmpuint (fixture->problems->len, ==, 2);
  g_assert_nonnull (strstr (fixture->problems->pdata[0], "history: line 2:"));
  append (fixture, "create", 5);
  open_again (fixture);
  g_assert_cmpuint (fixture->ops->len, ==, 4);
  g_assert_cmpuint (fixture->problems->len, ==, 2);
}

static void
test_a_line_that_makes_no_sense_is_a_problem (Fixture *fixture, const void *data)
{
  append (fixture, "create", 1);
  append (fixture, "nonsense", 1);
  open_again (fixture);
  g_assert_cmpuint (fixture->problems->len, ==, 1);
  g_assert_nonnull (strstr (fixture->problems->pdata[0], "line 2: makes no sense"));
}

static void
test_torn_line_is_found_and_can_be_dropped (Fixture *fixture, const void *data)
{
  gsize length = 0;
  append (fixture, "create", 1);
  gsize whole = history_size (fixture->history);
  append (fixture, "create", 2);
  g_autofree char *text = text_get (fixture, &length);
  for (gsize cut = whole + 1; cut < length; cut++) {
    text_put (fixture, text, cut);
    open_again (fixture);
    g_assert_true (history_is_torn (fixture->history));
    g_assert_cmpuint (fixture->ops->len, ==, 1);
    g_assert_true (history_drop_torn (fixture->history, NULL));
    append (fixture, "create", 2);
    g_assert_true (verifies (fixture, NULL));
  }
}

static void
test_appending_behind_a_damaged_end_starts_a_line_of_its_own (Fixture *fixture, const void *data)
{
  gsize length = 0;
  append (fixture, "create", 1);
  append (fixture, "create", 2);
  g_autofree char *text = text_get (fixture, &length);
  text_put (fixture, text, length - 10);
  open_again (fixture);
  append (fixture, "create", 3);
  open_again (fixture);
  g_assert_cmpuint (fixture->ops->len, ==, 2);
  g_assert_false (history_is_torn (fixture->history));
}

static void
test_taken_back_line_was_never_there (Fixture *fixture, const void *data)
{
  gsize before = 0, after = 0;
  append (fixture, "create", 1);
  g_autofree char *text = text_get (fixture, &before);
  g_assert_nonnull (history_append (fixture->history, "create", json_object_new_object (), NULL));
  history_take_back (fixture->history);
  g_autofree char *again = text_get (fixture, &after);
  g_assert_cmpmem (text, before, again, after);
  append (fixture, "create", 2);
  g_assert_true (verifies (fixture, NULL));
}

static void
test_rotation_keeps_the_chain (Fixture *fixture, const void *data)
{
  HistoryHead before;
  guint8 hash[HISTORY_HASH_SIZE];
  g_autofree char *old = g_strconcat (fixture->path, ".old", NULL);
  for (guint64 i = 1; i <= 3; i++)
    append (fixture, "create", i);
  history_head (fixture->history, &before);
  g_assert_nonnull (history_rotate (fixture->history, "checkpoint", json_object_new_object (), NULL));
  append (fixture, "create", 4);
  g_assert_true (verifies (fixture, NULL));
  g_assert_cmpint (access (old, F_OK), ==, 0);
  open_again (fixture);
  g_assert_cmpuint (fixture->problems->len, ==, 0);
  g_assert_cmpuint (fixture->ops->len, ==, 2);
  HistoryHead head;
  history_head (fixture->history, &head);
  g_assert_cmpuint (head.n, ==, before.n + 2);
  g_assert_true (history_hash_of (fixture->history, 5, hash));
  g_assert_cmpmem (hash, sizeof hash, head.hash, sizeof head.hash);
  g_assert_false (history_hash_of (fixture->history, 3, hash));
  g_assert_false (history_hash_of (fixture->history, 6, hash));
}

static void
test_random_bytes_are_no_history (Fixture *fixture, const void *data)
{
  for (guint round = 0; round < 200; round++) {
    gsize length = (gsize)g_test_rand_int_range (1, 3000);
    g_autofree char *noise = g_malloc (length);
    for (gsize i = 0; i < length; i++)
      noise[i] = (char)g_test_rand_int ();
    text_put (fixture, noise, length);
    open_again (fixture);
    g_assert_cmpuint (fixture->ops->len, ==, 0);
    g_assert_true (fixture->problems->len > 0 || history_is_torn (fixture->history));
  }
}

#define ADD(name) g_test_add ("/history/" #name, Fixture, NULL, set_up, test_##name, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (lines_are_read_back_in_order);
  ADD (hashes_are_what_the_format_says);
  ADD (every_changed_byte_shows);
  ADD (removed_inserted_and_swapped_lines_show);
  ADD (problems_name_the_line_and_reading_goes_on);
  ADD (a_line_that_makes_no_sense_is_a_problem);
  ADD (torn_line_is_found_and_can_be_dropped);
  ADD (appending_behind_a_damaged_end_starts_a_line_of_its_own);
  ADD (taken_back_line_was_never_there);
  ADD (rotation_keeps_the_chain);
  ADD (random_bytes_are_no_history);
  return g_test_run ();
}
