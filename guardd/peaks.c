/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "peaks.h"

#define MINUTE_US ((gint64)60 * G_USEC_PER_SEC)
#define SLOTS_MAX 168

#define HELD_MINUTES 30

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
  gint64 number;                  /* of the slot since 1970; 0: never used */
  struct guardd_peak most;        /* that was held */
  struct guardd_peak least;       /* of what was seen; UINT64_MAX: not known.  The hour's alone are used. */
  gint64 high_us[PEAKS_COUNTERS]; /* when what was held was last nearly this slot's most */
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

static void
lower_to (guint64 *least, guint64 value)
{
  *least = MIN (*least, value);
}

static void
lower_all (struct guardd_peak *least, const struct guardd_peak *to)
{
  lower_to (&least->used_bytes, to->used_bytes);
  lower_to (&least->used_inodes, to->used_inodes);
  lower_to (&least->used_dirs, to->used_dirs);
}

static guint64
counter_of (const struct guardd_peak *peak, PeaksCounter counter)
{
  return counter == PEAKS_BYTES ? peak->used_bytes : peak->used_inodes;
}

static guint64
nearly (guint64 most)
{
  return most - most / 500;
}

static const struct guardd_peak unknown = { G_MAXUINT64, G_MAXUINT64, G_MAXUINT64 };

static Slot *
slot_at (Peaks *peaks, guint horizon, gint64 time_us)
{
  gint64 number = time_us / shapes[horizon].width_us;
  Slot *slot = &peaks->slots[horizon][number % shapes[horizon].slots];
  if (slot->number != number)
    *slot = (Slot){ .number = number, .least = unknown };
  return slot;
}

static void
slot_raise (Slot *slot, gint64 time_us, const struct guardd_peak *held)
{
  raise_to (&slot->most.used_bytes, held->used_bytes);
  raise_to (&slot->most.used_inodes, held->used_inodes);
  raise_to (&slot->most.used_dirs, held->used_dirs);
  for (guint i = 0; i < PEAKS_COUNTERS; i++) {
    guint64 value = counter_of (held, i);
    if (value != G_MAXUINT64 && value >= nearly (counter_of (&slot->most, i)))
      slot->high_us[i] = time_us;
  }
}

/* The least that was seen in the half hour before. */
static struct guardd_peak
find_held (const Peaks *peaks, gint64 now_us)
{
  struct guardd_peak held = unknown;
  gint64 now = now_us / MINUTE_US;
  for (guint n = 0; n < shapes[GUARDD_HORIZON_HOUR].slots; n++) {
    const Slot *slot = &peaks->slots[GUARDD_HORIZON_HOUR][n];
    if (slot->number > now - HELD_MINUTES && slot->number <= now)
      lower_all (&held, &slot->least);
  }
  return held;
}

void
peaks_add (Peaks *peaks, gint64 now_us, const struct guardd_structure *is)
{
  const struct guardd_peak seen = { is->used_bytes, is->used_inodes, is->used_dirs };
  lower_all (&slot_at (peaks, GUARDD_HORIZON_HOUR, now_us)->least, &seen);
  const struct guardd_peak held = find_held (peaks, now_us);
  for (guint i = 0; i < GUARDD_HORIZONS; i++)
    slot_raise (slot_at (peaks, i, now_us), now_us, &held);
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

/* How high is high, so that what is lower has begun to fall. */
static guint64
find_high (const struct guardd_peak most[GUARDD_HORIZONS], enum guardd_horizon horizon, PeaksCounter counter,
           guint64 is)
{
  guint64 hour = counter_of (&most[GUARDD_HORIZON_HOUR], counter);
  guint64 top = counter_of (&most[horizon], counter), high = top - top / 50;
  /* It fell within this hour: what a quiet guest does. */
  if (hour > 0 && (horizon == GUARDD_HORIZON_HOUR || hour >= high))
    high = MIN (nearly (hour), hour - (hour > is ? hour - is : 0) / 50);
  return high;
}

gint64
peaks_last_high (const Peaks *peaks, gint64 now_us, enum guardd_horizon horizon, PeaksCounter counter,
                 guint64 is)
{
  struct guardd_peak most[GUARDD_HORIZONS];
  gint64 last = 0;
  peaks_get (peaks, now_us, most);
  guint64 high = find_high (most, horizon, counter, is);
  for (guint i = 0; high > 0 && i < GUARDD_HORIZONS; i++)
    for (guint n = 0; n < shapes[i].slots; n++) {
      const Slot *slot = &peaks->slots[i][n];
      if (slot_counts (slot, i, now_us) && counter_of (&slot->most, counter) >= high)
        last = MAX (last, slot->high_us[counter]);
    }
  return last;
}

/* --- in a file --- */

/* A slot's numbers, in order; an earlier guardd wrote the first five, and in them what was seen. */
enum {
  NUMBER,
  MOST_BYTES,
  MOST_INODES,
  MOST_DIRS,
  HIGH_INODES,
  HIGH_BYTES,
  LEAST_BYTES,
  LEAST_INODES,
  LEAST_DIRS,
  NUMBERS,
};
#define NUMBERS_BEFORE HIGH_BYTES

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
      const gint64 numbers[NUMBERS] = { [NUMBER] = slot->number,
                                        [MOST_BYTES] = (gint64)slot->most.used_bytes,
                                        [MOST_INODES] = (gint64)slot->most.used_inodes,
                                        [MOST_DIRS] = (gint64)slot->most.used_dirs,
                                        [HIGH_INODES] = slot->high_us[PEAKS_INODES],
                                        [HIGH_BYTES] = slot->high_us[PEAKS_BYTES],
                                        [LEAST_BYTES] = (gint64)slot->least.used_bytes, /* -1: not known */
                                        [LEAST_INODES] = (gint64)slot->least.used_inodes,
                                        [LEAST_DIRS] = (gint64)slot->least.used_dirs };
      guint length = i == GUARDD_HORIZON_HOUR ? NUMBERS : LEAST_BYTES;
      json_object *values = json_object_new_array ();
      for (guint v = 0; v < length; v++)
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

static guint64
least_at (json_object *array, size_t index)
{
  gint64 value = json_object_get_int64 (json_object_array_get_idx (array, index));
  return value < 0 ? G_MAXUINT64 : (guint64)value;
}

static Slot
slot_from_json (json_object *values)
{
  Slot slot = { .number = (gint64)number_at (values, NUMBER),
                .most = { number_at (values, MOST_BYTES), number_at (values, MOST_INODES),
                          number_at (values, MOST_DIRS) },
                .least = unknown };
  size_t n = json_object_array_length (values);
  slot.high_us[PEAKS_INODES] = (gint64)number_at (values, HIGH_INODES);
  slot.high_us[PEAKS_BYTES] = (gint64)number_at (values, n > HIGH_BYTES ? HIGH_BYTES : HIGH_INODES);
  if (n == NUMBERS)
    slot.least = (struct guardd_peak){ least_at (values, LEAST_BYTES), least_at (values, LEAST_INODES),
                                       least_at (values, LEAST_DIRS) };
  return slot;
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
      if (!json_object_is_type (values, json_type_array)
          || json_object_array_length (values) < NUMBERS_BEFORE)
        continue;
      Slot slot = slot_from_json (values);
      peaks->slots[i][slot.number % shapes[i].slots] = slot;
    }
  }
  return peaks;
}
