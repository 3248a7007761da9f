/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reader.h"

#include <errno.h>
#include <string.h>

#define WINDOW 1024u /* blocks looked up at a time */

int
reader_open (void *instance, const struct guardd_call *call, const char *directory, const char *disk,
             void **reader)
{
  gint *readers = &((Instance *)instance)->readers;
  g_atomic_int_inc (readers); /* before the first file is opened */
  Chain *chain = chain_open (instance, call, directory, disk);
  if (chain == NULL) {
    g_atomic_int_add (readers, -1);
    return -1;
  }
  chain->readers = readers;
  *reader = chain;
  return 0;
}

void
reader_release (void *reader)
{
  gint *readers = ((const Chain *)reader)->readers;
  chain_close (reader);
  g_atomic_int_add (readers, -1);
}

uint64_t
reader_size (void *reader)
{
  return ((const Chain *)reader)->size;
}

int
reader_read (void *reader, const struct guardd_call *call, uint64_t offset, void *data, size_t len)
{
  Chain *chain = reader;
  guint8 *out = data;
  if (chain_range_check (chain, call, offset, len, chain->size) < 0)
    return -1;
  g_autofree Slot *slots = g_new (Slot, WINDOW);
  g_autofree guint8 *block = NULL;
  while (len > 0) {
    guint64 first = offset / GUARDD_BLOCK_SIZE;
    guint64 n = MIN (WINDOW, (offset + len - 1) / GUARDD_BLOCK_SIZE - first + 1);
    if (chain_lookup (chain, call, first, n, slots) < 0)
      return -1;
    for (guint64 i = 0; i < n; i++) {
      gsize skip = offset % GUARDD_BLOCK_SIZE, part = MIN (len, GUARDD_BLOCK_SIZE - skip);
      if (slot_is_zero (&slots[i]))
        memset (out, 0, part);
      else if (part == GUARDD_BLOCK_SIZE) {
        if (slot_read (&slots[i], call, out) < 0)
          return -1;
      } else {
        if (block == NULL)
          block = g_malloc (GUARDD_BLOCK_SIZE);
        if (slot_read (&slots[i], call, block) < 0)
          return -1;
        memcpy (out, block + skip, part);
      }
      out += part;
      offset += part;
      len -= part;
    }
  }
  return 0;
}

int
reader_blocks (void *reader, const struct guardd_call *call, uint64_t first, uint64_t count,
               struct guardd_block *blocks)
{
  return chain_blocks (reader, call, first, count, blocks);
}

int
reader_next_data (void *reader, const struct guardd_call *call, uint64_t from, uint64_t *first,
                  uint64_t *count)
{
  return chain_next_data (reader, call, from, first, count);
}

int
reader_diff (void *from, void *to, const struct guardd_call *call,
             int (*each) (void *opaque, const struct guardd_block *block), void *opaque)
{
  ChainDiff diff = { .from = from, .to = to, .each = each, .opaque = opaque };
  return chain_diff (&diff, call);
}
