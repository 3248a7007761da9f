/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the mapping of a large disk may end before the disk does. */
#include "guardd/pull-reach.h"

#define BLOCK ((guint64)65536)

static PullReach *
reach_new (guint disks, guint64 expected)
{
  PullReach *reach = pull_reach_new (disks);
  for (guint i = 0; i < disks; i++)
    pull_reach_expect (reach, i, expected);
  return reach;
}

static void
test_clean (void)
{
  g_autoptr (PullReach) reach = reach_new (2, 0);
  g_assert_true (pull_reach_wait (reach));
  pull_reach_answer (reach, 0, 0);
  pull_reach_answer (reach, 1, BLOCK);
  g_assert_true (pull_reach_all (reach, 0));
  g_assert_false (pull_reach_all (reach, 1));
}

/* Another disk is asked for again, and this one has been written to meanwhile. */
static void
test_what_is_written_later (void)
{
  g_autoptr (PullReach) reach = reach_new (2, 0);
  g_assert_true (pull_reach_wait (reach));
  pull_reach_answer (reach, 0, 0);
  g_assert_true (pull_reach_wait (reach));
  pull_reach_answer (reach, 0, BLOCK);
  g_assert_true (pull_reach_all (reach, 0));
}

static void
test_found_before_the_question (void)
{
  g_autoptr (PullReach) reach = reach_new (1, 2 * BLOCK);
  pull_reach_found (reach, 0, BLOCK);
  pull_reach_found (reach, 0, BLOCK);
  g_assert_true (pull_reach_wait (reach));
  pull_reach_answer (reach, 0, 2 * BLOCK);
  g_assert_true (pull_reach_all (reach, 0));
}

/* The guest wrote where the mapping came by, after the question: the sums are the same, and something that
 * was dirty before is still to be found. */
static void
test_found_after_the_question (void)
{
  g_autoptr (PullReach) reach = reach_new (1, BLOCK);
  pull_reach_found (reach, 0, BLOCK);
  g_assert_true (pull_reach_wait (reach));
  pull_reach_found (reach, 0, BLOCK);
  pull_reach_answer (reach, 0, 2 * BLOCK);
  g_assert_false (pull_reach_all (reach, 0));
}

static void
test_nobody_is_asked_in_vain (void)
{
  g_autoptr (PullReach) reach = reach_new (2, 2 * BLOCK);
  pull_reach_found (reach, 0, BLOCK); /* less than there is known to be */
  pull_reach_mapped (reach, 1);
  pull_reach_end (reach);
  g_assert_false (pull_reach_wait (reach));
}

static void
test_all_are_mapped (void)
{
  g_autoptr (PullReach) reach = reach_new (2, 0);
  pull_reach_mapped (reach, 0);
  pull_reach_mapped (reach, 1);
  g_assert_false (pull_reach_wait (reach));
}

static void
test_disks_that_were_never_expected (void)
{
  g_autoptr (PullReach) reach = pull_reach_new (3);
  g_assert_false (pull_reach_wait (reach));
}

/* A guest that writes faster than QEMU is asked. */
static void
test_questions_have_an_end (void)
{
  g_autoptr (PullReach) reach = reach_new (1, 0);
  guint asked = 0;
  while (pull_reach_wait (reach)) {
    asked++;
    g_assert_cmpuint (asked, <, 100);
    pull_reach_answer (reach, 0, asked * BLOCK);
    pull_reach_found (reach, 0, BLOCK);
  }
  g_assert_false (pull_reach_all (reach, 0));
}

/* It cannot be the bitmap that is mapped: the rest of it is mapped as well. */
static void
test_less_than_was_found (void)
{
  g_autoptr (PullReach) reach = reach_new (1, BLOCK);
  pull_reach_found (reach, 0, 2 * BLOCK);
  g_assert_true (pull_reach_wait (reach));
  pull_reach_answer (reach, 0, BLOCK);
  g_assert_false (pull_reach_all (reach, 0));
  g_assert_false (pull_reach_wait (reach));
}

static gpointer
find_late (gpointer reach)
{
  pull_reach_found (reach, 0, BLOCK);
  return NULL;
}

static void
test_waits_for_what_is_known (void)
{
  g_autoptr (PullReach) reach = reach_new (1, BLOCK);
  GThread *thread = g_thread_new ("find", find_late, reach);
  g_assert_true (pull_reach_wait (reach));
  g_thread_join (thread);
  pull_reach_answer (reach, 0, BLOCK);
  g_assert_true (pull_reach_all (reach, 0));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/reach/clean", test_clean);
  g_test_add_func ("/reach/what-is-written-later", test_what_is_written_later);
  g_test_add_func ("/reach/found-before-the-question", test_found_before_the_question);
  g_test_add_func ("/reach/found-after-the-question", test_found_after_the_question);
  g_test_add_func ("/reach/nobody-is-asked-in-vain", test_nobody_is_asked_in_vain);
  g_test_add_func ("/reach/all-are-mapped", test_all_are_mapped);
  g_test_add_func ("/reach/disks-that-were-never-expected", test_disks_that_were_never_expected);
  g_test_add_func ("/reach/questions-have-an-end", test_questions_have_an_end);
  g_test_add_func ("/reach/less-than-was-found", test_less_than_was_found);
  g_test_add_func ("/reach/waits-for-what-is-known", test_waits_for_what_is_known);
  return g_test_run ();
}
