/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is usual on a guest, and what is made of what is not, over weeks that pass in a moment. */
#include "guardd/baseline.h"

#include "base/json.h"

#include "watch-fixture.h"

#define MIB ((guint64)1 << 20)

/* --- pure --- */

static struct guardd_history
get (const Baseline *baseline, gint64 time, const BaselineStep *step)
{
  static struct guardd_history history; /* large */
  baseline_get (baseline, time, step, &history);
  return history;
}

static double
near (double value)
{
  return value * 0.03 + 1;
}

/* The same happens whether it is looked at every minute or every 15: what is usual is the same. */
static void
test_interval (void)
{
  const gint64 intervals[] = { MINUTE, 15 * MINUTE, 2 * HOUR };
  for (guint i = 0; i < G_N_ELEMENTS (intervals); i++) {
    Baseline *baseline = baseline_new ();
    BaselineStep step = { .span_us = intervals[i] };
    step.features[GUARDD_FEATURE_CHANGED] = (double)(2 * MIB * (guint64)(intervals[i] / MINUTE));
    for (gint64 time = START; time < START + 8 * DAY; time += intervals[i])
      baseline_learn (baseline, time, &step);
    struct guardd_history history = get (baseline, START + 8 * DAY, &step);
    const struct guardd_baseline *is = &history.features[GUARDD_FEATURE_CHANGED];
    g_assert_cmpfloat_with_epsilon (is->all.median, 20 * MIB, near (20 * MIB));
    g_assert_cmpuint (is->all.samples, >=, 8 * 24 / (intervals[i] > HOUR ? 2 : 1) - 2);
    g_assert_cmpfloat (is->now, <=, 20 * MIB + near (20 * MIB));
    baseline_free (baseline);
  }
}

static void
test_hour_of_week (void)
{
  Baseline *baseline = baseline_new ();
  gint64 start = START - START % (7 * DAY);
  for (gint64 time = start; time < start + 28 * DAY; time += 10 * MINUTE) {
    BaselineStep step = { .span_us = 10 * MINUTE };
    step.features[GUARDD_FEATURE_CHANGED] = time % (7 * DAY) / HOUR == 50 ? 5e9 : 1e6;
    baseline_learn (baseline, time, &step);
  }
  BaselineStep none = { 0 };
  struct guardd_history then = get (baseline, start + 28 * DAY + 50 * HOUR, &none);
  struct guardd_history other = get (baseline, start + 28 * DAY + 80 * HOUR, &none);
  const struct guardd_reference *hour = &then.features[GUARDD_FEATURE_CHANGED].hour;
  g_assert_cmpuint (hour->samples, ==, 12);
  g_assert_cmpfloat_with_epsilon (hour->most, 5e9, near (5e9));
  g_assert_cmpfloat (other.features[GUARDD_FEATURE_CHANGED].hour.most, <, 2e6);
  g_assert_cmpfloat (then.features[GUARDD_FEATURE_CHANGED].all.median, <, 2e6);
  baseline_free (baseline);
}

/* Who raises what he does from hour to hour raises what is usual by a quarter a day, not more. */
static void
test_drift_is_capped (void)
{
  Baseline *baseline = baseline_new ();
  BaselineStep step = { .span_us = 10 * MINUTE };
  gint64 time = START;
  step.features[GUARDD_FEATURE_CHANGED] = 100e6;
  for (; time < START + 14 * DAY; time += 10 * MINUTE)
    baseline_learn (baseline, time, &step);
  struct guardd_history before = get (baseline, time, &step);
  step.features[GUARDD_FEATURE_CHANGED] = 1e12;
  for (gint64 end = time + 2 * DAY; time < end; time += 10 * MINUTE)
    baseline_learn (baseline, time, &step);
  struct guardd_history after = get (baseline, time, &step);
  const struct guardd_reference *was = &before.features[GUARDD_FEATURE_CHANGED].all;
  const struct guardd_reference *is = &after.features[GUARDD_FEATURE_CHANGED].all;
  g_assert_cmpfloat (is->median, <=, was->median + near (was->median));
  /* Six spreads of 64 MiB at least are the edge; two days, and the one begun, may raise it. */
  g_assert_cmpfloat (is->most, <, (100e6 + 6 * 64 * MIB) * 1.25 * 1.25 * 1.25 * 1.03);
  baseline_free (baseline);
}

