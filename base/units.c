/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "units.h"

#include <string.h>

typedef struct {
  const char *name;
  guint64 factor;
} Unit;

/* Ascending.  No "m": it is taken for minutes by one and for months or milliseconds by the next. */
static const Unit duration_units[] = {
  { "us", 1 },
  { "ms", 1000 },
  { "s", G_USEC_PER_SEC },
  { "min", 60 * (guint64)G_USEC_PER_SEC },
  { "h", 3600 * (guint64)G_USEC_PER_SEC },
  { "d", 24 * 3600 * (guint64)G_USEC_PER_SEC },
  { "w", 7 * 24 * 3600 * (guint64)G_USEC_PER_SEC },
};

static const Unit size_units[] = {
  { "K", (guint64)1 << 10 }, { "M", (guint64)1 << 20 }, { "G", (guint64)1 << 30 },
  { "T", (guint64)1 << 40 }, { "P", (guint64)1 << 50 },
};

static bool
units_fail (const char *text, const char *why, GError **error)
{
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "\"%s\": %s", text, why);
  return false;
}

/* Reads the digits at the start; *end is what follows them. */
static bool
number_scan (const char *text, guint64 *number, const char **end)
{
  guint64 value = 0;
  const char *p = text;
  for (; g_ascii_isdigit (*p); p++)
    if (!g_uint64_checked_mul (&value, value, 10)
        || !g_uint64_checked_add (&value, value, (guint64)(*p - '0')))
      return false;
  *number = value;
  *end = p;
  return p != text;
}

bool
duration_parse (const char *text, guint64 *us, GError **error)
{
  static const char accepted[] = "a duration is a whole number and a unit (ms, s, min, h, d or w), "
                                 "such as 90s, 15min or 7d";
  guint64 number, value;
  const char *unit;
  if (!number_scan (text, &number, &unit))
    return units_fail (text, accepted, error);
  while (*unit == ' ')
    unit++;
  for (guint i = 0; i < G_N_ELEMENTS (duration_units); i++) {
    if (strcmp (unit, duration_units[i].name) != 0)
      continue;
    if (!g_uint64_checked_mul (&value, number, duration_units[i].factor) || value > G_MAXINT64)
      return units_fail (text, "too long a duration", error);
    *us = value;
    return true;
  }
  return units_fail (text, accepted, error);
}

bool
size_parse (const char *text, guint64 *bytes, GError **error)
{
  static const char accepted[] = "a size is a whole number of bytes, or one with K, M, G, T or P "
                                 "(powers of 1024), such as 512M or 20G";
  guint64 number, factor = 0;
  const char *unit;
  if (!number_scan (text, &number, &unit))
    return units_fail (text, accepted, error);
  while (*unit == ' ')
    unit++;
  if (*unit == '\0' || strcmp (unit, "B") == 0)
    factor = 1;
  for (guint i = 0; factor == 0 && i < G_N_ELEMENTS (size_units); i++)
    if (g_str_has_prefix (unit, size_units[i].name)
        && (unit[1] == '\0' || strcmp (unit + 1, "B") == 0 || strcmp (unit + 1, "iB") == 0))
      factor = size_units[i].factor;
  if (factor == 0)
    return units_fail (text, accepted, error);
  if (!g_uint64_checked_mul (&number, number, factor) || number > G_MAXINT64)
    return units_fail (text, "too large a size", error);
  *bytes = number;
  return true;
}

char *
duration_format (guint64 us)
{
  static const char *const names[] = { "us", "ms", "s", "min", "h", "d" };
  guint unit = 0;
  /* The next unit from where rounding to whole ones would reach it: "1 min", never "60 s". */
  while (unit + 1 < G_N_ELEMENTS (names)
         && us + duration_units[unit].factor / 2 >= duration_units[unit + 1].factor)
    unit++;
  double value = (double)us / (double)duration_units[unit].factor;
  g_autofree char *tenths = g_strdup_printf ("%.1f", value);
  if (value >= 9.95 || g_str_has_suffix (tenths, ".0"))
    return g_strdup_printf ("%.0f %s", value, names[unit]);
  return g_strdup_printf ("%s %s", tenths, names[unit]);
}

char *
size_format (guint64 bytes)
{
  if (bytes < 1024)
    return g_strdup_printf ("%" G_GUINT64_FORMAT " B", bytes);
  guint unit = 0;
  double value = (double)bytes / 1024;
  while (unit + 1 < G_N_ELEMENTS (size_units) && value >= 1023.95) {
    value /= 1024;
    unit++;
  }
  return g_strdup_printf ("%.1f %siB", value, size_units[unit].name);
}

/* --- time --- */

/* True where `text` begins as `form` does: 'd' is a digit, '+' is 'T', 't' or a space. */
static bool
form_matches (const char *text, const char *form)
{
  for (; *form; text++, form++) {
    bool same = *form == 'd'   ? g_ascii_isdigit (*text)
                : *form == '+' ? *text == 'T' || *text == 't' || *text == ' '
                               : *text == *form;
    if (!same)
      return false;
  }
  return true;
}

/* ".123456" -> 123456; *end behind the digits.  More digits than six are cut. */
static gint64
fraction_scan (const char *text, const char **end)
{
  gint64 value = 0, place = G_USEC_PER_SEC / 10;
  if (*text == '.')
    for (text++; g_ascii_isdigit (*text); text++, place /= 10)
      value += place * (*text - '0');
  *end = text;
  return value;
}

bool
time_parse (const char *text, gint64 *us, GError **error)
{
  static const char accepted[] = "a time is written 2026-11-24T02:00:00Z, or 2026-11-24 02:00 in local time";
  const char *zone = text + strlen ("2026-11-24T02:00");
  gint64 fraction = 0;
  if (!form_matches (text, "dddd-dd-dd+dd:dd"))
    return units_fail (text, accepted, error);
  if (form_matches (zone, ":dd"))
    fraction = fraction_scan (zone + 3, &zone);
  /* GLib gets no fraction (it keeps seconds in a double, which loses microseconds), and always seconds. */
  g_autofree char *seconds = form_matches (text + 16, ":dd") ? g_strndup (text + 16, 3) : g_strdup (":00");
  g_autofree char *whole = g_strdup_printf ("%.16s%s%s", text, seconds, zone);
  g_autoptr (GTimeZone) local = g_time_zone_new_local ();
  g_autoptr (GDateTime) time = g_date_time_new_from_iso8601 (whole, local);
  if (time == NULL)
    return units_fail (text, accepted, error);
  *us = g_date_time_to_unix (time) * G_USEC_PER_SEC + fraction;
  return true;
}

char *
time_format (gint64 us)
{
  gint64 seconds = us / G_USEC_PER_SEC, fraction = us % G_USEC_PER_SEC;
  if (fraction < 0) {
    fraction += G_USEC_PER_SEC;
    seconds--;
  }
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (seconds);
  if (time == NULL) /* beyond the year 9999: a damaged file; still to be shown */
    return g_strdup_printf ("@%" G_GINT64_FORMAT "us", us);
  g_autofree char *whole = g_date_time_format (time, "%Y-%m-%dT%H:%M:%S");
  return g_strdup_printf ("%s.%06dZ", whole, (int)fraction);
}
