/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "change-scan.h"

#include <math.h>
#include <string.h>

#define PIECE 4096u
#define SAMPLE_BLOCKS 128u    /* where none was taken */
#define SAMPLE_RUNS_MAX 4096u /* 256 blocks of 16 pieces */
#define CHANGED_RUNS_MAX 4096u
/* Stretches of zeros: the first are enough, and the others need room. */
#define ZERO_RUNS_MAX (WIRE_RUNS_MAX - SAMPLE_RUNS_MAX - CHANGED_RUNS_MAX)
/* Measured on 4 KiB blocks: random 7.95, compressed 7.85-7.95, text 4.8, programs 5.1; every other 16 bytes
 * encrypted raises text and programs by 1.9 to 2.2 bits. */
#define HIGH_BITS 7.6
#define LOW_BITS 7.2
#define RISE_BITS 1.5
/* And to no less than that: of programs so treated one in twenty has 5.8.  What text, or records filled with
 * it, comes to is below. */
#define MID_BITS 5.8
#define PERIOD_MAX 64u /* bytes of what is repeated: one, a word and a newline, a pattern of several */

/* n log2 n for every count that a piece can have: the logarithm would cost ten times the counting. */
static const double *
weights (void)
{
  static gsize ready;
  static double table[PIECE + 1];
  if (g_once_init_enter (&ready)) {
    for (guint n = 1; n <= PIECE; n++)
      table[n] = n * log2 (n);
    g_once_init_leave (&ready, 1);
  }
  return table;
}

double
entropy_bits (const guint8 *data, size_t length)
{
  const double *weight = weights ();
  guint counts[256] = { 0 };
  double sum = 0;
  for (size_t i = 0; i < length; i++)
    counts[data[i]]++;
  for (guint i = 0; i < 256; i++)
    sum += weight[counts[i]];
  return (weight[length] - sum) / (double)length;
}

static bool
is_zero (const guint8 *data, size_t length)
{
  return data[0] == 0 && memcmp (data, data + 1, length - 1) == 0;
}

/* A few bytes over and over. */
static bool
is_repeated (const guint8 *data, size_t length)
{
  for (size_t period = 1; period <= PERIOD_MAX; period++)
    if (memcmp (data, data + period, length - period) == 0)
      return true;
  return false;
}

static bool
is_mostly_zero (const guint8 *data, size_t length)
{
  size_t zeros = 0;
  for (size_t i = 0; i < length; i++)
    zeros += data[i] == 0;
  return zeros > length / 2;
}

enum guardd_change_class
change_classify (const guint8 *before, const guint8 *now, size_t length)
{
  if (is_zero (now, length))
    return GUARDD_CHANGE_TO_ZERO;
  if (is_zero (before, length))
    return entropy_bits (now, length) >= HIGH_BITS ? GUARDD_CHANGE_ZERO_TO_HIGH : GUARDD_CHANGE_FROM_ZERO;
  if (is_repeated (now, length))
    return is_repeated (before, length) ? GUARDD_CHANGE_OTHER : GUARDD_CHANGE_COLLAPSED;
  double was = entropy_bits (before, length), is = entropy_bits (now, length);
  if (is >= HIGH_BITS)
    return was < LOW_BITS ? GUARDD_CHANGE_LOW_TO_HIGH : GUARDD_CHANGE_HIGH;
  /* A page that was half empty, and fills up, rises as well. */
  return is - was >= RISE_BITS && is >= MID_BITS && !is_mostly_zero (before, length)
             ? GUARDD_CHANGE_LOW_TO_MID
             : GUARDD_CHANGE_OTHER;
}

typedef struct {
  GArray *runs;
  GArray *changed;       /* struct wire_run: stretches of other blocks */
  guint64 gap;           /* bytes between two of them that are told as one */
  ContentSample *sample; /* of the numbers of other blocks; NULL: there is one with their content */
  guint64 size;
} Change;

static void
add_run (GArray *runs, guint64 offset, guint64 length, enum guardd_change_class kind)
{
  struct wire_run *last = runs->len ? &g_array_index (runs, struct wire_run, runs->len - 1) : NULL;
  if (last && last->kind == kind && last->offset + last->length == offset) {
    last->length += length;
  } else if (runs->len < WIRE_RUNS_MAX - CHANGED_RUNS_MAX) {
    struct wire_run run = { offset, length, kind };
    g_array_append_val (runs, run);
  }
}

/* The last of n runs grows up to a run that is near. */
static bool
join_run (struct wire_run *runs, guint n, guint64 gap, const struct wire_run *next)
{
  if (n == 0 || next->offset - runs[n - 1].offset > runs[n - 1].length + gap)
    return false;
  runs[n - 1].length = next->offset + next->length - runs[n - 1].offset;
  return true;
}

