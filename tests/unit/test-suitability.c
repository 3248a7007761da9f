/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which rules are said to be blind on which disk, and what findings say for themselves. */
#include "watch-fixture.h"

#include "base/json.h"

#define MIB ((guint64)1 << 20)

/* The spot for a rule at a structure; NULL: nobody says that it is blind there. */
static const BlindSpot *
find_spot (const Fixture *fixture, const char *structure, const char *rule, const char *word)
{
  for (guint i = 0; i < fixture->blind->len; i++) {
    const BlindSpot *spot = fixture->blind->pdata[i];
    if (strcmp (spot->structure, structure) == 0 && strstr (spot->why, word)
        && g_strv_contains ((const char *const *)spot->rules, rule))
      return spot;
  }
  return NULL;
}

static struct guardd_observation
disk_of (enum guardd_structure_kind kind, guint32 flags)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  seen.structures[0].kind = kind;
  seen.structures[0].flags = flags;
  return seen;
}

/* Looked at twice, so that there is something to compare it with. */
static void
look (Fixture *fixture, struct guardd_observation seen)
{
  judge (fixture, START + fixture->number * MINUTE, &seen);
  judge (fixture, START + fixture->number * MINUTE, &seen);
}

static void
test_first_look (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  judge (fixture, START, &seen);
  g_assert_nonnull (find_spot (fixture, "", "mass-deletion", "first look"));
  g_assert_nonnull (find_spot (fixture, "", "encryption", "first look"));
  g_assert_nonnull (find_spot (fixture, "", "formatted", "first look"));
  judge (fixture, START + MINUTE, &seen);
  g_assert_null (find_spot (fixture, "", "mass-deletion", ""));
  g_assert_null (find_spot (fixture, "", "encryption", ""));
  g_assert_null (find_spot (fixture, "", "formatted", ""));
  /* An ext disk of which all can be seen has but its habits to be learnt. */
  g_assert_cmpuint (fixture->blind->len, ==, 1);
  g_assert_nonnull (find_spot (fixture, "", "unusual", "learnt"));
}

static void
test_encrypted (Fixture *fixture, gconstpointer data)
{
  look (fixture, disk_of (GUARDD_STRUCTURE_LUKS, GUARDD_STRUCTURE_OPAQUE));
  const char *const rules[] = { "mass-deletion", "deletion",      "slow-deletion", "emptying",
                                "encryption",    "in-use-zeroed", "formatted" };
  for (guint i = 0; i < G_N_ELEMENTS (rules); i++)
    g_assert_nonnull (find_spot (fixture, "", rules[i], "encrypted by the guest"));
  g_assert_null (find_spot (fixture, "", "keys-lost", "")); /* its header is watched */
}

static void
test_unknown (Fixture *fixture, gconstpointer data)
{
  look (fixture, disk_of (GUARDD_STRUCTURE_UNKNOWN, 0));
  g_assert_nonnull (find_spot (fixture, "", "mass-deletion", "no kind that is known"));
  g_assert_nonnull (find_spot (fixture, "", "damaged", "no kind that is known"));
}

static void
test_late_and_uncounted (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen
      = disk_of (GUARDD_STRUCTURE_BTRFS, GUARDD_STRUCTURE_COUNTED | GUARDD_STRUCTURE_LAGGING);
  seen.structures[0].used_inodes = G_MAXUINT64;
  look (fixture, seen);
  g_assert_true (find_spot (fixture, "", "emptying", "75 seconds")->late);
  g_assert_false (find_spot (fixture, "", "mass-deletion", "not counted")->late);
  g_assert_null (find_spot (fixture, "", "emptying", "not counted"));
}

static void
test_no_map (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_of (GUARDD_STRUCTURE_XFS, GUARDD_STRUCTURE_COUNTED);
  seen.changed[GUARDD_CHANGE_OTHER][GUARDD_PLACE_UNKNOWN] = 30 * MIB;
  look (fixture, seen);
  g_assert_nonnull (find_spot (fixture, "", "in-use-zeroed", "100 % of what changed"));
  seen.changed[GUARDD_CHANGE_OTHER][GUARDD_PLACE_KEPT] = 300 * MIB;
  look (fixture, seen);
  g_assert_null (find_spot (fixture, "", "in-use-zeroed", ""));
}

/* Content rules keep quiet where all was random before, but for what is critical. */
static void
test_random_already (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  seen.changed[GUARDD_CHANGE_HIGH][GUARDD_PLACE_KEPT] = 400 * MIB;
  look (fixture, seen);
  g_assert_nonnull (find_spot (fixture, "", "partial-encryption", "100 % of what was sampled"));
  memset (seen.changed, 0, sizeof seen.changed);
  seen.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 30 * MIB;
  g_assert_cmpint (judge (fixture, START + DAY, &seen), ==, LEVEL_OK);
  seen.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 70 * MIB;
  g_assert_cmpint (judge (fixture, START + DAY + MINUTE, &seen), ==, LEVEL_CRITICAL);
}

