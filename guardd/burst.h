/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * burst.h: does a guest suddenly write, or throw away, far more than it uses to?  Pure.
 *
 * What a guest does between two snapshots costs nothing to ask QEMU for, and says when not to wait for the
 * next one.  It says nothing about good or bad, and no format is seen by it: a format writes next to nothing.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define BURST_SAMPLES 24u

typedef struct {
  guint64 rates[BURST_SAMPLES]; /* bytes written per second, of the last samples */
  guint n, next;
  guint64 written, discarded; /* totals at the last sample, since the start of QEMU */
  gint64 time_us;             /* of the last sample; 0: none yet */
  gint64 told_us;             /* when the last burst was told; 0: never */
} Burst;

/* One sample: totals since the start of QEMU, time of a monotonic clock.  NULL, or what is unusual, a
 * sentence for the log; g_free(). */
char *burst_add (Burst *burst, gint64 time_us, guint64 written, guint64 discarded);
