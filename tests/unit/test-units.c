/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/units.h"

#include <glib.h>
#include <string.h>

static void
duration_is (const char *text, guint64 expected)
{
  g_autoptr (GError) error = NULL;
  guint64 us = 1;
  g_assert_true (duration_parse (text, &us, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (us, ==, expected);
}

static void
test_duration_parse (void)
{
  duration_is ("250ms", 250000);
  duration_is ("90s", 90 * G_USEC_PER_SEC);
  duration_is ("15min", 900 * G_USEC_PER_SEC);
  duration_is ("15 min", 900 * G_USEC_PER_SEC);
  duration_is ("6h", G_GUINT64_CONSTANT (21600000000));
  duration_is ("7d", G_GUINT64_CONSTANT (604800000000));
  duration_is ("2w", G_GUINT64_CONSTANT (1209600000000));
  duration_is ("0s", 0);
}

static void
test_duration_refused (void)
{
  static const char *const wrong[] = { "",
                                       "5",
                                       "s",
                                       "-5s",
                                       "5m",
                                       "5M",
                                       "1.5h",
                                       "5 parsecs",
                                       "5s ",
                                       " 5s",
                                       "99999999999999999999s",
                                       "9999999999999w" };
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;
    guint64 us = 77;
    g_test_message ("%s", wrong[i]);
    g_assert_false (duration_parse (wrong[i], &us, &error));
    g_assert_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE);
    g_assert_cmpuint (us, ==, 77);
  }
}

static void
size_is (const char *text, guint64 expected)
{
  g_autoptr (GError) error = NULL;
  guint64 bytes = 1;
  g_assert_true (size_parse (text, &bytes, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (bytes, ==, expected);
}

static void
test_size_parse (void)
{
  size_is ("0", 0);
  size_is ("512", 512);
  size_is ("512B", 512);
  size_is ("4K", 4096);
  size_is ("64M", 64u << 20);
  size_is ("20G", (guint64)20 << 30);
  size_is ("20GB", (guint64)20 << 30);
  size_is ("20 GiB", (guint64)20 << 30);
  size_is ("1T", (guint64)1 << 40);
}

static void
test_size_refused (void)
{
  static const char *const wrong[]
      = { "", "G", "-1G", "1.5G", "5X", "5Gi", "5GBs", "0x10", "99999999999T", "99999999999999999999" };
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;
    guint64 bytes = 77;
    g_test_message ("%s", wrong[i]);
    g_assert_false (size_parse (wrong[i], &bytes, &error));
    g_assert_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE);
    g_assert_cmpuint (bytes, ==, 77);
  }
}

static void
duration_reads (guint64 us, const char *expected)
{
  g_autofree char *text = duration_format (us);
  g_assert_cmpstr (text, ==, expected);
}

static void
test_duration_format (void)
{
  duration_reads (0, "0 us");
  duration_reads (850, "850 us");
  duration_reads (3200, "3.2 ms");
  duration_reads (14 * G_USEC_PER_SEC, "14 s");
  duration_reads (3 * G_USEC_PER_SEC, "3 s");
  duration_reads (59900000, "1 min");
  duration_reads (9990000, "10 s");
  duration_reads (9000 * (guint64)G_USEC_PER_SEC, "2.5 h");
  duration_reads (400 * 86400 * (guint64)G_USEC_PER_SEC, "400 d");
}

static void
size_reads (guint64 bytes, const char *expected)
{
  g_autofree char *text = size_format (bytes);
  g_assert_cmpstr (text, ==, expected);
}

static void
test_size_format (void)
{
  size_reads (0, "0 B");
  size_reads (1023, "1023 B");
  size_reads (1024, "1.0 KiB");
  size_reads (16u << 20, "16.0 MiB");
  size_reads ((1u << 30) - 1, "1.0 GiB");
  size_reads ((guint64)3 << 39, "1.5 TiB");
  size_reads (G_MAXUINT64, "16384.0 PiB");
}

static void
time_is (const char *text, gint64 expected)
{
  g_autoptr (GError) error = NULL;
  gint64 us = 1;
  g_assert_true (time_parse (text, &us, &error));
  g_assert_no_error (error);
  g_assert_cmpint (us, ==, expected);
}

static void
test_time_parse (void)
{
  const gint64 two = G_GINT64_CONSTANT (1795485600) * G_USEC_PER_SEC;
  time_is ("2026-11-24T02:00:00Z", two);
  time_is ("2026-11-24T02:00:00.123456Z", two + 123456);
  time_is ("2026-11-24T02:00Z", two);
  time_is ("2026-11-24T03:00:00+01:00", two);
  /* The test's zone is UTC+02:00 */
  time_is ("2026-11-24 04:00", two);
  time_is ("2026-11-24 04:00:05", two + 5 * G_USEC_PER_SEC);
}

static void
test_time_refused (void)
{
  static const char *const wrong[] = { "",
                                       "now",
                                       "2026-11-24",
                                       "2026-13-01 00:00",
                                       "42",
                                       "2026-11-24 25:00",
                                       "2026-11-24T02:00:00Zulu",
                                       "24.11.2026 02:00",
                                       "-15min" };
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;
    gint64 us = 77;
    g_test_message ("%s", wrong[i]);
    g_assert_false (time_parse (wrong[i], &us, &error));
    g_assert_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE);
    g_assert_cmpint (us, ==, 77);
  }
}

static void
test_time_survives_format_and_parse (void)
{
  for (int i = 0; i < 2000; i++) {
    gint64 us = (gint64)g_test_rand_int_range (0, G_MAXINT32) * G_USEC_PER_SEC * 4
                + g_test_rand_int_range (0, G_USEC_PER_SEC);
    g_autofree char *text = time_format (us);
    time_is (text, us);
  }
  time_is ("1969-12-31T23:59:59.999999Z", -1);
  g_autofree char *before = time_format (-1), *never = time_format (G_MAXINT64);
  g_assert_cmpstr (before, ==, "1969-12-31T23:59:59.999999Z");
  g_assert_true (g_str_has_prefix (never, "@"));
}

int
main (int argc, char **argv)
{
  g_setenv ("TZ", "UTC-2", TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/units/duration/parse", test_duration_parse);
  g_test_add_func ("/units/duration/refused", test_duration_refused);
  g_test_add_func ("/units/duration/format", test_duration_format);
  g_test_add_func ("/units/size/parse", test_size_parse);
  g_test_add_func ("/units/size/refused", test_size_refused);
  g_test_add_func ("/units/size/format", test_size_format);
  g_test_add_func ("/units/time/parse", test_time_parse);
  g_test_add_func ("/units/time/refused", test_time_refused);
  g_test_add_func ("/units/time/survives", test_time_survives_format_and_parse);
  return g_test_run ();
}
