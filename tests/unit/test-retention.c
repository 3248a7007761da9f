/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guardd/retention.h"

#include <string.h>

#define MINUTE ((gint64)60 * G_USEC_PER_SEC)
#define ROUNDS 400

static Retention *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  Retention *retention = retention_parse (text, &error);
  g_assert_no_error (error);
  return retention;
}

static guint
kept (const RetentionItem *items, size_t n)
{
  guint sum = 0;
  for (size_t i = 0; i < n; i++)
    sum += items[i].keep;
  return sum;
}

/* --- parsing --- */

static void
test_text_comes_back (void)
{
  g_autoptr (Retention) retention = parse (" 60x1min, 24x1h\t14x1d 8x1w ");
  g_autofree char *text = retention_to_string (retention);
  g_assert_cmpstr (text, ==, "60x1min 24x1h 14x1d 8x1w");
}

static void
test_wrong_words_are_named (void)
{
  static const char *const words[] = { "24",
                                       "x1h",
                                       "0x1h",
                                       "-1x1h",
                                       "+5x1h",
                                       "24x",
                                       "24x1",
                                       "24x0s",
                                       "24 x1h",
                                       "24x1h5",
                                       "9999999x1h",
                                       "99999999999999999999999x1h",
                                       "24x99999999999999999999w" };
  for (guint i = 0; i < G_N_ELEMENTS (words); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *text = g_strconcat ("2x1d ", words[i], NULL);
    g_auto (GStrv) parts = g_strsplit (words[i], " ", -1);
    g_assert_null (retention_parse (text, &error));
    g_assert_nonnull (strstr (error->message, parts[0]));
  }
}

static void
test_nothing_is_no_retention (void)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (retention_parse (" , ", &error));
  g_assert_nonnull (error);
}

/* --- examples --- */

static void
test_newest_of_each_of_the_last_periods_stays (void)
{
  /* 00:00:10 00:00:50 | 00:01:10 | nothing in 00:02 | 00:03:20 00:03:40 */
  RetentionItem items[] = { { 1, 10 * G_USEC_PER_SEC },
                            { 2, 50 * G_USEC_PER_SEC },
                            { 3, 70 * G_USEC_PER_SEC },
                            { 4, 200 * G_USEC_PER_SEC },
                            { 5, 220 * G_USEC_PER_SEC } };
  g_autoptr (Retention) three = parse ("3x1min"), two = parse ("2x1min");
  retention_apply (three, items, 5);
  g_assert_false (items[0].keep);
  g_assert_true (items[1].keep && items[2].keep && items[4].keep);
  g_assert_false (items[3].keep);
  retention_apply (two, items, 5);
  g_assert_false (items[1].keep);
  g_assert_true (items[2].keep && items[4].keep);
}

static void
test_steps_add_up (void)
{
  RetentionItem items[240];
  g_autoptr (Retention) retention = parse ("10x1min 3x1h");
  for (guint i = 0; i < 240; i++)
    items[i] = (RetentionItem){ .number = i + 1, .time_us = i * MINUTE };
  retention_apply (retention, items, 240);
  for (guint i = 0; i < 240; i++)
    g_assert_cmpint (items[i].keep, ==, i >= 230 || i == 179 || i == 119);
}

static void
test_pinned_ones_stay_and_use_up_nothing (void)
{
  RetentionItem items[] = { { 1, 1 * MINUTE, true },
                            { 2, 2 * MINUTE },
                            { 3, 3 * MINUTE, true },
                            { 4, 4 * MINUTE },
                            { 5, 5 * MINUTE, true } };
  g_autoptr (Retention) retention = parse ("2x1min");
  retention_apply (retention, items, 5);
  g_assert_cmpuint (kept (items, 5), ==, 5);
}

static void
test_clock_that_was_in_the_future_costs_no_more_than_its_periods (void)
{
  RetentionItem items[30];
  g_autoptr (Retention) retention = parse ("20x1min");
  for (guint i = 0; i < 30; i++) /* 5 snapshots, number 11 to 15, a year ahead */
    items[i] = (RetentionItem){ .number = i + 1,
                                .time_us = i * MINUTE + (i >= 10 && i < 15 ? 525600 * MINUTE : 0) };
  retention_apply (retention, items, 30);
  for (guint i = 0; i < 30; i++)
    g_assert_cmpint (items[i].keep, ==, i >= 10);
}

static void
test_clock_that_fell_back_does_not_throw_the_past_away (void)
{
  RetentionItem items[20];
  g_autoptr (Retention) retention = parse ("15x1min");
  for (guint i = 0; i < 20; i++) /* the last ten in 1970 */
    items[i]
        = (RetentionItem){ .number = i + 1, .time_us = i < 10 ? (30000000 + i) * MINUTE : (i - 10) * MINUTE };
  retention_apply (retention, items, 20);
  for (guint i = 0; i < 20; i++)
    g_assert_cmpint (items[i].keep, ==, i >= 5);
}

static void
test_times_before_1970_have_periods_too (void)
{
  RetentionItem items[] = { { 1, -MINUTE - 1 }, { 2, -MINUTE }, { 3, -1 }, { 4, 0 }, { 5, MINUTE - 1 } };
  g_autoptr (Retention) retention = parse ("9x1min");
  retention_apply (retention, items, 5);
  g_assert_true (items[0].keep && items[2].keep && items[4].keep);
  g_assert_false (items[1].keep || items[3].keep);
}

