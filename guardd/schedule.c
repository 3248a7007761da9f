/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "schedule.h"

#define HARD_LIMIT_FACTOR 8

gint64
schedule_next (gint64 due, guint64 interval, gint64 now, guint64 *missed)
{
  guint64 late;

  g_return_val_if_fail (interval > 0, now);
  *missed = 0;
  if (now < due)
    return due;
  late = (guint64)(now - due) / interval;
  *missed = late;
  return due + (gint64)((late + 1) * interval);
}

gint64
schedule_first (const char *uuid, guint64 interval, gint64 now)
{
  return now + (gint64)(g_str_hash (uuid) % 1024 * (interval / 1024));
}

guint
schedule_slots (guint parallel, guint running, guint overdue)
{
  guint young = running - MIN (overdue, running);
  guint hard = parallel * HARD_LIMIT_FACTOR;

  if (young >= parallel || running >= hard)
    return 0;
  return MIN (parallel - young, hard - running);
}
