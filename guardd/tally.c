/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tally.h"

#include <stdbool.h>
#include <string.h>

#define ENTRIES_MAX 128u
#define PART_MIN 50u /* a snapshot with less than a 50th of the sum is not where it began */

typedef struct {
  gint64 time_us; /* of the first snapshot in it */
  struct guardd_recent sum;
} Entry;

struct Tally {
  GArray *entries; /* Entry, in order of time */
};

Tally *
tally_new (void)
{
  Tally *tally = g_new0 (Tally, 1);
  tally->entries = g_array_new (false, true, sizeof (Entry));
  return tally;
}

void
tally_free (gpointer opaque)
{
  Tally *tally = opaque;
  if (tally == NULL)
    return;
  g_array_unref (tally->entries);
  g_free (tally);
}

static void
add (struct guardd_recent *to, const struct guardd_recent *from)
{
  for (guint i = 0; i < GUARDD_CHANGE_CLASSES; i++)
    for (guint j = 0; j < GUARDD_PLACES; j++)
      to->changed[i][j] += from->changed[i][j];
  to->exchange.freed_bytes += from->exchange.freed_bytes;
  to->exchange.freed_low_bytes += from->exchange.freed_low_bytes;
  to->exchange.taken_bytes += from->exchange.taken_bytes;
  to->exchange.taken_high_bytes += from->exchange.taken_high_bytes;
  to->exchange.taken_packed_bytes += from->exchange.taken_packed_bytes;
  to->exchange.freed_inodes += from->exchange.freed_inodes;
  to->exchange.new_inodes += from->exchange.new_inodes;
}

/* Snapshots by the second: neighbours are summed, and time is known less exactly. */
static void
merge (GArray *entries)
{
  guint n = 0;
  for (guint i = 0; i < entries->len; i += 2) {
    Entry entry = g_array_index (entries, Entry, i);
    if (i + 1 < entries->len)
      add (&entry.sum, &g_array_index (entries, Entry, i + 1).sum);
    g_array_index (entries, Entry, n++) = entry;
  }
  g_array_set_size (entries, n);
}

void
tally_add (Tally *tally, gint64 time_us, const struct guardd_observation *seen)
{
  Entry entry = { .time_us = time_us, .sum = { .exchange = seen->exchange } };
  memcpy (entry.sum.changed, seen->changed, sizeof entry.sum.changed);
  while (tally->entries->len && g_array_index (tally->entries, Entry, 0).time_us <= time_us - TALLY_US)
    g_array_remove_index (tally->entries, 0);
  if (tally->entries->len == ENTRIES_MAX)
    merge (tally->entries);
  g_array_append_val (tally->entries, entry);
}

void
tally_get (const Tally *tally, gint64 now_us, struct guardd_recent *recent)
{
  *recent = (struct guardd_recent){ .changed = { { 0 } } };
  for (guint i = 0; i < tally->entries->len; i++) {
    const Entry *entry = &g_array_index (tally->entries, Entry, i);
    if (entry->time_us > now_us - TALLY_US)
      add (recent, &entry->sum);
  }
}

/* What attacks make of what is in use, or of files that go. */
static guint64
became_bad (const struct guardd_recent *sum)
{
  static const enum guardd_change_class classes[]
      = { GUARDD_CHANGE_LOW_TO_HIGH, GUARDD_CHANGE_LOW_TO_MID, GUARDD_CHANGE_ZERO_TO_HIGH,
          GUARDD_CHANGE_TO_ZERO, GUARDD_CHANGE_COLLAPSED };
  guint64 bad = sum->exchange.freed_low_bytes + sum->exchange.taken_high_bytes;
  for (guint i = 0; i < G_N_ELEMENTS (classes); i++) {
    const uint64_t *places = sum->changed[classes[i]];
    bool zeroed = classes[i] == GUARDD_CHANGE_TO_ZERO || classes[i] == GUARDD_CHANGE_COLLAPSED;
    bad += places[GUARDD_PLACE_KEPT] + places[GUARDD_PLACE_LATE] + places[GUARDD_PLACE_METADATA]
           + places[GUARDD_PLACE_RUINED] + (zeroed ? 0 : places[GUARDD_PLACE_NEW]);
  }
  return bad;
}

gint64
tally_began (const Tally *tally, gint64 now_us)
{
  struct guardd_recent recent;
  tally_get (tally, now_us, &recent);
  guint64 all = became_bad (&recent);
  for (guint i = 0; all > 0 && i < tally->entries->len; i++) {
    const Entry *entry = &g_array_index (tally->entries, Entry, i);
    if (entry->time_us > now_us - TALLY_US && became_bad (&entry->sum) >= all / PART_MIN)
      return entry->time_us;
  }
  return 0;
}

void
tally_clear (Tally *tally)
{
  g_array_set_size (tally->entries, 0);
}