static void
test_no_items_are_fine (void)
{
  g_autoptr (Retention) retention = parse ("1x1s");
  retention_apply (retention, NULL, 0);
}

/* --- properties, on random pasts --- */

typedef struct {
  Retention *retention;
  guint64 count; /* sum of the steps' counts */
  RetentionItem items[200];
  guint n;
} Past;

static void
past_random (Past *past)
{
  static const char *const periods[] = { "1s", "7s", "1min", "10min", "1h", "1d" };
  g_autoptr (GString) text = g_string_new (NULL);
  gint64 now = (gint64)g_test_rand_int_range (0, 1000000) * MINUTE;
  past->count = 0;
  for (int steps = g_test_rand_int_range (1, 5); steps > 0; steps--) {
    int count = g_test_rand_int_range (1, 12);
    past->count += (guint64)count;
    g_string_append_printf (text, " %dx%s", count, periods[g_test_rand_int_range (0, 6)]);
  }
  past->retention = parse (text->str);
  past->n = (guint)g_test_rand_int_range (1, 200);
  guint64 number = 1;
  for (guint i = 0; i < past->n; i++) {
    int what = g_test_rand_int_range (0, 40);
    now += what == 0   ? -(gint64)g_test_rand_int_range (0, 100000) * G_USEC_PER_SEC
           : what == 1 ? (gint64)g_test_rand_int_range (0, 100000) * G_USEC_PER_SEC
           : what == 2 ? 0
                       : (gint64)g_test_rand_int_range (0, 120) * G_USEC_PER_SEC;
    past->items[i] = (RetentionItem){ .number = number, .time_us = now, .pinned = what == 3 };
    number += (guint64)g_test_rand_int_range (1, 4);
  }
}

static void
items_shuffle (RetentionItem *items, guint n)
{
  for (guint i = n; i > 1; i--) {
    guint k = (guint)g_test_rand_int_range (0, (gint32)i);
    RetentionItem swap = items[i - 1];
    items[i - 1] = items[k];
    items[k] = swap;
  }
}

static bool
items_keep (const RetentionItem *items, guint n, guint64 number)
{
  for (guint i = 0; i < n; i++)
    if (items[i].number == number)
      return items[i].keep;
  return false;
}

static void
test_applied_to_the_survivors_it_removes_nothing (void)
{
  for (guint round = 0; round < ROUNDS; round++) {
    Past past;
    RetentionItem survivors[200];
    guint n = 0;
    past_random (&past);
    retention_apply (past.retention, past.items, past.n);
    for (guint i = 0; i < past.n; i++)
      if (past.items[i].keep)
        survivors[n++] = past.items[i];
    retention_apply (past.retention, survivors, n);
    g_assert_cmpuint (kept (survivors, n), ==, n);
    retention_free (past.retention);
  }
}

static void
test_newer_snapshots_bring_nothing_back (void)
{
  for (guint round = 0; round < ROUNDS; round++) {
    Past past;
    RetentionItem earlier[200];
    past_random (&past);
    guint n = (guint)g_test_rand_int_range (1, (gint32)past.n + 1);
    memcpy (earlier, past.items, sizeof earlier);
    retention_apply (past.retention, earlier, n);
    retention_apply (past.retention, past.items, past.n);
    for (guint i = 0; i < n; i++)
      g_assert_true (!past.items[i].keep || earlier[i].keep);
    retention_free (past.retention);
  }
}

static void
test_what_stays_is_bounded (void)
{
  for (guint round = 0; round < ROUNDS; round++) {
    Past past;
    guint64 pinned = 0;
    past_random (&past);
    retention_apply (past.retention, past.items, past.n);
    for (guint i = 0; i < past.n; i++) {
      pinned += past.items[i].pinned;
      g_assert_true (past.items[i].keep || !past.items[i].pinned);
    }
    g_assert_cmpuint (kept (past.items, past.n), <=, past.count + pinned + 1);
    g_assert_true (past.items[past.n - 1].keep);
    retention_free (past.retention);
  }
}

static void
test_order_does_not_matter (void)
{
  for (guint round = 0; round < ROUNDS; round++) {
    Past past;
    RetentionItem shuffled[200];
    past_random (&past);
    memcpy (shuffled, past.items, sizeof shuffled);
    items_shuffle (shuffled, past.n);
    retention_apply (past.retention, past.items, past.n);
    retention_apply (past.retention, shuffled, past.n);
    for (guint i = 0; i < past.n; i++)
      g_assert_cmpint (past.items[i].keep, ==, items_keep (shuffled, past.n, past.items[i].number));
    retention_free (past.retention);
  }
}

#define ADD(name) g_test_add_func ("/retention/" #name, test_##name)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (text_comes_back);
  ADD (wrong_words_are_named);
  ADD (nothing_is_no_retention);
  ADD (newest_of_each_of_the_last_periods_stays);
  ADD (steps_add_up);
  ADD (pinned_ones_stay_and_use_up_nothing);
  ADD (clock_that_was_in_the_future_costs_no_more_than_its_periods);
  ADD (clock_that_fell_back_does_not_throw_the_past_away);
  ADD (times_before_1970_have_periods_too);
  ADD (no_items_are_fine);
  ADD (applied_to_the_survivors_it_removes_nothing);
  ADD (newer_snapshots_bring_nothing_back);
  ADD (what_stays_is_bounded);
  ADD (order_does_not_matter);
  return g_test_run ();
}
