/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tally.h: what changed on a disk within the last minutes, summed over its snapshots.  Who encrypts a little
 * in each interval is seen by the sum.  A value; kept in memory only.
 */
#pragma once

#include <glib.h>
#include <guardd/detector.h>

#define TALLY_US ((gint64)10 * 60 * G_USEC_PER_SEC)

typedef struct Tally Tally;

Tally *tally_new (void);
void tally_free (gpointer tally);
/* time_us: of the snapshot, since 1970; they come in order. */
void tally_add (Tally *tally, gint64 time_us, const struct guardd_observation *seen);
void tally_get (const Tally *tally, gint64 now_us, struct guardd_recent *recent);
/* The first snapshot with a part in what was zeroed or became of high entropy since; 0: there is none. */
gint64 tally_began (const Tally *tally, gint64 now_us);
void tally_clear (Tally *tally);
