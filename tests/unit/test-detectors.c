/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What [detector NAME] of guardd.conf does, with the plugins of this tree. */
#include "guardd/config.h"
#include "guardd/detectors.h"

#include <string.h>

static const char *
plugin_dir (void)
{
  return g_getenv ("GUARDD_PLUGIN_DIR") ? g_getenv ("GUARDD_PLUGIN_DIR") : "build/plugins";
}

/* NULL: refused, *why says why. */
static Detectors *
open_with (const char *sections, char **why)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = g_strconcat ("[pool main]\npath = /p\n", sections, NULL);
  g_autoptr (Config) config = config_parse ("guardd.conf", text, &error);
  Detectors *detectors = config ? detectors_open (plugin_dir (), config->detectors, &error) : NULL;
  g_assert_true ((detectors == NULL) == (error != NULL));
  *why = g_strdup (error ? error->message : "");
  return detectors;
}

static void
refuse (const char *sections, const char *starts, const char *holds)
{
  g_autofree char *why = NULL;
  g_assert_null (open_with (sections, &why));
  if (!g_str_has_prefix (why, starts) || strstr (why, holds) == NULL)
    g_error ("\"%s\" is not \"%s … %s\"", why, starts, holds);
}

static void
test_refused (void)
{
  refuse (
      "[detector loss]\nwarn_percent = 25\nwarn_persent = 20\n",
      "guardd.conf:5: [detector loss] warn_persent: ", "accepted: critical_percent, critical_inodes, warn_");
  refuse ("[detector loss]\nwarn_percent = 0\nday_percent = 25\n",
          "guardd.conf:4: [detector loss] warn_percent: ", "accepted: a whole number from 1 to 100");
  refuse ("[detector loss]\nday_percent = 101\n", "guardd.conf:4: [detector loss] day_percent: ", "\"101\"");
  refuse ("[detector loss]\nday_percent = -1\n", "guardd.conf:4: ", "\"-1\"");
  refuse ("[detector loss]\nday_percent = 12M\n", "guardd.conf:4: ", "\"12M\"");
  refuse ("[detector loss]\nday_percent =\n", "guardd.conf:4: ", "\"\"");
  refuse ("[detector change]\nzeroed_bytes = 99999999999999999999\n", "guardd.conf:4: [detector change] ",
          "a size such as 64M");
  refuse ("[detector change]\nzeroed_bytes = 99999999999T\n", "guardd.conf:4: ", "zeroed_bytes");
  refuse ("[detector lost]\n", "guardd.conf:3: [detector lost]: there is no detector plugin \"lost\"",
          "accepted: ");
  refuse ("[detector loss]\nenabled = maybe\n", "guardd.conf:4: [detector loss] enabled: \"maybe\"",
          "yes, no");
  refuse ("[detector loss]\nday_percent = 5\nday_percent = 6\n",
          "guardd.conf:5: [detector loss] day_percent: ", "stands in line 4 already");
}

static struct guardd_observation
disk_with (guint64 inodes)
{
  struct guardd_observation seen = { .size_of = sizeof seen, .n_structures = 1, .disk_size = 100ull << 30 };
  seen.structures[0] = (struct guardd_structure){ .kind = GUARDD_STRUCTURE_EXT,
                                                  .flags = GUARDD_STRUCTURE_COUNTED,
                                                  .length = 100ull << 30,
                                                  .total_bytes = 100ull << 30,
                                                  .used_bytes = 10ull << 30,
                                                  .total_inodes = 1000000,
                                                  .used_inodes = inodes };
  return seen;
}

/* The verdict on a disk that had 10,000 files and has so many. */
static Level
judge (const char *sections, guint64 inodes)
{
  g_autofree char *why = NULL;
  Detectors *detectors = open_with (sections, &why);
  g_assert_cmpstr (why, ==, "");
  const struct guardd_observation before = disk_with (10000), now = disk_with (inodes);
  const struct guardd_judge_input input
      = { .size_of = sizeof input, .disk = "vda", .now = &now, .before = &before };
  g_autoptr (GPtrArray) findings = findings_new ();
  detectors_judge (detectors, &input, findings);
  detectors_close (detectors);
  return findings_level (findings);
}