static void
assert_same (const struct guardd_history *a, const struct guardd_history *b)
{
  g_assert_cmpuint (a->age_s, ==, b->age_s);
  g_assert_cmpfloat (a->high_bytes, ==, b->high_bytes);
  g_assert_cmpfloat (a->unmapped_bytes, ==, b->unmapped_bytes);
  g_assert_cmpmem (a->inodes_lost, a->n_windows * sizeof (double), b->inodes_lost,
                   b->n_windows * sizeof (double));
  for (guint i = 0; i < GUARDD_FEATURES; i++) {
    const struct guardd_baseline *of_a = &a->features[i], *of_b = &b->features[i];
    g_assert_cmpfloat (of_a->now, ==, of_b->now);
    g_assert_cmpuint (of_a->hour.samples, ==, of_b->hour.samples);
    g_assert_cmpfloat (of_a->hour.mad, ==, of_b->hour.mad);
    g_assert_cmpuint (of_a->all.samples, ==, of_b->all.samples);
    g_assert_cmpfloat (of_a->all.median, ==, of_b->all.median);
    g_assert_cmpfloat (of_a->all.mad, ==, of_b->all.mad);
    g_assert_cmpfloat (of_a->all.most, ==, of_b->all.most);
  }
}

static void
test_file (void)
{
  Baseline *baseline = baseline_new ();
  BaselineStep step = { .span_us = 3 * MINUTE, .sampled = 5, .high = 4, .mapped = 3, .unmapped = 2 };
  for (guint i = 0; i < 20000; i++) {
    step.features[GUARDD_FEATURE_CHANGED] = (double)(i * 977 % 5000000);
    step.features[GUARDD_FEATURE_INODES_LOST] = (double)(i % 7) - 2;
    baseline_learn (baseline, START + i * 3 * MINUTE, &step);
  }
  g_autoptr (json_object) json = baseline_to_json (baseline);
  g_autofree char *text = g_strdup (json_object_to_json_string_ext (json, JSON_C_TO_STRING_PLAIN));
  g_assert_cmpuint (strlen (text), <, 32 * 1024);
  Baseline *copy = baseline_from_json (json);
  gint64 later = START + 20001 * 3 * MINUTE;
  struct guardd_history is = get (baseline, later, &step), again = get (copy, later, &step);
  assert_same (&is, &again);
  baseline_free (copy);
  /* Whatever is done to it, it is taken up as something that can be used, or as nothing. */
  g_autoptr (GRand) random = g_rand_new_with_seed (4);
  for (guint i = 0; i < 300; i++) {
    g_autofree char *damaged = g_strdup (text);
    for (guint n = (guint)g_rand_int_range (random, 1, 4); n > 0; n--)
      damaged[g_rand_int_range (random, 0, 600)] = (char)g_rand_int_range (random, 32, 127);
    g_autoptr (json_object) what = json_parse ("x", damaged, strlen (damaged), NULL);
    copy = baseline_from_json (what);
    struct guardd_history history = get (copy, later, &step);
    for (guint f = 0; f < GUARDD_FEATURES; f++)
      g_assert_true (history.features[f].now >= 0 && history.features[f].now < 1e19);
    baseline_learn (copy, later, &step);
    baseline_free (copy);
  }
  baseline_free (baseline);
}

static void
test_clock_set_back (void)
{
  Baseline *baseline = baseline_new ();
  BaselineStep step = { .span_us = MINUTE };
  step.features[GUARDD_FEATURE_CHANGED] = 1e9;
  for (guint i = 0; i < 100; i++)
    baseline_learn (baseline, START + i * MINUTE, &step);
  step.span_us = -DAY;
  struct guardd_history history = get (baseline, START - DAY, &step);
  g_assert_cmpfloat (history.features[GUARDD_FEATURE_CHANGED].now, ==, 0);
  baseline_learn (baseline, START - DAY, &step);
  history = get (baseline, START - DAY + MINUTE, &step);
  g_assert_cmpuint (history.age_s, ==, 60);
  baseline_free (baseline);
}

