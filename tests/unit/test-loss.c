/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is a loss, since when, and when it is over: over hours and days that pass in a moment. */
#include "guardd/tally.h"

#include "watch-fixture.h"

#define MIB ((guint64)1 << 20)
#define GIB ((guint64)1 << 30)
#define SECOND ((gint64)G_USEC_PER_SEC)

static struct guardd_observation
btrfs_with (guint64 bytes)
{
  struct guardd_observation seen = disk_with (G_MAXUINT64, bytes);
  seen.structures[0].kind = GUARDD_STRUCTURE_BTRFS;
  seen.structures[0].used_dirs = G_MAXUINT64;
  return seen;
}

static Level
judge_btrfs (Fixture *fixture, gint64 time_us, guint64 bytes)
{
  struct guardd_observation seen = btrfs_with (bytes);
  return judge (fixture, time_us, &seen);
}

/* The same counters at each minute from `from` up to `to`. */
static void
stay (Fixture *fixture, gint64 from, gint64 to, guint64 inodes, guint64 bytes)
{
  for (gint64 time = from; time < to; time += MINUTE)
    g_assert_cmpint (judge_counts (fixture, time, inodes, bytes), ==, LEVEL_OK);
}

/* --- bytes --- */

static void
test_few_files (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, 101, 88 * MIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, 11, 0), ==, LEVEL_CRITICAL);
  g_assert_cmpstr (fixture->rule, ==, "mass-emptying");
}

static void
test_biggest_files (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, 3159, 400 * MIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, 2942, 100 * MIB), ==, LEVEL_CRITICAL);
  g_assert_cmpstr (fixture->rule, ==, "mass-emptying");
}

/* A tenth of the files with half of the bytes: deletion's rules are for that. */
static void
test_some_files (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, FILES, 10 * GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, FILES / 10 * 9, 5 * GIB), ==, LEVEL_OK);
}

static void
test_emptied_bit_by_bit (Fixture *fixture, gconstpointer data)
{
  guint64 bytes = 100 * GIB / 2;
  gint64 time = START;
  Level level = judge_counts (fixture, time, FILES, bytes);
  while (level == LEVEL_OK && bytes > 2 * GIB)
    level = judge_counts (fixture, time += 2 * SECOND, FILES, bytes -= GIB);
  g_assert_cmpint (level, ==, LEVEL_WARN);
  g_assert_cmpstr (fixture->rule, ==, "emptying");
  g_assert_cmpuint (bytes, ==, 35 * GIB); /* 30 % */
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, <=, START + 2 * SECOND);
  while (level == LEVEL_WARN && bytes > 2 * GIB)
    level = judge_counts (fixture, time += 2 * SECOND, FILES, bytes -= GIB);
  g_assert_cmpint (level, ==, LEVEL_CRITICAL);
  g_assert_cmpuint (bytes, ==, 15 * GIB); /* 70 % */
}

static void
test_btrfs_bit_by_bit (Fixture *fixture, gconstpointer data)
{
  guint64 bytes = 200 * MIB;
  gint64 time = START;
  Level level = judge_btrfs (fixture, time, bytes);
  while (level < LEVEL_CRITICAL && bytes > 10 * MIB)
    level = judge_btrfs (fixture, time += 30 * SECOND, bytes -= 10 * MIB);
  g_assert_cmpint (level, ==, LEVEL_CRITICAL);
  g_assert_cmpstr (fixture->rule, ==, "mass-emptying");
  g_assert_cmpuint (bytes, ==, 60 * MIB);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, <=, START + 30 * SECOND);
}

static void
test_btrfs_half (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_btrfs (fixture, START, 300 * MIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_btrfs (fixture, START + MINUTE, 160 * MIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_btrfs (fixture, START + 2 * MINUTE, 140 * MIB), ==, LEVEL_WARN);
}

static void
test_emptied_slowly (Fixture *fixture, gconstpointer data)
{
  guint64 bytes = 50 * GIB;
  gint64 time = START, began;
  stay (fixture, time, time + 2 * HOUR, FILES, bytes);
  began = time += 2 * HOUR;
  Level level = LEVEL_OK;
  while (level == LEVEL_OK && bytes > GIB)
    level = judge_counts (fixture, time += 20 * MINUTE, FILES, bytes -= GIB);
  g_assert_cmpint (level, ==, LEVEL_WARN);
  g_assert_cmpstr (fixture->rule, ==, "slow-emptying");
  g_assert_cmpuint (bytes, ==, 25 * GIB);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, <=, began + HOUR);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, >=, began - HOUR);
}

/* --- what was not there for long --- */

static void
test_young_files (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, 3000, GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, 9000, 3 * GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 20 * MINUTE, 9000, 3 * GIB), ==, LEVEL_OK);
  restart (fixture);
  g_assert_cmpint (judge_counts (fixture, START + 21 * MINUTE, 3010, GIB), ==, LEVEL_WARN);
  /* What was there before them is missed at once. */
  restart (fixture);
  g_assert_cmpint (judge_counts (fixture, START + 22 * MINUTE, 1400, GIB), ==, LEVEL_CRITICAL);
}

