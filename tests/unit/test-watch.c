/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is remembered of a guest, and what the detectors make of it, over days that pass in a moment. */
#include "guardd/change-scan.h"
#include "guardd/peaks.h"

#include "base/json.h"

#include "watch-fixture.h"

static void
test_slow (Fixture *fixture, gconstpointer data)
{
  guint64 files = FILES;
  gint64 time = START, began = 0;
  for (; time < START + 30 * HOUR; time += 5 * MINUTE)
    g_assert_cmpint (judge_counts (fixture, time, files, 10ull << 30), ==, LEVEL_OK);
  /* 0.2 % every five minutes: nothing by itself, a fifth within some eight hours. */
  began = time;
  Level level = LEVEL_OK;
  for (; level < LEVEL_WARN && time < began + 24 * HOUR; time += 5 * MINUTE) {
    files -= 20;
    level = judge_counts (fixture, time, files, 10ull << 30);
  }
  g_assert_cmpint (level, ==, LEVEL_WARN);
  g_assert_cmpstr (fixture->rule, ==, "slow-deletion");
  g_assert_cmpuint (files, >=, FILES / 10 * 7);
  /* What is good is from before it began, as nearly as the counters tell. */
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, <=, began + 2 * HOUR);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, >=, began - 2 * HOUR);
}

static void
test_sudden (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, FILES, 10ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, 900, 9ull << 30), ==, LEVEL_CRITICAL);
  g_assert_cmpstr (fixture->rule, ==, "mass-deletion");
  g_assert_cmpuint (watch_incident (fixture->watch)->good, ==, 1);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, >, START);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, <=, START + MINUTE);
  /* The ruin does not become what is normal. */
  g_assert_cmpint (judge_counts (fixture, START + 2 * MINUTE, 900, 9ull << 30), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge_counts (fixture, START + 9 * HOUR, 900, 9ull << 30), ==, LEVEL_CRITICAL);
  watch_rolled_back (fixture->watch, 1);
  g_assert_cmpint (judge_counts (fixture, START + 10 * HOUR, FILES, 10ull << 30), ==, LEVEL_OK);
  g_assert_null (watch_incident (fixture->watch));
}

static void
test_emptied (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, FILES, 10ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, FILES, 1ull << 30), ==, LEVEL_CRITICAL);
  g_assert_cmpstr (fixture->rule, ==, "mass-emptying");
}

static void
test_growth (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 100; i++)
    g_assert_cmpint (judge_counts (fixture, START + i * HOUR, FILES + 500 * i, (10ull + i / 2) << 30), ==,
                     LEVEL_OK);
  /* A tenth less, as a package's removal makes it. */
  g_assert_cmpint (judge_counts (fixture, START + 100 * HOUR, (FILES + 500 * 99) / 10 * 9, 50ull << 30), ==,
                   LEVEL_OK);
}

static void
test_memory_survives (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, FILES, 10ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, 900, 9ull << 30), ==, LEVEL_CRITICAL);
  g_autofree char *id = g_strdup (watch_incident (fixture->watch)->id);
  restart (fixture);
  g_assert_cmpstr (watch_incident (fixture->watch)->id, ==, id);
  watch_rolled_back (fixture->watch, 1);
  g_assert_cmpint (judge_counts (fixture, START + 2 * MINUTE, FILES, 10ull << 30), ==, LEVEL_OK);
}

static GPtrArray *
listed_finding (Level level)
{
  GPtrArray *findings = findings_new ();
  Finding *finding = g_new0 (Finding, 1);
  *finding = (Finding){ .level = level, .rule = g_strdup ("files-gone"), .lasting = true };
  finding->disk = g_strdup ("");
  finding->structure = g_strdup ("");
  finding->text = g_strdup ("all of them");
  g_ptr_array_add (findings, finding);
  return findings;
}