static void
test_step (void)
{
  struct guardd_observation before = disk_with (1000, 5 * MIB), now = disk_with (900, 6 * MIB);
  BaselineStep step;
  now.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_FREE] = 100; /* fstrim */
  now.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] = 10;
  now.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_FREE] = 1000; /* a backup */
  now.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = 7;
  now.changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_NEW] = 50;
  now.changed[GUARDD_CHANGE_HIGH][GUARDD_PLACE_UNKNOWN] = 3;
  baseline_step (&before, &now, &step);
  g_assert_cmpfloat (step.features[GUARDD_FEATURE_CHANGED], ==, 10 + 1000 + 7 + 3);
  g_assert_cmpfloat (step.features[GUARDD_FEATURE_ZEROED], ==, 10);
  g_assert_cmpfloat (step.features[GUARDD_FEATURE_RISEN], ==, 7);
  g_assert_cmpfloat (step.features[GUARDD_FEATURE_INODES_LOST], ==, 100);
  g_assert_cmpfloat (step.features[GUARDD_FEATURE_BYTES_LOST], ==, -(double)MIB);
  g_assert_cmpfloat (step.sampled, ==, 1010);
  g_assert_cmpfloat (step.high, ==, 3);
  g_assert_cmpfloat (step.unmapped, ==, 3);
  now.structures[0].uuid[0] ^= 1; /* another filesystem is another rule's */
  baseline_step (&before, &now, &step);
  g_assert_cmpfloat (step.features[GUARDD_FEATURE_INODES_LOST], ==, 0);
  baseline_step (NULL, &now, &step);
  g_assert_cmpfloat (step.features[GUARDD_FEATURE_INODES_LOST], ==, 0);
}

/* --- a guest's life --- */

typedef struct {
  Fixture *fixture;
  gint64 time;
  guint64 files;
  GRand *random;
} Life;

/* Ten minutes of an ordinary guest, with what is besides; its verdict. */
static Level
live (Life *life, guint64 changed, gint64 fewer, guint64 random)
{
  gint64 ordinary = g_rand_int_range (life->random, -20, 21);
  life->time += 10 * MINUTE;
  life->files = (guint64)((gint64)life->files - ordinary - fewer);
  struct guardd_observation seen = disk_with (life->files, 50ull << 30);
  seen.changed[GUARDD_CHANGE_OTHER][GUARDD_PLACE_KEPT]
      = changed + (guint64)g_rand_int_range (life->random, 1, 20) * MIB;
  seen.changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT] = random;
  return judge (life->fixture, life->time, &seen);
}

static void
begin (Life *life, Fixture *fixture)
{
  *life = (Life){ fixture, START, 200000, g_rand_new_with_seed (7) };
}

/* Days of work: a backup of 30 GiB every night at two, and on Sundays an hour of cleaning up, which writes as
 * well. */
static void
live_days (Life *life, guint days)
{
  for (gint64 end = life->time + days * DAY; life->time < end;) {
    gint64 hour = life->time / HOUR % 24, day = life->time / DAY % 7;
    bool cleaning = day == 3 && hour == 5;
    Level level = hour == 2  ? live (life, 5000 * MIB, 0, 0)
                  : cleaning ? live (life, 2000 * MIB, 900, 0)
                             : live (life, 0, 0, 0);
    if (cleaning)
      life->files += 900; /* they come again during the week */
    if (level >= LEVEL_WARN)
      g_error ("day %d, hour %d: %s", (int)((life->time - START) / DAY), (int)hour, life->fixture->rule);
  }
}

static void
test_habits_are_quiet (Fixture *fixture, gconstpointer data)
{
  Life life;
  begin (&life, fixture);
  live_days (&life, 60);
  g_rand_free (life.random);
}

