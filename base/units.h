/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * units.h: durations and sizes as people write and read them.  Pure.  Errors are G_OPTION_ERROR_BAD_VALUE.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* "90s" "15min" "6h" "7d" "2w" "250ms" -> microseconds.  A number alone is refused. */
bool duration_parse (const char *text, guint64 *us, GError **error);
/* "64M" "20G" "1T" "512" "4K" (binary multiples, optional "B"/"iB") -> bytes */
bool size_parse (const char *text, guint64 *bytes, GError **error);
/* "3.2 ms", "14 s", "2.5 h": for people; g_free() */
char *duration_format (guint64 us);
/* "16.0 MiB"; g_free() */
char *size_format (guint64 bytes);
/* ISO 8601 with zone, to microseconds since 1970: "2026-11-24T02:00:00Z", "2026-11-24 02:00" (local) */
bool time_parse (const char *text, gint64 *us, GError **error);
/* "2026-11-24T02:00:00.123456Z"; g_free() */
char *time_format (gint64 us);