/* What only lists of files see is ended by lists alone: not by looks, nor by time, nor by a restart. */
static void
test_listed (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GPtrArray) findings = listed_finding (LEVEL_CRITICAL);
  const WatchListed listed = { 1, 2, START, START + MINUTE };
  g_assert_cmpint (judge_counts (fixture, START, FILES, 10ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, FILES, 10ull << 30), ==, LEVEL_OK);
  g_assert_true (watch_open_listed (fixture->watch, &listed, findings));
  g_autofree char *id = g_strdup (watch_incident (fixture->watch)->id);
  g_assert_cmpint (watch_incident (fixture->watch)->level, ==, LEVEL_CRITICAL);
  g_assert_cmpuint (watch_incident (fixture->watch)->good, ==, 1);
  watch_free (fixture->watch);
  fixture->watch = watch_new (fixture->folder, "0b2a9cb0-2c5c-4d0e-9c1e-2d4f0a0f0001");
  g_assert_cmpint (judge_counts (fixture, START + 9 * HOUR, FILES, 10ull << 30), ==, LEVEL_CRITICAL);
  g_assert_false (watch_open_listed (fixture->watch, &listed, findings)); /* it is open */
  g_assert_null (watch_end_listed (fixture->watch, "another"));
  Incident *over = watch_end_listed (fixture->watch, id);
  g_assert_cmpstr (over->id, ==, id);
  incident_free (over);
  g_assert_cmpint (judge_counts (fixture, START + 10 * HOUR, FILES, 10ull << 30), ==, LEVEL_OK);
}

/* What lists add to an incident that a look has opened ends when that would. */
static void
test_listed_too (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GPtrArray) findings = listed_finding (LEVEL_CRITICAL);
  g_assert_cmpint (judge_counts (fixture, START, FILES, 10ull << 30), ==, LEVEL_OK);
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  seen.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 200u << 20; /* does not last */
  g_assert_cmpint (judge (fixture, START + MINUTE, &seen), ==, LEVEL_CRITICAL);
  watch_add_findings (fixture->watch, watch_incident (fixture->watch)->id, findings);
  g_assert_null (watch_end_listed (fixture->watch, watch_incident (fixture->watch)->id));
  g_assert_cmpint (judge_counts (fixture, START + 2 * MINUTE, FILES, 10ull << 30), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge_counts (fixture, START + HOUR, FILES, 10ull << 30), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge_counts (fixture, START + 3 * HOUR, FILES, 10ull << 30), ==, LEVEL_OK);
}

static void
test_blind (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge (fixture, START, NULL), ==, LEVEL_BLIND);
  g_assert_null (watch_incident (fixture->watch));
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, FILES, 10ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 2 * MINUTE, 900, 10ull << 30), ==, LEVEL_CRITICAL);
  /* That nobody can look any more ends nothing. */
  g_assert_cmpint (judge (fixture, START + 3 * MINUTE, NULL), ==, LEVEL_CRITICAL);
}

static void
test_encryption (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  g_assert_cmpint (judge (fixture, START, &seen), ==, LEVEL_OK);
  seen.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_FREE] = 500u << 20; /* a compressed backup */
  g_assert_cmpint (judge (fixture, START + MINUTE, &seen), ==, LEVEL_OK);
  seen.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 200u << 20;
  g_assert_cmpint (judge (fixture, START + 2 * MINUTE, &seen), ==, LEVEL_CRITICAL);
  g_assert_cmpstr (fixture->rule, ==, "encryption");
  /* It was about that change: over an hour later there is nothing more of it. */
  struct guardd_observation quiet = disk_with (FILES, 10ull << 30);
  g_assert_cmpint (judge (fixture, START + 30 * MINUTE, &quiet), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge (fixture, START + 2 * HOUR, &quiet), ==, LEVEL_OK);
}

static void
test_a_little_at_a_time (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  g_assert_cmpint (judge (fixture, START - HOUR, &seen), ==, LEVEL_OK);
  seen.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 1u << 20;
  guint n = 0;
  while (n < 9 && judge (fixture, START + n * MINUTE, &seen) == LEVEL_OK)
    n++;
  g_assert_cmpuint (n, ==, 3); /* the fourth MiB within ten minutes */
  g_assert_cmpstr (fixture->rule, ==, "encryption");
  /* None of these snapshots is good. */
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, ==, START);
}