/* A new guest, or one that was just restored, is wiped. */
static void
test_all_young_files (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, 11, MIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 4 * SECOND, 5000, GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 6 * SECOND, 14, MIB), ==, LEVEL_CRITICAL);
}

static void
test_few_young_files (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, 3000, GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, 5000, 2 * GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 2 * MINUTE, 3000, GIB), ==, LEVEL_OK);
}

static void
test_all_young_bytes (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_btrfs (fixture, START, MIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_btrfs (fixture, START + 4 * SECOND, 600 * MIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_btrfs (fixture, START + 6 * SECOND, 2 * MIB), ==, LEVEL_CRITICAL);
}

static void
test_old_files (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, 3000, GIB), ==, LEVEL_OK);
  stay (fixture, START + MINUTE, START + 35 * MINUTE, 9000, 3 * GIB);
  g_assert_cmpint (judge_counts (fixture, START + 35 * MINUTE, 3000, GIB), ==, LEVEL_CRITICAL);
}

/* A disk that is new here: what it has may be old, and what is gone is missed, seconds later too. */
static void
test_first_look (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, 3000, GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 2 * SECOND, 3000, GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 4 * SECOND, 11, 0), ==, LEVEL_CRITICAL);
}

static void
test_young_bytes (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_btrfs (fixture, START, 136 * MIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_btrfs (fixture, START + MINUTE, 600 * MIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_btrfs (fixture, START + 2 * MINUTE, 136 * MIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_btrfs (fixture, START + 3 * MINUTE, 10 * MIB), ==, LEVEL_CRITICAL);
}

/* Where looks are rare nobody knows how long something was there. */
static void
test_rare_looks (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, 3000, GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + DAY, 9000, 3 * GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 2 * DAY, 3000, GIB), ==, LEVEL_CRITICAL);
}

/* --- where it began --- */

static void
test_over_two_looks (Fixture *fixture, gconstpointer data)
{
  stay (fixture, START, START + 10 * MINUTE, 100000, 50 * GIB);
  g_assert_cmpint (judge_counts (fixture, START + 10 * MINUTE, 82000, 45 * GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 11 * MINUTE, 40000, 30 * GIB), ==, LEVEL_CRITICAL);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, <=, START + 10 * MINUTE);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, >, START + 9 * MINUTE);
}

static void
test_bytes_over_two_looks (Fixture *fixture, gconstpointer data)
{
  stay (fixture, START, START + 10 * MINUTE, FILES, 50 * GIB);
  g_assert_cmpint (judge_counts (fixture, START + 10 * MINUTE, FILES, 40 * GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 11 * MINUTE, FILES, 5 * GIB), ==, LEVEL_CRITICAL);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, <=, START + 10 * MINUTE);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, >, START + 9 * MINUTE);
}

/* Neither what comes and goes every minute, nor a cleanup of days ago, makes a sudden loss an old one. */
static void
test_busy_before (Fixture *fixture, gconstpointer data)
{
  stay (fixture, START, START + HOUR, 30000, 60 * GIB);
  g_assert_cmpint (judge_counts (fixture, START + HOUR, 24500, 50 * GIB), ==, LEVEL_OK);
  gint64 time = START + 3 * DAY;
  for (guint i = 0; i < 90; i++, time += MINUTE)
    g_assert_cmpint (judge_counts (fixture, time, 24500 - i * 37 % 200, 50 * GIB - i * 37 % 200 * MIB), ==,
                     LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, time, 900, 3 * GIB), ==, LEVEL_CRITICAL);
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, >, time - MINUTE);
}

static void
test_zeroing_counts (void)
{
  Tally *tally = tally_new ();
  struct guardd_observation seen = disk_with (FILES, 10 * GIB);
  tally_add (tally, START, &seen);
  g_assert_cmpint (tally_began (tally, START), ==, 0);
  seen.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_FREE] = GIB; /* fstrim */
  seen.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_NEW] = GIB;
  tally_add (tally, START + MINUTE, &seen);
  g_assert_cmpint (tally_began (tally, START + MINUTE), ==, 0);
  seen.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] = 12 * MIB;
  tally_add (tally, START + 2 * MINUTE, &seen);
  tally_add (tally, START + 3 * MINUTE, &seen);
  g_assert_cmpint (tally_began (tally, START + 3 * MINUTE), ==, START + 2 * MINUTE);
  tally_free (tally);
}

/* --- when it is over --- */

static gint64
ruin (Fixture *fixture)
{
  g_assert_cmpint (judge_counts (fixture, START, FILES, 10 * GIB), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, 900, 10 * GIB), ==, LEVEL_CRITICAL);
  return START + MINUTE;
}

/* As many files of junk: the counters are as they were, and nothing is well. */
static void
test_junk (Fixture *fixture, gconstpointer data)
{
  gint64 time = ruin (fixture), back = time + MINUTE;
  for (time = back; time <= back + HOUR; time += MINUTE)
    g_assert_cmpint (judge_counts (fixture, time, FILES, 10 * GIB), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge_counts (fixture, time, FILES, 10 * GIB), ==, LEVEL_OK);
  g_assert_null (watch_incident (fixture->watch));
}