static void
test_unseen (Fixture *fixture, gconstpointer data)
{
  judge (fixture, START, NULL);
  g_assert_cmpuint (fixture->blind->len, ==, 1);
  const BlindSpot *spot = fixture->blind->pdata[0];
  g_assert_nonnull (strstr (spot->why, "nobody could look"));
  g_autoptr (json_object) json = blind_spots_to_json (fixture->blind, "vda");
  json_object *rules;
  g_assert_true (json_get_array (json_object_array_get_idx (json, 0), "rules", &rules, NULL));
  g_assert_cmpuint (json_object_array_length (rules), ==, 0);
}

static void
test_switched_off (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Config) config
      = config_parse ("x", "[pool p]\npath = /p\n[detector loss]\nenabled = no\n", &error);
  const char *plugins = g_getenv ("GUARDD_PLUGIN_DIR") ? g_getenv ("GUARDD_PLUGIN_DIR") : "build/plugins";
  g_assert_no_error (error);
  detectors_close (fixture->detectors);
  fixture->detectors = detectors_open (plugins, config->detectors, &error);
  g_assert_no_error (error);
  look (fixture, disk_with (FILES, 10ull << 30));
  const BlindSpot *spot = fixture->blind->pdata[0];
  g_assert_cmpstr (spot->why, ==, "detector loss is switched off by guardd.conf");
}

/* --- findings --- */

static bool
considers (const Finding *finding, const char *words)
{
  for (char **one = finding->considered; one && *one; one++)
    if (strstr (*one, words))
      return true;
  return false;
}

static void
test_finding_explains (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  judge (fixture, START, &seen);
  seen.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] = 200 * MIB;
  seen.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_FREE] = 50 * MIB;
  g_assert_cmpint (judge (fixture, START + MINUTE, &seen), ==, LEVEL_CRITICAL);
  const Finding *finding = findings_worst (fixture->findings);
  g_assert_cmpstr (finding->rule, ==, "in-use-zeroed");
  g_assert_true (
      considers (finding, "not fstrim, which discards what is free: of 256000 KiB that became zero, 204800"));
  g_assert_true (considers (finding, "not a resize: the disk has 107374182400 bytes"));
  g_assert_cmpstr (finding->horizon, ==, "last-good");
  /* What the wire and the file say is the same. */
  g_autoptr (json_object) json = finding_to_json (finding);
  Finding *again = finding_from_json (json, NULL);
  g_assert_true (
      g_strv_equal ((const char *const *)again->considered, (const char *const *)finding->considered));
  g_assert_cmpstr (again->horizon, ==, "last-good");
  finding_free (again);
}

/* A test that was not made is not claimed. */
static void
test_no_test_is_claimed (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  judge (fixture, START, &seen);
  seen.disk_size *= 2;
  seen.structures[0].total_bytes *= 2;
  seen.structures[0].used_inodes = 900;
  seen.structures[0].flags |= GUARDD_STRUCTURE_LAGGING;
  g_assert_cmpint (judge (fixture, START + MINUTE, &seen), ==, LEVEL_CRITICAL);
  const Finding *finding = findings_worst (fixture->findings);
  g_assert_cmpstr (finding->rule, ==, "mass-deletion");
  g_assert_true (considers (finding, "not another filesystem"));
  g_assert_false (considers (finding, "resize"));
  g_assert_false (considers (finding, "old counter"));
}

static void
test_format_explains (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  judge (fixture, START, &seen);
  seen.structures[0].uuid[0] = 77;
  seen.structures[0].made = 4711;
  seen.structures[0].used_inodes = 11;
  g_assert_cmpint (judge (fixture, START + MINUTE, &seen), ==, LEVEL_CRITICAL);
  const Finding *finding = findings_worst (fixture->findings);
  g_assert_cmpstr (finding->rule, ==, "formatted");
  g_assert_true (considers (finding, "not empty: 10000 files"));
  g_assert_true (considers (finding, "not a new UUID on old content"));
  seen.n_structures = 0;
  seen.disk_size /= 2;
  g_assert_cmpint (judge (fixture, START + 2 * MINUTE, &seen), ==, LEVEL_CRITICAL);
  finding = findings_worst (fixture->findings);
  g_assert_cmpstr (finding->rule, ==, "structure-gone");
  g_assert_true (considers (finding, "not empty: 10000 files"));
  g_assert_false (considers (finding, "resize"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add ("/suitability/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("a-first-look-has-nothing-to-compare-with", test_first_look);
  ADD ("an-encrypted-disk", test_encrypted);
  ADD ("an-unknown-filesystem", test_unknown);
  ADD ("late-counters-and-none", test_late_and_uncounted);
  ADD ("no-map-of-what-is-in-use", test_no_map);
  ADD ("all-was-random-before", test_random_already);
  ADD ("a-disk-that-could-not-be-looked-at", test_unseen);
  ADD ("a-detector-that-is-switched-off", test_switched_off);
  ADD ("a-finding-explains-itself", test_finding_explains);
  ADD ("a-format-explains-itself", test_format_explains);
  ADD ("a-test-that-was-not-made-is-not-claimed", test_no_test_is_claimed);
  return g_test_run ();
}
