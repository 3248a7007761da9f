/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * schedule.h: when the next snapshot of a guest is due, and who goes first.
 * Pure: times come in as microseconds of a monotonic clock.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The next due time on the grid of `due` that lies after `now`; *missed: how many due times between
 * were passed over (0 when on time).  A clock that jumped never makes a queue of late captures. */
gint64 schedule_next (gint64 due, guint64 interval, gint64 now, guint64 *missed);

/* A first due time for a guest seen at `now`: spread within one interval by its identity, so that a
 * hundred guests are not captured in the same millisecond.  At most `interval` later. */
gint64 schedule_first (const char *uuid, guint64 interval, gint64 now);

/* How many captures may start now.
 * parallel: the limit; running: captures under way; overdue: those of them that have been running for
 * longer than their share (SCHEDULE_SHARE_US) and so no longer count, up to a hard limit of eight times
 * parallel: a few guests that hang must not stop the others. */
#define SCHEDULE_SHARE_US (2 * G_USEC_PER_SEC)
guint schedule_slots (guint parallel, guint running, guint overdue);