/* The hour is one of looks: not of a guest that was off, nor of one that nobody could see. */
static void
test_quiet_is_seen (Fixture *fixture, gconstpointer data)
{
  gint64 time = ruin (fixture) + 5 * HOUR;
  g_assert_cmpint (judge_counts (fixture, time, FILES, 10 * GIB), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge_counts (fixture, time + 50 * MINUTE, FILES, 10 * GIB), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge (fixture, time + 51 * MINUTE, NULL), ==, LEVEL_CRITICAL);
  restart (fixture);
  g_assert_cmpint (judge_counts (fixture, time + 2 * HOUR, FILES, 10 * GIB), ==, LEVEL_CRITICAL);
  restart (fixture);
  g_assert_cmpint (judge_counts (fixture, time + 3 * HOUR + MINUTE, FILES, 10 * GIB), ==, LEVEL_OK);
}

static void
test_rolled_back (Fixture *fixture, gconstpointer data)
{
  gint64 time = ruin (fixture);
  watch_rolled_back (fixture->watch, 2); /* to the ruin */
  g_assert_cmpint (judge_counts (fixture, time += MINUTE, FILES, 10 * GIB), ==, LEVEL_CRITICAL);
  watch_rolled_back (fixture->watch, 1);
  restart (fixture);
  g_assert_cmpint (judge (fixture, time += MINUTE, NULL), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge_counts (fixture, time += MINUTE, FILES, 10 * GIB), ==, LEVEL_OK);
  g_assert_null (watch_incident (fixture->watch));
}

/* Encrypted minutes ago, and undone: the sum of the last minutes is not held against what is back. */
static void
test_rolled_back_encryption (Fixture *fixture, gconstpointer data)
{
  struct guardd_observation seen = disk_with (FILES, 10 * GIB);
  g_assert_cmpint (judge (fixture, START, &seen), ==, LEVEL_OK);
  seen.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 200 * MIB;
  g_assert_cmpint (judge (fixture, START + MINUTE, &seen), ==, LEVEL_CRITICAL);
  watch_rolled_back (fixture->watch, 1);
  g_assert_cmpint (judge_counts (fixture, START + 2 * MINUTE, FILES, 10 * GIB), ==, LEVEL_OK);
}

/* Too few files for the rules of days, so found against the hour's most alone: an hour later it is as bad. */
static void
test_ruin_stays (Fixture *fixture, gconstpointer data)
{
  guint64 files = 700;
  gint64 time = START;
  stay (fixture, time, time + MINUTE, files, 10 * GIB);
  Level level = LEVEL_OK;
  while (level < LEVEL_CRITICAL && files > 100)
    level = judge_counts (fixture, time += MINUTE, files -= 14, 10 * GIB);
  g_assert_cmpint (level, ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge_counts (fixture, time + 9 * HOUR, files, 10 * GIB), ==, LEVEL_CRITICAL);
  g_assert_cmpstr (fixture->rule, ==, "mass-deletion");
  g_assert_cmpint (judge_counts (fixture, time + 3 * DAY, files, 10 * GIB), ==, LEVEL_CRITICAL);
  g_assert_cmpstr (fixture->rule, ==, "mass-deletion");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add ("/loss/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("all-of-a-few-files", test_few_files);
  ADD ("the-biggest-files-with-most-of-the-bytes", test_biggest_files);
  ADD ("a-tenth-of-the-files-is-quiet", test_some_files);
  ADD ("emptied-bit-by-bit", test_emptied_bit_by_bit);
  ADD ("bytes-alone-bit-by-bit", test_btrfs_bit_by_bit);
  ADD ("half-of-bytes-alone-is-a-warning", test_btrfs_half);
  ADD ("emptied-over-hours", test_emptied_slowly);
  ADD ("half-of-all-files-that-came-and-go-is-a-warning", test_young_files);
  ADD ("less-of-what-came-and-goes-is-no-loss", test_few_young_files);
  ADD ("all-files-of-a-young-filesystem", test_all_young_files);
  ADD ("all-bytes-of-a-young-filesystem", test_all_young_bytes);
  ADD ("what-was-there-for-half-an-hour-is", test_old_files);
  ADD ("what-the-first-look-sees-is-old", test_first_look);
  ADD ("a-temporary-file-on-btrfs", test_young_bytes);
  ADD ("looks-once-a-day", test_rare_looks);
  ADD ("last-good-is-before-the-first-part", test_over_two_looks);
  ADD ("last-good-has-all-bytes", test_bytes_over_two_looks);
  ADD ("a-busy-guest's-last-good-is-not-old", test_busy_before);
  g_test_add_func ("/loss/zeroing-has-a-beginning", test_zeroing_counts);
  ADD ("junk-in-its-place-ends-nothing", test_junk);
  ADD ("an-hour-of-quiet-was-seen", test_quiet_is_seen);
  ADD ("a-rollback-ends-it-at-once", test_rolled_back);
  ADD ("a-rollback-undoes-encryption", test_rolled_back_encryption);
  ADD ("a-ruin-stays-one", test_ruin_stays);
  return g_test_run ();
}
