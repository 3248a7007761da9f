/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "burst.h"

#include "base/units.h"

#include <stdlib.h>

/* Chosen so that an ordinary host's nightly backups are not bursts each minute: so many times what is usual,
 * and so much in one sample. */
#define TIMES 8u
#define WRITTEN_MIN (64u << 20)
#define DISCARDED_MIN (256u << 20)
#define QUIET_US (30 * (gint64)G_USEC_PER_SEC) /* between two bursts that are told */
#define KNOWN_MIN 6u                           /* samples before anything is usual */

static int
compare (const void *a, const void *b)
{
  guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
  return x < y ? -1 : x > y;
}

static guint64
usual_rate (const Burst *burst)
{
  guint64 sorted[BURST_SAMPLES];
  for (guint i = 0; i < burst->n; i++)
    sorted[i] = burst->rates[i];
  qsort (sorted, burst->n, sizeof *sorted, compare);
  return sorted[burst->n / 2];
}

static char *
judge (const Burst *burst, guint64 written, guint64 discarded, guint64 rate)
{
  if (discarded >= DISCARDED_MIN) {
    g_autofree char *size = size_format (discarded);
    return g_strdup_printf ("%s were discarded at once", size);
  }
  if (burst->n < KNOWN_MIN || written < WRITTEN_MIN || rate < TIMES * usual_rate (burst))
    return NULL;
  g_autofree char *now = size_format (rate), *usual = size_format (usual_rate (burst));
  return g_strdup_printf ("%s are written per second, usually %s", now, usual);
}

char *
burst_add (Burst *burst, gint64 time_us, guint64 written, guint64 discarded)
{
  char *unusual = NULL;
  /* The first one, and the first of another QEMU, has nothing to be compared with. */
  bool follows = burst->time_us > 0 && time_us > burst->time_us && written >= burst->written
                 && discarded >= burst->discarded;
  if (follows) {
    guint64 more = written - burst->written;
    guint64 rate = (guint64)((double)more * G_USEC_PER_SEC / (double)(time_us - burst->time_us));
    unusual = judge (burst, more, discarded - burst->discarded, rate);
    burst->rates[burst->next] = rate;
    burst->next = (burst->next + 1) % BURST_SAMPLES;
    burst->n = MIN (burst->n + 1, BURST_SAMPLES);
  } else {
    burst->n = burst->next = 0;
  }
  if (unusual && burst->told_us && time_us - burst->told_us < QUIET_US)
    g_clear_pointer (&unusual, g_free);
  if (unusual)
    burst->told_us = time_us;
  burst->time_us = time_us;
  burst->written = written;
  burst->discarded = discarded;
  return unusual;
}