static void
test_as_little_in_an_hour (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  seen.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 1u << 20;
  for (guint n = 0; n < 20; n++)
    g_assert_cmpint (judge (fixture, START + n * 5 * MINUTE, &seen), ==, LEVEL_OK);
}

static void
test_late_maps (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 1ull << 30);
  g_assert_cmpint (judge (fixture, START, &seen), ==, LEVEL_OK);
  seen.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_LATE] = 200u << 20; /* deleted just now, and trimmed */
  g_assert_cmpint (judge (fixture, START + HOUR, &seen), ==, LEVEL_OK);
  seen.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_LATE] = 900u << 20;
  g_assert_cmpint (judge (fixture, START + 2 * HOUR, &seen), ==, LEVEL_WARN);
}

/* What the first, partial interval saw of it is not good either. */
static void
test_zeroed_since (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  g_assert_cmpint (judge (fixture, START - HOUR, &seen), ==, LEVEL_OK);
  seen.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] = 30u << 20;
  for (guint n = 0; n < 3; n++)
    g_assert_cmpint (judge (fixture, START + n * MINUTE, &seen), ==, LEVEL_OK);
  g_assert_cmpint (judge (fixture, START + 3 * MINUTE, &seen), ==, LEVEL_CRITICAL);
  g_assert_cmpstr (fixture->rule, ==, "in-use-zeroed");
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, ==, START);
}

static void
test_exchanged (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10ull << 30);
  g_assert_cmpint (judge (fixture, START, &seen), ==, LEVEL_OK);
  seen.exchange
      = (struct guardd_exchange){ 40u << 20, 38u << 20, 9u << 20, 9u << 20, 400, 410 }; /* compressed */
  g_assert_cmpint (judge (fixture, START + HOUR, &seen), ==, LEVEL_OK);
  seen.exchange.taken_bytes = 41u << 20; /* upgraded */
  g_assert_cmpint (judge (fixture, START + 2 * HOUR, &seen), ==, LEVEL_OK);
  seen.exchange.taken_high_bytes = 40u << 20;
  seen.exchange.new_inodes = 3; /* a build's folder removed, a film downloaded */
  g_assert_cmpint (judge (fixture, START + 3 * HOUR, &seen), ==, LEVEL_OK);
  seen.exchange.new_inodes = 410;
  g_assert_cmpint (judge (fixture, START + 4 * HOUR, &seen), ==, LEVEL_WARN);
  g_assert_cmpstr (fixture->rule, ==, "encryption-into-new-files");
}

static void
test_peaks (void)
{
  Peaks *peaks = peaks_new ();
  struct guardd_peak most[GUARDD_HORIZONS];
  struct guardd_structure is = { .used_inodes = 500, .used_bytes = 7, .used_dirs = G_MAXUINT64 };
  peaks_add (peaks, START, &is);
  is.used_inodes = 100;
  peaks_add (peaks, START + 30 * MINUTE, &is);
  peaks_get (peaks, START + 30 * MINUTE, most);
  g_assert_cmpuint (most[GUARDD_HORIZON_HOUR].used_inodes, ==, 500);
  g_assert_cmpuint (most[GUARDD_HORIZON_HOUR].used_dirs, ==, 0);
  peaks_get (peaks, START + 90 * MINUTE - 1, most);
  g_assert_cmpuint (most[GUARDD_HORIZON_HOUR].used_inodes, ==, 100);
  g_assert_cmpuint (most[GUARDD_HORIZON_DAY].used_inodes, ==, 500);
  peaks_get (peaks, START + 26 * HOUR, most);
  g_assert_cmpuint (most[GUARDD_HORIZON_DAY].used_inodes, ==, 0);
  g_assert_cmpuint (most[GUARDD_HORIZON_WEEK].used_inodes, ==, 500);
  g_autoptr (json_object) json = peaks_to_json (peaks);
  Peaks *copy = peaks_from_json (json);
  peaks_get (copy, START + 30 * MINUTE, most);
  g_assert_cmpuint (most[GUARDD_HORIZON_HOUR].used_inodes, ==, 500);
  peaks_free (peaks);
  peaks_free (copy);
}

