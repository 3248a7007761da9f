/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "content-sample.h"

#include <guardd/storage.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK GUARDD_BLOCK_SIZE

typedef struct {
  guint64 number;
  guint place; /* in the memory, in blocks; each place is in one slot */
} Slot;

struct ContentSample {
  guint length, max;
  guint64 offered, stride;
  guint64 next; /* the one to take, counted as they are offered */
  Slot *slots;
  BufferStock *buffers; /* a reference, or NULL */
  guint8 *memory;       /* max blocks of them; NULL: nothing has come, or there is none */
  bool sorted;
  GMutex lock; /* everything */
};

ContentSample *
content_sample_new (BufferStock *buffers, guint blocks_max)
{
  ContentSample *sample = g_new0 (ContentSample, 1);
  sample->buffers = buffer_stock_ref (buffers);
  g_mutex_init (&sample->lock);
  sample->stride = 1;
  sample->max = blocks_max;
  sample->slots = g_new0 (Slot, blocks_max);
  for (guint i = 0; i < blocks_max; i++)
    sample->slots[i].place = i;
  return sample;
}

void
content_sample_free (ContentSample *sample)
{
  if (sample == NULL)
    return;
  buffer_stock_give (sample->buffers, sample->memory, (size_t)sample->max * BLOCK);
  buffer_stock_unref (sample->buffers);
  g_free (sample->slots);
  g_mutex_clear (&sample->lock);
  g_free (sample);
}

/* Without memory there is no sample; the capture goes on. */
static bool
has_memory (ContentSample *sample)
{
  if (sample->memory)
    return true;
  sample->memory = buffer_stock_take (sample->buffers, (size_t)sample->max * BLOCK);
  if (sample->memory == NULL)
    sample->next = G_MAXUINT64;
  return sample->memory != NULL;
}

/* One of each two neighbours stays: the strides are twice as long. */
static void
thin (ContentSample *sample)
{
  for (guint i = 0; i < sample->length / 2; i++) {
    Slot *stays = &sample->slots[2 * i + (guint)g_random_boolean ()], kept = *stays;
    *stays = sample->slots[i];
    sample->slots[i] = kept;
  }
  sample->length /= 2;
  sample->stride *= 2;
}

static void
take (ContentSample *sample, guint64 number, const guint8 *data)
{
  Slot *slot = &sample->slots[sample->length++];
  slot->number = number;
  if (data)
    memcpy (sample->memory + (size_t)slot->place * BLOCK, data, BLOCK);
  if (sample->length == sample->max)
    thin (sample);
  guint32 within = (guint32)MIN (sample->stride, G_MAXINT32);
  sample->next = sample->length * sample->stride + (guint64)g_random_int_range (0, (gint32)within);
}

void
content_sample_offer (ContentSample *sample, guint64 first, guint count, const guint8 *data)
{
  g_mutex_lock (&sample->lock);
  guint64 begin = sample->offered;
  sample->offered += count;
  while (sample->next < sample->offered && (data == NULL || has_memory (sample))) {
    guint64 i = sample->next - begin;
    take (sample, first + i, data ? data + i * BLOCK : NULL);
  }
  g_mutex_unlock (&sample->lock);
}

guint
content_sample_length (const ContentSample *sample)
{
  return sample->length;
}

guint64
content_sample_stride (const ContentSample *sample)
{
  return sample->stride;
}

static int
compare_slots (gconstpointer a, gconstpointer b)
{
  guint64 one = ((const Slot *)a)->number, other = ((const Slot *)b)->number;
  return one < other ? -1 : one > other;
}

const guint8 *
content_sample_block (ContentSample *sample, guint i, guint64 *number)
{
  if (!sample->sorted)
    qsort (sample->slots, sample->length, sizeof *sample->slots, compare_slots);
  sample->sorted = true;
  *number = sample->slots[i].number;
  return sample->memory ? sample->memory + (size_t)sample->slots[i].place * BLOCK : NULL;
}
