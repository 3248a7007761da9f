/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that a guest chose, fit to be told. */
#include "base/text.h"
#include "inspector/text.h"

#include <string.h>

static char *
repeated (const char *head, const char *piece, guint n)
{
  GString *text = g_string_new (head);
  for (guint i = 0; i < n; i++)
    g_string_append (text, piece);
  return g_string_free (text, FALSE);
}

static void
assert_line (const char *text, gsize most, const char *expected)
{
  g_autofree char *line = text_to_line (text, most);
  g_assert_cmpstr (line, ==, expected);
}

static void
test_line (void)
{
  assert_line ("p1: was ext4", 12, "p1: was ext4");
  assert_line ("a\nb\tc\x1b[2J\x7f\xe2\x80\xae!", 40, "a b c [2J  !");
  assert_line ("\xff"
               "a",
               40,
               "\xef\xbf\xbd"
               "a");
  assert_line ("", 3, "");
}

static void
test_line_cut (void)
{
  assert_line ("0123456789", 10, "0123456789");
  assert_line ("0123456789a", 10, "0123456…");
  assert_line ("€€€€", 12, "€€€€");
  assert_line ("€€€€", 11, "€€…");
  assert_line ("€€€€", 10, "€€…");
  assert_line ("€€€€", 9, "€€…");
  assert_line ("abcd", 3, "…");
}

/* The longest path, and longer, of anything. */
static void
test_path_cut (void)
{
  static const char *const pieces[] = { "x", "\x01", "\"", "\\", "ä", "€", "\xff" };
  for (guint i = 0; i < G_N_ELEMENTS (pieces); i++)
    for (guint head = 0; head < 4; head++) {
      g_autofree char *path = repeated (&"xxx"[3 - head], pieces[i], 5000);
      json_object *json = text_to_json (path);
      const char *text = json_object_get_string (json);
      g_assert_cmpuint (strlen (text), <=, 1024);
      g_assert_cmpuint (strlen (text), >=, 1018);
      g_assert_true (g_utf8_validate (text, -1, NULL) && g_str_has_suffix (text, "…"));
      json_object *again = text_to_json (text); /* an inspector compares what it has told */
      g_assert_cmpstr (json_object_get_string (again), ==, text);
      json_object_put (again);
      json_object_put (json);
    }
}

static void
test_path_whole (void)
{
  g_autofree char *path = repeated ("/", "x", 1023);
  json_object *json = text_to_json (path);
  g_assert_cmpstr (json_object_get_string (json), ==, path);
  json_object_put (json);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/text/a line is valid, and printable", test_line);
  g_test_add_func ("/text/a line is cut between characters", test_line_cut);
  g_test_add_func ("/text/a path of the inspector has a bound", test_path_cut);
  g_test_add_func ("/text/a path of 1 KiB is told whole", test_path_whole);
  return g_test_run ();
}