/* Where there are too many stretches those that are near each other become one: nothing is left out. */
static void
widen_gap (Change *change)
{
  struct wire_run *runs = (struct wire_run *)(void *)change->changed->data;
  guint n = 0;
  change->gap = change->gap ? change->gap * 2 : GUARDD_BLOCK_SIZE;
  for (guint i = 0; i < change->changed->len; i++)
    if (!join_run (runs, n, change->gap, &runs[i]))
      runs[n++] = runs[i];
  g_array_set_size (change->changed, n);
}

static void
add_changed (Change *change, guint64 offset)
{
  struct wire_run run = { offset, GUARDD_BLOCK_SIZE, WIRE_CHANGED };
  while (change->changed->len == CHANGED_RUNS_MAX && change->gap <= change->size)
    widen_gap (change);
  if (!join_run ((struct wire_run *)(void *)change->changed->data, change->changed->len, change->gap, &run)
      && change->changed->len < CHANGED_RUNS_MAX)
    g_array_append_val (change->changed, run);
}

static int
add_block (void *opaque, const struct guardd_block *block)
{
  Change *change = opaque;
  guint64 offset = block->number * GUARDD_BLOCK_SIZE;
  if (offset + GUARDD_BLOCK_SIZE > change->size)
    return 0; /* a last block that is not whole */
  if (block->kind != GUARDD_BLOCK_ZERO) {
    add_changed (change, offset);
    if (change->sample)
      content_sample_offer (change->sample, block->number, 1, NULL);
  } else if (change->runs->len < ZERO_RUNS_MAX)
    add_run (change->runs, offset, GUARDD_BLOCK_SIZE, GUARDD_CHANGE_TO_ZERO);
  return 0;
}

/* Of a block that was overwritten the pieces that are another now.  Blocks that are zero as a whole have all
 * been told; pieces of others stand for as many as the rest of the sample does. */
static void
compare_block (GArray *runs, guint64 offset, const guint8 *is, const guint8 *was)
{
  for (guint at = 0; at < GUARDD_BLOCK_SIZE; at += PIECE) {
    if (memcmp (is + at, was + at, PIECE) == 0)
      continue;
    enum guardd_change_class kind = change_classify (was + at, is + at, PIECE);
    add_run (runs, offset + at, PIECE, kind == GUARDD_CHANGE_TO_ZERO ? GUARDD_CHANGE_COLLAPSED : kind);
  }
}

void
change_scan_clear (ChangeScan *scan)
{
  g_clear_pointer (&scan->runs, g_array_unref);
}

static bool
scan_block (StorageReader *now, StorageReader *before, guint64 offset, const guint8 *is, guint8 *buffer,
            GArray *runs, GError **error)
{
  guint8 *was = buffer, *read = buffer + GUARDD_BLOCK_SIZE;
  if (!storage_image_read (before, offset, was, GUARDD_BLOCK_SIZE, error)
      || (is == NULL && !storage_image_read (now, offset, read, GUARDD_BLOCK_SIZE, error)))
    return false;
  compare_block (runs, offset, is ? is : read, was);
  return true;
}

static bool
scan_sample (StorageReader *now, StorageReader *before, ContentSample *sample, GArray *runs, GError **error)
{
  g_autofree guint8 *buffer = g_malloc (2 * GUARDD_BLOCK_SIZE);
  guint64 size = MIN (storage_image_size (now), storage_image_size (before));
  for (guint i = 0; i < content_sample_length (sample); i++) {
    guint64 number;
    const guint8 *is = content_sample_block (sample, i, &number);
    if ((number + 1) * GUARDD_BLOCK_SIZE > size)
      break; /* there was nothing, or not a whole block */
    if (!scan_block (now, before, number * GUARDD_BLOCK_SIZE, is, buffer, runs, error))
      return false;
  }
  return true;
}

bool
change_scan (StorageReader *now, StorageReader *before, ContentSample *sample, ChangeScan *scan,
             GError **error)
{
  bool taken = sample && content_sample_length (sample) > 0;
  g_autoptr (ContentSample) numbers = content_sample_new (NULL, SAMPLE_BLOCKS);
  g_autoptr (GArray) changed = g_array_new (false, false, sizeof (struct wire_run));
  Change change = { .runs = g_array_new (false, false, sizeof (struct wire_run)),
                    .changed = changed,
                    .sample = taken ? NULL : numbers,
                    .size = MIN (storage_image_size (now), storage_image_size (before)) };
  if (!taken)
    sample = numbers;
  scan->runs = change.runs;
  if (!storage_image_diff (before, now, add_block, &change, error))
    return false;
  scan->data_factor = content_sample_stride (sample);
  if (!scan_sample (now, before, sample, scan->runs, error))
    return false;
  g_array_append_vals (scan->runs, changed->data, changed->len);
  return true;
}
