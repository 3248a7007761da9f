/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the difference of two lists of files makes guardd say. */
#include "guardd/listing.h"

#define BEFORE(n) "\"before\": {\"files\": " #n "}, "
#define DELETED(n) "\"deleted\": {\"files\": " #n ", \"bytes\": 1000}, "

/* The rules that were found, with their levels: "files-gone critical; …" */
static char *
judged (const char *text, bool encrypting)
{
  json_object *difference = json_tokener_parse (text);
  GPtrArray *findings = findings_new ();
  GString *rules = g_string_new (NULL);
  g_assert_nonnull (difference);
  listing_judge (difference, encrypting, findings);
  for (guint i = 0; i < findings->len; i++) {
    const Finding *finding = findings->pdata[i];
    g_string_append_printf (rules, "%s%s %s", i ? "; " : "", finding->rule, level_name (finding->level));
  }
  g_ptr_array_unref (findings);
  json_object_put (difference);
  return g_string_free (rules, FALSE);
}

static void
check (const char *text, const char *expected)
{
  g_autofree char *rules = judged (text, false);
  g_assert_cmpstr (rules, ==, expected);
}

static void
test_gone (void)
{
  check ("{" BEFORE (1000) DELETED (600) "\"emptied\": {\"files\": 0}}", "files-gone critical");
  check ("{" BEFORE (1000) DELETED (300) "\"emptied\": {\"files\": 300, \"bytes\": 1}}",
         "files-gone critical");
  check ("{" BEFORE (1000) DELETED (250) "\"emptied\": {\"files\": 0}}", "files-gone warn");
  check ("{" BEFORE (1000) DELETED (150) "\"emptied\": {\"files\": 0}}", "");
  check ("{" BEFORE (100) DELETED (60) "\"emptied\": {\"files\": 0}}", "");
  check ("{" BEFORE (1000) DELETED (600) "\"now\": {\"files\": 400, \"problems\": 1}}", "files-gone warn");
  check ("{\"before\": {\"files\": 1000, \"problems\": 1}, " DELETED (600) "\"now\": {\"files\": 400, "
                                                                           "\"problems\": 1}}",
         "files-gone critical");
}

static void
test_names (void)
{
  check ("{" BEFORE (1000) "\"suffixes\": [{\"name\": \".locked\", \"files\": 80}]}", "new-ending warn");
  check ("{" BEFORE (9000) "\"suffixes\": [{\"name\": \".locked\", \"files\": 80}]}", "");
  check ("{" BEFORE (1000) "\"suffixes\": [{\"name\": \".gz\", \"files\": 80}]}", "");
  check ("{" BEFORE (1000) "\"notes\": [{\"name\": \"HOW_TO.txt\", \"files\": 12}]}", "note warn");
  check ("{" BEFORE (1000) "\"suffixes\": [{\"name\": \".locked\", \"files\": 80}], "
                           "\"notes\": [{\"name\": \"HOW_TO.txt\", \"files\": 12}]}",
         "new-ending critical; note critical");
}

static void
test_content (void)
{
#define CONTENT(other, sampled) "\"content\": {\"sampled\": " #sampled ", \"other\": " #other "}"
  check ("{" CONTENT (20, 100) "}", "other-content warn");
  check ("{" CONTENT (19, 20) "}", "");   /* too few */
  check ("{" CONTENT (99, 500) "}", "");  /* too small a share */
  check ("{" CONTENT (300, 100) "}", ""); /* cannot be */
  check ("{" BEFORE (1000) "\"suffixes\": [{\"name\": \".locked\", \"files\": 80}], " CONTENT (50, 100) "}",
         "new-ending warn; other-content critical");
  g_autofree char *sure = judged ("{" CONTENT (20, 100) "}", true);
  g_assert_cmpstr (sure, ==, "other-content critical");
}

static void
test_filesystems (void)
{
  check ("{\"filesystems\": [{\"device\": \"/dev/sda1\", \"type\": \"ext4\", \"now\": \"xfs\"}, "
         "{\"device\": \"/dev/sdb\", \"type\": \"ext4\", \"now\": null}]}",
         "filesystem-replaced warn; filesystem-gone warn");
}

static void
test_logs (void)
{
  check ("{\"tampered\": [{\"path\": \"/var/log/wtmp\"}, {\"path\": \"/var/log/auth.log\"}]}",
         "logs-wiped warn");
  check ("{\"tampered\": [{\"path\": \"/var/log/wtmp\"}]}", "");
  check ("{\"watched\": [{\"path\": \"/var/log/mail.log.3\"}]}", "watched-files info");
}

/* It comes from a process that may be in a guest's hands. */
static void
test_nonsense (void)
{
  check ("{}", "");
  check ("{\"before\": 3, \"deleted\": [], \"emptied\": \"x\", \"suffixes\": {}, \"notes\": [1, null, "
         "{\"name\": 2}], "
         "\"filesystems\": [[], 5, {\"device\": 1}], \"tampered\": [7], \"watched\": [{}], \"content\": [1]}",
         "");
}

static void
test_excerpt (void)
{
  json_object *difference = json_tokener_parse ("{" DELETED (2) "\"samples\": [1, 2, 3, 4, 5, 6, 7]}");
  json_object *excerpt = listing_excerpt (difference);
  g_assert_cmpuint (json_object_array_length (json_object_object_get (excerpt, "samples")), ==, 5);
  g_assert_cmpuint (json_object_array_length (json_object_object_get (excerpt, "watched")), ==, 0);
  json_object_put (excerpt);
  json_object_put (difference);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/listing/files_that_are_gone", test_gone);
  g_test_add_func ("/listing/names_of_ransom", test_names);
  g_test_add_func ("/listing/content_against_names", test_content);
  g_test_add_func ("/listing/filesystems", test_filesystems);
  g_test_add_func ("/listing/logs", test_logs);
  g_test_add_func ("/listing/nonsense_is_nothing", test_nonsense);
  g_test_add_func ("/listing/an_alert_gets_the_first_few", test_excerpt);
  return g_test_run ();
}