static void
test_classes (void)
{
  guint8 text[4096], random[4096], partly[4096], pattern[4096], zero[4096] = { 0 }, record[4096] = { 0 };
  static const char words[] = "the quick brown fox jumps over the lazy dog and files its mail; ";
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  for (guint i = 0; i < sizeof text; i++) {
    text[i] = (guint8)words[(i * 7 + i / 64) % (sizeof words - 1)];
    random[i] = (guint8)g_rand_int (rand);
    partly[i] = i / 16 % 2 ? text[i] : random[i];
  }
  g_assert_cmpint (change_classify (text, random, 4096), ==, GUARDD_CHANGE_LOW_TO_HIGH);
  g_assert_cmpint (change_classify (text, partly, 4096), ==, GUARDD_CHANGE_LOW_TO_MID);
  g_assert_cmpint (change_classify (random, partly, 4096), ==, GUARDD_CHANGE_OTHER);
  g_assert_cmpint (change_classify (text, zero, 4096), ==, GUARDD_CHANGE_TO_ZERO);
  /* A few bytes over and over; not from a page that was filled in advance, so or with zeros. */
  memset (pattern, 0xcc, sizeof pattern);
  g_assert_cmpint (change_classify (text, pattern, 4096), ==, GUARDD_CHANGE_COLLAPSED);
  for (guint i = 0; i < sizeof pattern; i++)
    pattern[i] = (guint8)(i % 48);
  g_assert_cmpint (change_classify (random, pattern, 4096), ==, GUARDD_CHANGE_COLLAPSED);
  g_assert_cmpint (change_classify (zero, pattern, 4096), ==, GUARDD_CHANGE_FROM_ZERO);
  g_assert_cmpint (change_classify (pattern, text, 4096), ==, GUARDD_CHANGE_OTHER);
  /* A record of text that grows within its page, a page that was empty and is full of programs. */
  memcpy (record, text, 300);
  g_assert_cmpint (change_classify (record, text, 4096), ==, GUARDD_CHANGE_OTHER);
  g_assert_cmpint (change_classify (record, partly, 4096), ==, GUARDD_CHANGE_OTHER);
  g_assert_cmpint (change_classify (zero, random, 4096), ==, GUARDD_CHANGE_ZERO_TO_HIGH);
  random[0] ^= 1;
  g_assert_cmpint (change_classify (partly, text, 4096), ==, GUARDD_CHANGE_OTHER);
  g_assert_cmpfloat (entropy_bits (zero, 4096), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/watch/peaks-fall-out", test_peaks);
  g_test_add_func ("/watch/classes-of-change", test_classes);
#define ADD(name, function) g_test_add ("/watch/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("a-little-at-a-time", test_a_little_at_a_time);
  ADD ("as-little-in-an-hour", test_as_little_in_an_hour);
  ADD ("late-maps", test_late_maps);
  ADD ("zeroed-since", test_zeroed_since);
  ADD ("encryption-into-new-files", test_exchanged);
  ADD ("slow-deletion-is-found-and-its-beginning", test_slow);
  ADD ("sudden-deletion-freezes-what-is-normal", test_sudden);
  ADD ("emptied-files-keep-their-inodes", test_emptied);
  ADD ("growth-and-a-tenth-less-are-quiet", test_growth);
  ADD ("an-incident-outlives-a-restart", test_memory_survives);
  ADD ("what-lists-find-is-ended-by-lists", test_listed);
  ADD ("lists-add-to-what-looks-find", test_listed_too);
  ADD ("blind-is-not-ok-and-ends-nothing", test_blind);
  ADD ("encryption-in-place-but-not-in-free-space", test_encryption);
  return g_test_run ();
}
