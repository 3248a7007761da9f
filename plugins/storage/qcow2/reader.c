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

static int
range_check (const Chain *chain, const struct guardd_call *call, guint64 at, guint64 n, guint64 limit)
{
  if (at <= limit && n <= limit - at)
    return 0;
  return fail (call, EINVAL, "%s: asked for something beyond the disk's end", chain->levels[0].name->path);
}

int
reader_read (void *reader, const struct guardd_call *call, uint64_t offset, void *data, size_t len)
{
  Chain *chain = reader;
  guint8 *out = data;
  if (range_check (chain, call, offset, len, chain->size) < 0)
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

static void
block_from_slot (struct guardd_block *block, guint64 number, const Slot *slot)
{
  memset (block, 0, sizeof *block);
  block->number = number;
  block->kind = slot_is_zero (slot) ? GUARDD_BLOCK_ZERO : GUARDD_BLOCK_DATA;
  if (block->kind == GUARDD_BLOCK_DATA)
    memcpy (block->hash, slot->entry.hash, sizeof block->hash);
}

int
reader_blocks (void *reader, const struct guardd_call *call, uint64_t first, uint64_t count,
               struct guardd_block *blocks)
{
  Chain *chain = reader;
  if (range_check (chain, call, first, count, index_blocks (chain->size)) < 0)
    return -1;
  g_autofree Slot *slots = g_new (Slot, WINDOW);
  for (guint64 done = 0; done < count;) {
    guint64 n = MIN (WINDOW, count - done);
    if (chain_lookup (chain, call, first + done, n, slots) < 0)
      return -1;
    for (guint64 i = 0; i < n; i++, done++)
      block_from_slot (&blocks[done], first + done, &slots[i]);
  }
  return 0;
}

int
reader_next_data (void *reader, const struct guardd_call *call, uint64_t from, uint64_t *first,
                  uint64_t *count)
{
  Chain *chain = reader;
  g_autofree Slot *slots = g_new (Slot, WINDOW);
  guint64 end = index_blocks (chain->size);
  *first = *count = 0;
  for (guint64 at = from;;) {
    if (chain_next (chain, call, NULL, at, &at) < 0)
      return -1;
    if (at >= end)
      return 0;
    guint64 n = MIN (WINDOW, end - at), i = 0;
    if (chain_lookup (chain, call, at, n, slots) < 0)
      return -1;
    while (i < n && slot_is_zero (&slots[i]))
      i++;
    if (i == n) {
      at += n;
      continue;
    }
    *first = at + i;
    while (i < n && !slot_is_zero (&slots[i]))
      i++;
    *count = at + i - *first;
    return 0;
  }
}

/* --- difference --- */

/* One flag per level: `other` does not have it; g_free(). */
static bool *
chain_unshared (const Chain *chain, const Chain *other)
{
  bool *own = g_new (bool, chain->n_levels);
  for (guint i = 0; i < chain->n_levels; i++) {
    own[i] = true;
    for (guint j = 0; own[i] && j < other->n_levels; j++)
      own[i] = !index_is_same (chain->levels[i].index, other->levels[j].index);
  }
  return own;
}

static int
diff_window (Chain *from, Chain *to, const struct guardd_call *call, guint64 first, guint64 n, Slot *slots,
             int (*each) (void *opaque, const struct guardd_block *block), void *opaque)
{
  Slot *old = slots, *now = slots + WINDOW;
  if (chain_lookup (from, call, first, n, old) < 0 || chain_lookup (to, call, first, n, now) < 0)
    return -1;
  for (guint64 i = 0; i < n; i++) {
    bool old_zero = slot_is_zero (&old[i]), now_zero = slot_is_zero (&now[i]);
    if (old_zero && now_zero)
      continue;
    if (old_zero == now_zero && memcmp (old[i].entry.hash, now[i].entry.hash, GUARDD_HASH_SIZE) == 0)
      continue;
    struct guardd_block block;
    block_from_slot (&block, first + i, &now[i]);
    int result = each (opaque, &block);
    if (result != 0)
      return result;
  }
  return 0;
}

/* Blocks that only levels speak of which both have are the same in both: what both have, both have in the
 * same order, since they are of one line of descent. */
int
reader_diff (void *from_reader, void *to_reader, const struct guardd_call *call,
             int (*each) (void *opaque, const struct guardd_block *block), void *opaque)
{
  Chain *from = from_reader, *to = to_reader;
  g_autofree Slot *slots = g_new (Slot, 2 * WINDOW);
  g_autofree bool *from_own = chain_unshared (from, to), *to_own = chain_unshared (to, from);
  guint64 end = index_blocks (to->size);
  for (guint64 at = 0;;) {
    guint64 a, b;
    if (chain_next (from, call, from_own, at, &a) < 0 || chain_next (to, call, to_own, at, &b) < 0)
      return -1;
    at = MIN (a, b);
    if (at >= end)
      return 0;
    guint64 n = MIN (WINDOW, end - at);
    int result = diff_window (from, to, call, at, n, slots, each, opaque);
    if (result != 0)
      return result;
    at += n;
  }
}