static void
test_two_families (Fixture *fixture, gconstpointer data)
{
  Life life;
  begin (&life, fixture);
  live_days (&life, 21);
  /* Much of one kind alone is no warning: a big import, or a big cleanup. */
  g_assert_cmpint (live (&life, 20000 * MIB, 0, 0), <, LEVEL_WARN);
  live_days (&life, 1);
  g_assert_cmpint (live (&life, 0, 9000, 0), <, LEVEL_WARN);
  live_days (&life, 1);
  /* Both at an hour at which neither is usual are. */
  while (life.time / HOUR % 24 != 12)
    g_assert_cmpint (live (&life, 0, 0, 0), <, LEVEL_WARN);
  g_assert_cmpint (live (&life, 20000 * MIB, 9000, 0), ==, LEVEL_WARN);
  g_assert_cmpstr (fixture->rule, ==, "unusual");
  const Finding *finding = findings_worst (fixture->findings);
  g_assert_true (finding->soft);
  g_assert_cmpuint (g_strv_length (finding->considered), ==, 3);
  g_assert_cmpfloat (finding->seen, >=, finding->expected);
  g_rand_free (life.random);
}

/* The first week has no habits: only thresholds count in it. */
static void
test_first_week (Fixture *fixture, gconstpointer data)
{
  Life life;
  begin (&life, fixture);
  for (guint i = 0; i < 7 * 24 * 6; i++)
    g_assert_cmpint (live (&life, i % 50 == 7 ? 30000 * MIB : 0, i % 50 == 7 ? 9000 : -183, 0), <,
                     LEVEL_WARN);
  g_rand_free (life.random);
}

static void
test_steady_loss (Fixture *fixture, gconstpointer data)
{
  Life life;
  begin (&life, fixture);
  live_days (&life, 15);
  guint64 had = life.files;
  gint64 began = life.time;
  Level level = LEVEL_OK;
  while (level < LEVEL_WARN && life.time < began + DAY)
    level = live (&life, 0, 400, 0);
  g_assert_cmpint (level, ==, LEVEL_WARN);
  g_assert_cmpstr (fixture->rule, ==, "steady-loss");
  g_assert_cmpuint (life.files, >, had / 100 * 85); /* a fifth would have to be gone for slow-deletion */
  g_assert_cmpint (watch_incident (fixture->watch)->sign_us, <=, began + 2 * HOUR);
  g_rand_free (life.random);
}

/* Nothing is learnt while an incident is open, and a restart forgets nothing. */
static void
test_frozen (Fixture *fixture, gconstpointer data)
{
  Life life;
  begin (&life, fixture);
  live_days (&life, 15);
  restart (fixture);
  while (life.time / HOUR % 24 != 12)
    g_assert_cmpint (live (&life, 0, 0, 0), <, LEVEL_WARN);
  g_assert_cmpint (live (&life, 20000 * MIB, 9000, 0), ==, LEVEL_WARN);
  for (guint i = 0; i < 6 * 24 * 14; i++) /* two weeks of it */
    g_assert_cmpint (live (&life, 20000 * MIB, 5, i % 3 ? 0 : 300 * MIB), >=, LEVEL_WARN);
  watch_false_positive (fixture->watch, watch_incident (fixture->watch)->id, fixture->findings, START);
  while (life.time / HOUR % 24 != 12)
    live (&life, 0, 0, 0);
  g_assert_cmpint (live (&life, 20000 * MIB, 9000, 0), ==, LEVEL_WARN);
  g_rand_free (life.random);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/baseline/does-not-depend-on-the-interval", test_interval);
  g_test_add_func ("/baseline/hours-of-the-week-differ", test_hour_of_week);
  g_test_add_func ("/baseline/drift-is-capped", test_drift_is_capped);
  g_test_add_func ("/baseline/its-file-is-small-and-may-be-damaged", test_file);
  g_test_add_func ("/baseline/a-clock-set-back", test_clock_set_back);
  g_test_add_func ("/baseline/what-counts-of-a-step", test_step);
#define ADD(name, function) g_test_add ("/baseline/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("sixty-days-of-habits-are-quiet", test_habits_are_quiet);
  ADD ("two-families-are-unusual-one-is-not", test_two_families);
  ADD ("the-first-week-is-quiet", test_first_week);
  ADD ("steady-loss-is-found-before-slow-deletion", test_steady_loss);
  ADD ("frozen-while-an-incident-is-open", test_frozen);
  return g_test_run ();
}