static void
test_threshold_counts (void)
{
  g_assert_cmpint (judge ("", 7900), ==, LEVEL_WARN);
  g_assert_cmpint (judge ("", 8100), ==, LEVEL_OK);
  g_assert_cmpint (judge ("[detector loss]\nwarn_percent = 10\n", 8100), ==, LEVEL_WARN);
  g_assert_cmpint (judge ("[detector loss]\nwarn_percent = 30\n", 7900), ==, LEVEL_OK);
  g_assert_cmpint (judge ("[detector loss]\nwarn_inodes = 5000\n", 7900), ==, LEVEL_OK);
  g_assert_cmpint (judge ("[detector loss]\ncritical_percent = 20\n", 7900), ==, LEVEL_CRITICAL);
}

static void
test_switched_off (void)
{
  g_assert_cmpint (judge ("", 10), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge ("[detector loss]\nenabled = no\n", 10), ==, LEVEL_OK);
  g_assert_cmpint (judge ("[detector loss]\nenabled = yes\n", 10), ==, LEVEL_CRITICAL);
}

/* --- the change detector: what became of what --- */

#define MIB (1ull << 20)
#define GIB (1ull << 30)

typedef struct {
  struct guardd_observation now; /* 10 GiB in use */
  struct guardd_recent recent;   /* of the snapshots before */
  Level level;
  guint slow;      /* how many findings ask where it began */
  char rules[128]; /* with a space between */
} Change;

static Change *
change_new (void)
{
  Change *change = g_new0 (Change, 1);
  change->now = disk_with (10000);
  return change;
}

static void
change_judge (Change *change)
{
  g_autofree char *why = NULL;
  Detectors *detectors = open_with ("", &why);
  struct guardd_recent recent = change->recent;
  recent.exchange = change->now.exchange;
  for (guint i = 0; i < GUARDD_CHANGE_CLASSES; i++)
    for (guint j = 0; j < GUARDD_PLACES; j++)
      recent.changed[i][j] += change->now.changed[i][j];
  const struct guardd_judge_input input = {
    .size_of = sizeof input, .disk = "vda", .now = &change->now, .before = &change->now, .recent = &recent
  };
  g_autoptr (GPtrArray) findings = findings_new ();
  detectors_judge (detectors, &input, findings);
  detectors_close (detectors);
  change->level = findings_level (findings);
  change->slow = 0;
  change->rules[0] = '\0';
  for (guint i = 0; i < findings->len; i++) {
    const Finding *finding = findings->pdata[i];
    change->slow += finding->slow == GUARDD_SLOW_RECENT;
    g_strlcat (change->rules, i ? " " : "", sizeof change->rules);
    g_strlcat (change->rules, finding->rule, sizeof change->rules);
  }
}

static void
expect (Change *change, Level level, const char *rules)
{
  g_auto (GStrv) each = g_strsplit (rules, " ", 0);
  change_judge (change);
  g_assert_cmpint (change->level, ==, level);
  g_assert_cmpstr (change->rules, ==, rules);
  /* All that was found in a change has a beginning, which may lie in a snapshot before. */
  g_assert_cmpuint (change->slow, ==, g_strv_length (each));
}

static void
test_tables (void)
{
  g_autofree Change *change = change_new ();
  change->now.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_METADATA] = 2 * MIB; /* small encrypted files */
  expect (change, LEVEL_OK, "");
  change->now.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_RUINED] = 4096;
  expect (change, LEVEL_CRITICAL, "metadata-overwritten");
  change->now.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_RUINED] = 0;
  change->now.changed[GUARDD_CHANGE_COLLAPSED][GUARDD_PLACE_METADATA] = 4096;
  expect (change, LEVEL_CRITICAL, "metadata-zeroed");
}

