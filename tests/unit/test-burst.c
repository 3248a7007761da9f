/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a guest writes so much that its next snapshot cannot wait. */
#include "guardd/burst.h"

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define SECOND ((gint64)G_USEC_PER_SEC)

typedef struct {
  Burst burst;
  gint64 time;
  guint64 written, discarded;
} Guest;

/* A second later. */
static bool
goes_on (Guest *guest, guint64 written, guint64 discarded)
{
  guest->time += SECOND;
  guest->written += written;
  guest->discarded += discarded;
  g_autofree char *why = burst_add (&guest->burst, guest->time, guest->written, guest->discarded);
  return why != NULL;
}

static Guest
usually (guint64 rate)
{
  Guest guest = { .time = SECOND };
  for (int i = 0; i < 12; i++)
    g_assert_false (goes_on (&guest, rate, 0));
  return guest;
}

static void
test_far_more_than_usual (void)
{
  Guest guest = usually (MIB);
  g_assert_false (goes_on (&guest, 7 * MIB, 0));
  g_assert_true (goes_on (&guest, 200 * MIB, 0));
}

static void
test_busy_is_no_burst (void)
{
  Guest guest = usually (100 * MIB);
  g_assert_false (goes_on (&guest, 300 * MIB, 0));
}

static void
test_unknown_is_no_burst (void)
{
  Guest guest = { .time = SECOND };
  g_assert_false (goes_on (&guest, 900 * MIB, 0));
  g_assert_false (goes_on (&guest, 900 * MIB, 0));
}

static void
test_discards (void)
{
  Guest guest = { .time = SECOND };
  g_assert_false (goes_on (&guest, 0, 0));
  g_assert_false (goes_on (&guest, 0, 10 * MIB));
  g_assert_true (goes_on (&guest, 0, 300 * MIB));
}

static void
test_told_once (void)
{
  Guest guest = usually (0);
  g_assert_true (goes_on (&guest, 200 * MIB, 0));
  for (int i = 0; i < 29; i++)
    g_assert_false (goes_on (&guest, 200 * MIB, 300 * MIB));
}

/* Totals begin again with another QEMU. */
static void
test_restart (void)
{
  Guest guest = usually (MIB);
  guest.written = 0;
  g_assert_false (goes_on (&guest, 0, 0));
  g_assert_false (goes_on (&guest, 900 * MIB, 0));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/burst/far_more_than_usual", test_far_more_than_usual);
  g_test_add_func ("/burst/a_busy_guest_is_no_burst", test_busy_is_no_burst);
  g_test_add_func ("/burst/nothing_is_unusual_at_first", test_unknown_is_no_burst);
  g_test_add_func ("/burst/discards", test_discards);
  g_test_add_func ("/burst/told_once_in_a_while", test_told_once);
  g_test_add_func ("/burst/another_qemu_begins_at_zero", test_restart);
  return g_test_run ();
}
