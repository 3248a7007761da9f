/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which files the inspector looks into, and what it makes of their first bytes. */
#include "inspector/kind.h"
#include "inspector/modified.h"

#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- kinds --- */

static void
check_kind (const char *path, const char *head, size_t length, bool kept)
{
  g_test_message ("%s", path);
  g_assert_true (kind_is_kept (path, (const unsigned char *)head, length) == kept);
}

static void
test_kinds (void)
{
  static const char jpeg[] = "\xff\xd8\xff\xe0 and so on", zip[] = "PK\x03\x04 and so on",
                    ole[] = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
                    text[] = "To whom it may concern\r\n\t\xe4\xf6\xfc", pdf[] = "\n\n%PDF-1.7";
  char tar[512] = "name", noise[512], zeros[512] = "";
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  for (size_t i = 0; i < sizeof noise; i++)
    noise[i] = (char)g_rand_int (rand);
  memcpy (tar + 257, "ustar", 5);
  check_kind ("/a.jpg", jpeg, sizeof jpeg, true);
  check_kind ("/A.PNG", jpeg, sizeof jpeg, true); /* an image all the same */
  check_kind ("/a.docx", zip, sizeof zip, true);
  check_kind ("/a.docx", ole, sizeof ole, true); /* with a password */
  check_kind ("/a.doc", text, sizeof text - 1, true);
  check_kind ("/a.pdf", pdf, sizeof pdf, true);
  check_kind ("/a.tar", tar, sizeof tar, true);
  check_kind ("/a.txt", text, sizeof text - 1, true);
  check_kind ("/a.pdf", jpeg, sizeof jpeg, false);
  check_kind ("/a.jpg", "\xff\xd8", 2, false); /* cut off */
  check_kind ("/a.bin", noise, sizeof noise, true);
  for (const char *const *path = (const char *const[]){ "/a.jpg", "/a.pdf", "/a.docx", "/a.tar", "/a.sqlite",
                                                        "/a.mp4", "/a.txt", "/a.exe", NULL };
       *path; path++) {
    g_assert_true (kind_is_promised (*path));
    check_kind (*path, noise, sizeof noise, false);
    check_kind (*path, zeros, sizeof zeros, false);
  }
  g_assert_false (kind_is_promised ("/var/log/syslog"));
  g_assert_false (kind_is_promised ("/a.jpg/none"));
}

/* --- modified files --- */

static gzFile
list_of (const char *text)
{
  int fd = memfd_create ("list", MFD_CLOEXEC);
  g_assert_cmpint (write (fd, text, strlen (text)), ==, (gssize)strlen (text));
  g_assert_cmpint (lseek (fd, 0, SEEK_SET), ==, 0);
  return gzdopen (fd, "rb");
}

static void
meet (struct modified *modified, const char *path, uint64_t size, int64_t mtime, int64_t ctime)
{
  struct inventory_file file = { .type = 'f', .size = size, .mtime = mtime, .ctime = ctime };
  modified_meet (modified, path, &file);
}

static char *
chosen (const struct modified *modified)
{
  size_t n = 0;
  char *const *paths = modified_paths (modified, &n);
  GString *text = g_string_new (NULL);
  for (size_t i = 0; i < n; i++)
    g_string_append_printf (text, "%s ", paths[i]);
  return g_string_free (text, FALSE);
}

static void
check_chosen (const struct modified *modified, const char *expected)
{
  g_autofree char *paths = chosen (modified);
  g_assert_cmpstr (paths, ==, expected);
}

static void
test_modified (void)
{
  gzFile older = list_of (
      "guardd-inventory 1\nfs /dev/sda ext4 /\n"
      "f /a.jpg f 100 5 0 1 7\nf /b.jpg f 100 5 0 2 7\nf /c.jpg f 100 5 0 3 7\nf /d f 100 5 0 4 7\n"
      "f /e.jpg f 100 5 0 5 7\nf /f.jpg f 10 5 0 6 7\nf /g.jpg l 100 5 0 7 7\nf /h.jpg f 100 5 0 8\n"
      "fs /dev/sdb ext4 -\nf /a.jpg f 100 5 0 1 7\nfs /dev/sdd ext4 -\nf /a.jpg f 100 5 0 1 7\n"
      "end 10\n");
  struct modified *modified = modified_new (older);
  g_assert_nonnull (modified);
  modified_begin (modified, "/dev/sda", 100);
  meet (modified, "/a.jpg", 100, 5, 7);   /* the same */
  meet (modified, "/aa.jpg", 100, 9, 9);  /* new */
  meet (modified, "/b.jpg", 100, 5, 8);   /* its time was set back */
  meet (modified, "/d", 100, 9, 9);       /* promises nothing; /c.jpg is gone */
  meet (modified, "/e.jpg", 200, 5, 7);   /* grown */
  meet (modified, "/f.jpg", 11, 9, 9);    /* says too little */
  meet (modified, "/g.jpg", 100, 9, 9);   /* was a link */
  meet (modified, "/h.jpg", 100, 5, 9);   /* an old list without ctime */
  meet (modified, "/zzz.jpg", 100, 9, 9); /* behind the end */
  check_chosen (modified, "/b.jpg /e.jpg ");
  modified_begin (modified, "/dev/sdc", 100); /* was not there; /dev/sdb is not any more */
  meet (modified, "/a.jpg", 100, 9, 9);
  check_chosen (modified, "");
  modified_begin (modified, "/dev/sdd", 0);
  meet (modified, "/a.jpg", 100, 9, 9);
  check_chosen (modified, "");
  modified_begin (modified, "/dev/sde", 100);
  meet (modified, "/a.jpg", 100, 9, 9);
  check_chosen (modified, "");
  modified_free (modified);
  gzclose (older);
}

/* Of a thousand, ten at most, and not just the first ones. */
static void
test_sample (void)
{
  GString *text = g_string_new ("guardd-inventory 1\nfs /dev/sda ext4 /\n");
  guint late = 0;
  for (guint i = 0; i < 1000; i++)
    g_string_append_printf (text, "f /%04u.jpg f 100 5 0 1 7\n", i);
  g_string_append (text, "end 1000\n");
  gzFile older = list_of (text->str);
  struct modified *modified = modified_new (older);
  modified_begin (modified, "/dev/sda", 10);
  for (guint i = 0; i < 1000; i++) {
    g_autofree char *path = g_strdup_printf ("/%04u.jpg", i);
    meet (modified, path, 100, 9, 9);
  }
  size_t n = 0;
  char *const *paths = modified_paths (modified, &n);
  g_assert_cmpuint (n, ==, 10);
  for (size_t i = 0; i < n; i++)
    late += strcmp (paths[i], "/0100.jpg") >= 0;
  g_assert_cmpuint (late, >=, 2); /* by chance less: once in 10^8 */
  modified_free (modified);
  gzclose (older);
  g_string_free (text, TRUE);
}

static void
test_no_list (void)
{
  gzFile empty = list_of (""), other = list_of ("guardd-inventory 1\nf /a.jpg f 1 1 1 1\n");
  g_assert_null (modified_new (empty));
  g_assert_null (modified_new (other));
  modified_free (NULL);
  gzclose (empty);
  gzclose (other);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/modified/kinds", test_kinds);
  g_test_add_func ("/modified/which are looked into", test_modified);
  g_test_add_func ("/modified/a bounded sample", test_sample);
  g_test_add_func ("/modified/no list", test_no_list);
  return g_test_run ();
}