static void
test_zeroed (void)
{
  g_autofree Change *change = change_new (), *large = change_new ();
  uint64_t *now = change->now.changed[GUARDD_CHANGE_TO_ZERO];
  now[GUARDD_PLACE_KEPT] = 12 * MIB;
  now[GUARDD_PLACE_FREE] = 800 * MIB;
  expect (change, LEVEL_OK, "");
  change->recent.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] = 84 * MIB; /* 12 MiB a time */
  expect (change, LEVEL_OK, "");
  change->recent.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] = 96 * MIB;
  expect (change, LEVEL_CRITICAL, "in-use-zeroed");
  now[GUARDD_PLACE_LATE] = 4 * GIB;
  change->recent.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] = 0;
  expect (change, LEVEL_WARN, "in-use-zeroed");
  /* One percent of it is 20 GiB */
  large->now.structures[0].used_bytes = 2048 * GIB;
  large->now.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] = 900 * MIB;
  expect (large, LEVEL_OK, "");
  large->now.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] = GIB;
  expect (large, LEVEL_CRITICAL, "in-use-zeroed");
}

static void
test_patterns (void)
{
  g_autofree Change *change = change_new ();
  change->now.changed[GUARDD_CHANGE_COLLAPSED][GUARDD_PLACE_NEW] = 500 * MIB;
  expect (change, LEVEL_OK, "");
  change->now.changed[GUARDD_CHANGE_COLLAPSED][GUARDD_PLACE_KEPT] = 110 * MIB;
  expect (change, LEVEL_CRITICAL, "in-use-zeroed");
}

static void
test_encrypted (void)
{
  g_autofree Change *change = change_new ();
  change->now.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 40 * MIB;
  change->recent.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 3 * MIB;
  expect (change, LEVEL_WARN, "encryption");
  change->now.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 64 * MIB;
  expect (change, LEVEL_CRITICAL, "encryption");
}

static void
test_exchanged (void)
{
  g_autofree Change *change = change_new ();
  /* 600 files, compressed and encrypted: of those that came two blocks each, one of them full */
  struct guardd_exchange *is = &change->now.exchange;
  *is = (struct guardd_exchange){ .freed_bytes = 20 * MIB,
                                  .freed_low_bytes = 19 * MIB,
                                  .taken_bytes = 5 * MIB,
                                  .taken_high_bytes = 2 * MIB,
                                  .freed_inodes = 600,
                                  .new_inodes = 600 };
  expect (change, LEVEL_WARN, "encryption-into-new-files");
  is->taken_packed_bytes = 5 * MIB / 3; /* gzip */
  expect (change, LEVEL_OK, "");
  is->taken_packed_bytes = 0;
  is->freed_inodes = is->new_inodes = 60; /* larger ones: whose first blocks are too few to say */
  expect (change, LEVEL_OK, "");
  *is = (struct guardd_exchange){ .freed_bytes = 20 * MIB,
                                  .freed_low_bytes = 19 * MIB,
                                  .taken_bytes = 5 * MIB,
                                  .taken_high_bytes = MIB / 2,
                                  .freed_inodes = 600,
                                  .new_inodes = 600 };
  expect (change, LEVEL_OK, ""); /* ordinary content */
}

static void
test_example (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Config) config = config_load ("examples/detectors.conf", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (config->detectors->len, >=, 2);
  Detectors *detectors = detectors_open (plugin_dir (), config->detectors, &error);
  g_assert_no_error (error);
  detectors_close (detectors);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/detectors/what-is-not-accepted-is-refused-with-its-line", test_refused);
  g_test_add_func ("/detectors/a-threshold-counts", test_threshold_counts);
  g_test_add_func ("/detectors/one-can-be-switched-off", test_switched_off);
  g_test_add_func ("/detectors/tables-are-judged-by-their-form", test_tables);
  g_test_add_func ("/detectors/zeros-of-ten-minutes-count-together", test_zeroed);
  g_test_add_func ("/detectors/patterns-count-as-zeros", test_patterns);
  g_test_add_func ("/detectors/encryption-has-a-beginning", test_encrypted);
  g_test_add_func ("/detectors/encryption-that-compresses-first", test_exchanged);
  g_test_add_func ("/detectors/the-example-is-accepted", test_example);
  return g_test_run ();
}
