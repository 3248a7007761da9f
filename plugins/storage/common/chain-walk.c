/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "chain.h"

#include <errno.h>
#include <string.h>

#define WINDOW 1024u /* blocks looked up at a time */

int
chain_range_check (const Chain *chain, const struct guardd_call *call, guint64 at, guint64 n, guint64 limit)
{
  if (at <= limit && n <= limit - at)
    return 0;
  return fail (call, EINVAL, "%s: asked for something beyond the disk's end", chain->levels[0].name->path);
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
chain_blocks (Chain *chain, const struct guardd_call *call, guint64 first, guint64 count,
              struct guardd_block *blocks)
{
  if (chain_range_check (chain, call, first, count, index_blocks (chain->size)) < 0)
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
chain_next_data (Chain *chain, const struct guardd_call *call, guint64 from, guint64 *first, guint64 *count)
{
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

static bool
slots_differ (const Slot *old, const Slot *now)
{
  bool old_zero = slot_is_zero (old), now_zero = slot_is_zero (now);
  if (old->level && now->level && index_is_same (old->level->index, now->level->index))
    return false;
  if (old_zero || now_zero)
    return old_zero != now_zero;
  return !index_hash_is_known (old->entry.hash) || !index_hash_is_known (now->entry.hash)
         || memcmp (old->entry.hash, now->entry.hash, GUARDD_HASH_SIZE) != 0;
}

static int
diff_window (const ChainDiff *diff, const struct guardd_call *call, guint64 first, guint64 n, Slot *slots)
{
  Slot *old = slots, *now = slots + WINDOW;
  if (chain_lookup (diff->from, call, first, n, old) < 0 || chain_lookup (diff->to, call, first, n, now) < 0)
    return -1;
  for (guint64 i = 0; i < n; i++) {
    if (!slots_differ (&old[i], &now[i]))
      continue;
    struct guardd_block block;
    block_from_slot (&block, first + i, &now[i]);
    if (diff->resolve != NULL && block.kind == GUARDD_BLOCK_DATA && !index_hash_is_known (block.hash)
        && diff->resolve (diff->resolve_opaque, call, &block) < 0)
      return -1;
    int result = diff->each (diff->opaque, &block);
    if (result != 0)
      return result;
  }
  return 0;
}

/* Blocks that only levels speak of which both have are the same in both: what both have, both have in the
 * same order, since they are of one line of descent. */
int
chain_diff (const ChainDiff *diff, const struct guardd_call *call)
{
  Chain *from = diff->from, *to = diff->to;
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
    int result = diff_window (diff, call, at, n, slots);
    if (result != 0)
      return result;
    at += n;
  }
}
