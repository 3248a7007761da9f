/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a guest's files are to be listed although no rule has found anything. */
#include "guardd/suspicion.h"

#include "watch-fixture.h"

#define MIB ((guint64)1 << 20)

static struct guardd_observation
disk_of (enum guardd_structure_kind kind, guint64 used_bytes)
{
  struct guardd_observation seen = disk_with (FILES, used_bytes);
  seen.structures[0].kind = kind;
  return seen;
}

/* Whether it is suspicious that `bytes` of that class came to such a place, a minute after a first look. */
static bool
is_suspicious (Fixture *fixture, enum guardd_structure_kind kind, enum guardd_change_class class,
               enum guardd_change_place place, guint64 bytes, guint64 grown_bytes)
{
  g_autofree char *guest = g_uuid_string_random ();
  Watch *watch = watch_new (fixture->folder, guest);
  struct guardd_observation seen = disk_of (kind, 100 * MIB);
  WatchDisk disk = { "vda", &seen, NULL };
  Verdict verdict;
  watch_judge (watch, fixture->detectors, 1, START, &disk, 1, &verdict);
  g_assert_cmpint (verdict.suspicion, ==, SUSPICION_NONE);
  verdict_clear (&verdict);
  seen = disk_of (kind, 100 * MIB + grown_bytes);
  seen.changed[class][place] = bytes;
  watch_judge (watch, fixture->detectors, 2, START + MINUTE, &disk, 1, &verdict);
  g_assert_cmpint (verdict.level, <=, LEVEL_INFO);
  bool suspicious = verdict.suspicion == SUSPICION_ENCRYPTED;
  verdict_clear (&verdict);
  watch_free (watch);
  return suspicious;
}

static void
test_random_in_the_place_of_others (Fixture *fixture, gconstpointer data)
{
  static const enum guardd_structure_kind kinds[]
      = { GUARDD_STRUCTURE_XFS, GUARDD_STRUCTURE_BTRFS, GUARDD_STRUCTURE_NTFS, GUARDD_STRUCTURE_EXFAT };
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_assert_true (
        is_suspicious (fixture, kinds[i], GUARDD_CHANGE_ZERO_TO_HIGH, GUARDD_PLACE_UNKNOWN, 6 * MIB, 0));
    g_assert_true (
        is_suspicious (fixture, kinds[i], GUARDD_CHANGE_LOW_TO_HIGH, GUARDD_PLACE_NEW, 6 * MIB, 2 * MIB));
    g_assert_false (
        is_suspicious (fixture, kinds[i], GUARDD_CHANGE_ZERO_TO_HIGH, GUARDD_PLACE_UNKNOWN, 3 * MIB, 0));
  }
}

static void
test_random_that_is_more (Fixture *fixture, gconstpointer data)
{
  g_assert_false (is_suspicious (fixture, GUARDD_STRUCTURE_XFS, GUARDD_CHANGE_ZERO_TO_HIGH, GUARDD_PLACE_NEW,
                                 60 * MIB, 55 * MIB));
}

static void
test_ordinary_or_random_before (Fixture *fixture, gconstpointer data)
{
  g_assert_false (
      is_suspicious (fixture, GUARDD_STRUCTURE_XFS, GUARDD_CHANGE_OTHER, GUARDD_PLACE_NEW, 60 * MIB, 0));
  g_assert_false (
      is_suspicious (fixture, GUARDD_STRUCTURE_XFS, GUARDD_CHANGE_HIGH, GUARDD_PLACE_NEW, 60 * MIB, 0));
}

/* How many files a btrfs has stands nowhere: which are gone their list must say. */
static void
test_files_gone (Fixture *fixture, gconstpointer data)
{
  static const struct {
    enum guardd_structure_kind kind;
    guint64 gone, came;
    Suspicion suspicion;
  } cases[] = { { GUARDD_STRUCTURE_BTRFS, 100, 0, SUSPICION_GONE },
                { GUARDD_STRUCTURE_BTRFS, 99, 0, SUSPICION_NONE },
                { GUARDD_STRUCTURE_BTRFS, 5000, 4950, SUSPICION_NONE },
                { GUARDD_STRUCTURE_EXT, 5000, 0, SUSPICION_NONE } };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    struct guardd_recent recent
        = { .exchange = { .freed_inodes = cases[i].gone, .new_inodes = cases[i].came } };
    struct guardd_observation now = disk_of (cases[i].kind, 100 * MIB);
    struct guardd_judge_input input = { .now = &now, .recent = &recent };
    g_assert_cmpint (suspicion_of (&input), ==, cases[i].suspicion);
  }
}

/* There the blocks themselves say which files went and came. */
static void
test_ext_is_followed (Fixture *fixture, gconstpointer data)
{
  g_assert_false (is_suspicious (fixture, GUARDD_STRUCTURE_EXT, GUARDD_CHANGE_ZERO_TO_HIGH, GUARDD_PLACE_NEW,
                                 6 * MIB, 0));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add (name, Fixture, NULL, set_up, function, tear_down)
  ADD ("/suspicion/random-content-in-the-place-of-other", test_random_in_the_place_of_others);
  ADD ("/suspicion/not-what-takes-more-room", test_random_that_is_more);
  ADD ("/suspicion/not-ordinary-content-nor-what-was-random", test_ordinary_or_random_before);
  ADD ("/suspicion/files-gone-that-nobody-counts", test_files_gone);
  ADD ("/suspicion/not-ext", test_ext_is_followed);
#undef ADD
  return g_test_run ();
}
