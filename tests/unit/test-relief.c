/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a false positive does: one soft rule, on one guest, by so much, for so long.  The clock is the test's.
 */
#include "guardd/relief.h"

#include "base/json.h"

#include "watch-fixture.h"

static guint
percent_of (Fixture *fixture, gint64 now, const char *rule)
{
  g_autoptr (GPtrArray) reliefs = watch_reliefs (fixture->watch, now);
  guint percent = 0;
  for (guint i = 0; i < reliefs->len; i++) {
    const Relief *relief = reliefs->pdata[i];
    percent += strcmp (relief->rule, rule) == 0 ? relief->percent : 0;
  }
  return percent;
}

/* Of an incident that is open now. */
static void
call_it_false (Fixture *fixture, gint64 now)
{
  const Incident *incident = watch_incident (fixture->watch);
  g_autofree char *id = g_strdup (incident->id);
  g_autoptr (GPtrArray) findings = g_ptr_array_ref (incident->findings);
  watch_false_positive (fixture->watch, id, findings, now);
  g_assert_null (watch_incident (fixture->watch));
}

static void
test_relieves_one_rule (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, FILES, 10ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, 7800, 10ull << 30), ==, LEVEL_WARN);
  g_assert_cmpstr (fixture->rule, ==, "deletion");
  call_it_false (fixture, START + 2 * MINUTE);
  g_assert_cmpuint (percent_of (fixture, START + 2 * MINUTE, "deletion"), ==, 5);
  g_assert_cmpuint (percent_of (fixture, START + 2 * MINUTE, "emptying"), ==, 0);
  /* 23 % are no longer one, 26 % are; it outlives a restart. */
  restart (fixture);
  g_assert_cmpint (judge_counts (fixture, START + 3 * MINUTE, 7800, 10ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 3 * MINUTE, 6006, 10ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 4 * MINUTE, 4444, 10ull << 30), ==, LEVEL_WARN);
  g_assert_cmpstr (fixture->rule, ==, "deletion");
}

static void
test_leaves_hard_rules (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, FILES, 10ull << 30), ==, LEVEL_OK);
  for (guint i = 1; i <= 30; i++) {
    g_assert_cmpint (judge_counts (fixture, START + 2 * i * MINUTE, 900, 10ull << 30), ==, LEVEL_CRITICAL);
    g_assert_cmpstr (fixture->rule, ==, "mass-deletion");
    g_assert_false (((const Finding *)findings_worst (fixture->findings))->soft);
    call_it_false (fixture, START + 2 * i * MINUTE);
    g_autoptr (GPtrArray) reliefs = watch_reliefs (fixture->watch, START + 2 * i * MINUTE);
    g_assert_cmpuint (reliefs->len, ==, 0);
    g_assert_cmpint (judge_counts (fixture, START + (2 * i + 1) * MINUTE, FILES, 10ull << 30), ==, LEVEL_OK);
  }
}

static void
test_is_bounded (Fixture *fixture, gconstpointer data)
{
  GPtrArray *reliefs = reliefs_new ();
  for (guint i = 0; i < 100; i++)
    reliefs_add (reliefs, "emptying", START + i);
  for (guint i = 0; i < 1000; i++) {
    g_autofree char *rule = g_strdup_printf ("rule-%u", i);
    reliefs_add (reliefs, rule, START);
  }
  g_assert_cmpuint (reliefs->len, ==, RELIEFS_MAX);
  g_assert_cmpuint (((const Relief *)reliefs->pdata[0])->percent, ==, RELIEF_MAX_PERCENT);
  g_ptr_array_unref (reliefs);
  /* However often it was wrong: that 90 % are gone is told. */
  g_assert_cmpint (judge_counts (fixture, START, FILES, 100ull << 30), ==, LEVEL_OK);
  for (guint i = 1; i <= 20; i++) {
    g_autoptr (GPtrArray) findings = findings_new ();
    Finding finding = {
      .level = LEVEL_WARN, .rule = "deletion", .disk = "vda", .structure = "", .text = "", .soft = true
    };
    g_ptr_array_add (findings, finding_copy (&finding));
    watch_false_positive (fixture->watch, "of long ago", findings, START + i);
  }
  g_assert_cmpuint (percent_of (fixture, START + 20, "deletion"), ==, RELIEF_MAX_PERCENT);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, FILES * 6 / 10, 100ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + 2 * MINUTE, FILES * 6 / 100, 100ull << 30), ==,
                   LEVEL_CRITICAL);
}

static void
test_expires (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (judge_counts (fixture, START, FILES, 10ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, START + MINUTE, 7800, 10ull << 30), ==, LEVEL_WARN);
  call_it_false (fixture, START + MINUTE);
  gint64 last = START + MINUTE + 30 * DAY - 1;
  g_assert_cmpuint (percent_of (fixture, last, "deletion"), ==, 5);
  g_assert_cmpuint (percent_of (fixture, last + 1, "deletion"), ==, 0);
  g_assert_cmpint (judge_counts (fixture, last + 2, 7800, 10ull << 30), ==, LEVEL_OK);
  g_assert_cmpint (judge_counts (fixture, last + 3, 6000, 10ull << 30), ==, LEVEL_WARN);
  g_assert_cmpstr (fixture->rule, ==, "deletion");
}

static void
test_damaged (void)
{
  static const char text[]
      = "[{\"rule\":\"a\",\"percent\":5,\"until\":\"2026-11-24T02:00:00Z\"},{\"rule\":\"b\",\"percent\":500,"
        "\"until\":\"2026-11-24T02:00:00Z\"},{\"rule\":\"c\",\"percent\":5,\"until\":\"never\"},7,null,{}]";
  g_autoptr (json_object) json = json_parse ("x", text, strlen (text), NULL);
  GPtrArray *reliefs = reliefs_from_json (json);
  g_assert_cmpuint (reliefs->len, ==, 1);
  g_ptr_array_unref (reliefs);
  reliefs = reliefs_from_json (NULL);
  g_assert_cmpuint (reliefs->len, ==, 0);
  /* One that would last for ever, as after the clock was set back, lasts no longer. */
  reliefs_add (reliefs, "a", START + 400 * DAY);
  reliefs_expire (reliefs, START);
  reliefs_expire (reliefs, START + 30 * DAY);
  g_assert_cmpuint (reliefs->len, ==, 0);
  g_ptr_array_unref (reliefs);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/relief/what-is-damaged-relieves-nothing", test_damaged);
#define ADD(name, function) g_test_add ("/relief/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("one-rule-by-five-points-over-a-restart", test_relieves_one_rule);
  ADD ("hard-rules-are-not-relieved", test_leaves_hard_rules);
  ADD ("ninety-percent-are-always-told", test_is_bounded);
  ADD ("thirty-days-and-no-longer", test_expires);
  return g_test_run ();
}
