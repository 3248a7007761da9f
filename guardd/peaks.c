/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "peaks.h"

#define MINUTE_US ((gint64)60 * G_USEC_PER_SEC)
#define SLOTS_MAX 168

/* One ring per horizon: a slot holds the most of its stretch of time. */
static const struct {
  guint slots;
  gint64 width_us;
} shapes[GUARDD_HORIZONS] = {
  [GUARDD_HORIZON_HOUR] = { 60, MINUTE_US },
  [GUARDD_HORIZON_DAY] = { 144, 10 * MINUTE_US },
  [GUARDD_HORIZON_WEEK] = { 168, 60 * MINUTE_US },
};

typedef struct {
  gint64 number; /* of the slot since 1970; 0: never used */
  struct guardd_peak most;
  gint64 high_us; /* when used_inodes was last nearly this slot's most */
} Slot;

struct Peaks {
  Slot slots[GUARDD_HORIZONS][SLOTS_MAX];
};

Peaks *
peaks_new (void)
{
  return g_new0 (Peaks, 1);
}

void
peaks_free (gpointer peaks)
{
  g_free (peaks);
}

static void
raise_to (guint64 *most, guint64 value)
{
  if (value != G_MAXUINT64 && value > *most)
    *most = value;
}

/* A fiftieth less: files come and go on any guest. */
static guint64
almost (guint64 most)
{
  return most / 50 * 49;
}

/* Of a fall that began within the hour: what a quiet guest does. */
static guint64
nearly (guint64 most)
{
  return most - most / 500;
}

static void
slot_add (Slot *slot, gint64 number, gint64 time_us, const struct guardd_peak *peak)
{
  if (slot->number != number)
    *slot = (Slot){ .number = number };
  raise_to (&slot->most.used_bytes, peak->used_bytes);
  raise_to (&slot->most.used_inodes, peak->used_inodes);
  raise_to (&slot->most.used_dirs, peak->used_dirs);
  if (peak->used_inodes != G_MAXUINT64 && peak->used_inodes >= nearly (slot->most.used_inodes))
    slot->high_us = time_us;
}

void
peaks_add (Peaks *peaks, gint64 now_us, const struct guardd_structure *is)
{
  struct guardd_peak peak = { is->used_bytes, is->used_inodes, is->used_dirs };
  for (guint i = 0; i < GUARDD_HORIZONS; i++) {
    gint64 number = now_us / shapes[i].width_us;
    slot_add (&peaks->slots[i][number % shapes[i].slots], number, now_us, &peak);
  }
}

/* Whether a slot's time lies within its horizon. */
static bool
slot_counts (const Slot *slot, guint horizon, gint64 now_us)
{
  gint64 now = now_us / shapes[horizon].width_us;
  return slot->number > now - shapes[horizon].slots && slot->number <= now;
}

void
peaks_get (const Peaks *peaks, gint64 now_us, struct guardd_peak peaks_of[GUARDD_HORIZONS])
{
  for (guint i = 0; i < GUARDD_HORIZONS; i++) {
    peaks_of[i] = (struct guardd_peak){ 0 };
    for (guint n = 0; n < shapes[i].slots; n++) {
      const Slot *slot = &peaks->slots[i][n];
      if (!slot_counts (slot, i, now_us))
        continue;
      raise_to (&peaks_of[i].used_bytes, slot->most.used_bytes);
      raise_to (&peaks_of[i].used_inodes, slot->most.used_inodes);
      raise_to (&peaks_of[i].used_dirs, slot->most.used_dirs);
    }
  }
}

gint64
peaks_last_high (const Peaks *peaks, gint64 now_us)
{
  struct guardd_peak most[GUARDD_HORIZONS];
  gint64 last = 0;
  peaks_get (peaks, now_us, most);
  guint64 hour = most[GUARDD_HORIZON_HOUR].used_inodes, high = almost (most[GUARDD_HORIZON_WEEK].used_inodes);
  if (hour >= high)
    high = nearly (hour);
  for (guint i = 0; i < GUARDD_HORIZONS; i++)
    for (guint n = 0; n < shapes[i].slots; n++) {
      const Slot *slot = &peaks->slots[i][n];
      if (slot_counts (slot, i, now_us) && slot->most.used_inodes >= high)
        last = MAX (last, slot->high_us);
    }
  return last;
}

json_object *
peaks_to_json (const Peaks *peaks)
{
  json_object *rings = json_object_new_array ();
  for (guint i = 0; i < GUARDD_HORIZONS; i++) {
    json_object *ring = json_object_new_array ();
    for (guint n = 0; n < shapes[i].slots; n++) {
      const Slot *slot = &peaks->slots[i][n];
      if (slot->number == 0)
        continue;
      const gint64 numbers[] = { slot->number, (gint64)slot->most.used_bytes, (gint64)slot->most.used_inodes,
                                 (gint64)slot->most.used_dirs, slot->high_us };
      json_object *values = json_object_new_array ();
      for (guint v = 0; v < G_N_ELEMENTS (numbers); v++)
        json_object_array_add (values, json_object_new_int64 (numbers[v]));
      json_object_array_add (ring, values);
    }
    json_object_array_add (rings, ring);
  }
  return rings;
}

static guint64
number_at (json_object *array, size_t index)
{
  gint64 value = json_object_get_int64 (json_object_array_get_idx (array, index));
  return value > 0 ? (guint64)value : 0;
}

Peaks *
peaks_from_json (json_object *json)
{
  Peaks *peaks = peaks_new ();
  for (guint i = 0; i < GUARDD_HORIZONS; i++) {
    json_object *ring
        = json_object_is_type (json, json_type_array) ? json_object_array_get_idx (json, i) : NULL;
    size_t n = json_object_is_type (ring, json_type_array) ? json_object_array_length (ring) : 0;
    for (size_t s = 0; s < n; s++) {
      json_object *values = json_object_array_get_idx (ring, s);
      if (!json_object_is_type (values, json_type_array) || json_object_array_length (values) != 5)
        continue;
      guint64 number = number_at (values, 0);
      struct guardd_peak peak = { number_at (values, 1), number_at (values, 2), number_at (values, 3) };
      slot_add (&peaks->slots[i][number % shapes[i].slots], (gint64)number, (gint64)number_at (values, 4),
                &peak);
    }
  }
  return peaks;
}
