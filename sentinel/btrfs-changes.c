/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which parts of files lie on other blocks than before: nodes of a subvolume's tree that were written since
 * (their generation says so) are looked through for extents of that time, and what the file had at the same
 * offset is looked up in the tree as it was.
 */
#include "btrfs-content.h"
#include "btrfs-files.h"
#include "bytes.h"
#include "content.h"

#include <stdlib.h>

#define NODES_MAX 1024u    /* that were written since */
#define LOOKUPS_MAX 4096u  /* nodes of the trees as they were */
#define STEPS_MAX 1000000u /* items of them */
#define ROOTS_MAX 1024u
#define PARTS_MAX 8192u
#define SAMPLE_MAX 256u
#define FIRST_SUBVOLUME 256u
#define TOP_TREE 5u

struct rewritten {
  struct btrfs_volume now, before;
  struct btrfs_files *files;
  uint32_t n_roots, n_parts;
  uint32_t nodes, lookups, steps;           /* that may still be looked at; lookups: of this tree */
  uint64_t n_seen, bytes, random;           /* parts of which some are kept, and what is in all of them */
  struct btrfs_root roots[ROOTS_MAX], root; /* as they were; of the tree that is compared */
  struct btrfs_part parts[PARTS_MAX];
  bool cached; /* a leaf of the root's tree as it was, and what keys it holds */
  struct btrfs_key first, end;
  uint8_t leaf[BTRFS_NODE_MAX];
};

/* --- the tree as it was --- */

/* The last entry that is not behind a key; 0 where all are. */
static uint32_t
find_entry (const struct btrfs_volume *volume, const uint8_t *node, struct btrfs_key key)
{
  uint32_t low = 0, high = btrfs_entries (volume, node);
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (btrfs_key_compare (btrfs_key (node, middle), key) <= 0)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* Reads the leaf in which a key is, or would be. */
static bool
load_leaf (struct rewritten *all, struct btrfs_key key)
{
  struct btrfs_pointer to = all->root.node;
  if (all->cached && btrfs_key_compare (key, all->first) >= 0 && btrfs_key_compare (key, all->end) < 0)
    return true;
  all->cached = false;
  all->first = (struct btrfs_key){ 0 };
  all->end = (struct btrfs_key){ UINT64_MAX, UINT64_MAX, UINT8_MAX };
  for (;;) {
    if (all->lookups == 0 || to.level > BTRFS_DEPTH_MAX)
      return false;
    all->lookups--;
    if (!btrfs_read_node (&all->before, to, all->leaf, all->before.node_size))
      return false;
    uint32_t n = btrfs_entries (&all->before, all->leaf), i = find_entry (&all->before, all->leaf, key);
    if (n == 0)
      return false;
    if (to.level == 0)
      break;
    all->first = i > 0 ? btrfs_key (all->leaf, i) : all->first;
    all->end = i + 1 < n ? btrfs_key (all->leaf, i + 1) : all->end;
    to = btrfs_child (all->leaf, i);
  }
  all->cached = true;
  return true;
}

static void
add_part (struct rewritten *all, struct btrfs_extent is, struct btrfs_extent was)
{
  uint64_t length = is.length < was.length ? is.length : was.length, place = all->n_parts;
  if (length > all->now.view->length - all->bytes || is.logical == was.logical)
    return;
  all->bytes += length;
  all->n_seen++;
  if (all->n_parts < PARTS_MAX)
    all->n_parts++;
  else { /* one of those that are kept, or none, gives way */
    all->random = all->random * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
    place = (all->random >> 32) % all->n_seen;
  }
  if (place < PARTS_MAX)
    all->parts[place] = (struct btrfs_part){ length, is, was };
}

/* What the file had where it has an extent now. */
static void
look_back (struct rewritten *all, uint64_t file, struct btrfs_extent is)
{
  uint64_t end = is.offset + is.length;
  while (is.offset < end && all->steps > 0) {
    all->steps--;
    struct btrfs_key key = { file, is.offset, BTRFS_KEY_EXTENT_DATA };
    struct btrfs_extent was;
    if (!load_leaf (all, key))
      return;
    uint32_t i = find_entry (&all->before, all->leaf, key), n = btrfs_entries (&all->before, all->leaf);
    struct btrfs_key found = btrfs_key (all->leaf, i);
    bool same = found.object == file && found.type == BTRFS_KEY_EXTENT_DATA && found.offset <= is.offset;
    if (same && btrfs_read_extent (&all->before, all->leaf, i, &was) && was.offset + was.length > is.offset) {
      was = btrfs_extent_from (was, is.offset);
      add_part (all, is, was);
      if (was.length >= is.length)
        return;
      is = btrfs_extent_from (is, is.offset + was.length);
      continue;
    }
    /* a hole, to the next item of the file */
    uint32_t behind = btrfs_key_compare (found, key) > 0 ? i : i + 1;
    struct btrfs_key next = behind < n ? btrfs_key (all->leaf, behind) : all->end;
    if (next.object != file || next.type != BTRFS_KEY_EXTENT_DATA || next.offset <= is.offset
        || next.offset >= end)
      return;
    is = btrfs_extent_from (is, next.offset);
  }
}

static void
compare_leaf (struct btrfs_volume *volume, const uint8_t *leaf, void *opaque)
{
  struct rewritten *all = opaque;
  for (uint32_t i = 0; i < btrfs_entries (volume, leaf); i++) {
    struct btrfs_key key = btrfs_key (leaf, i);
    struct btrfs_extent is;
    if (key.type == BTRFS_KEY_EXTENT_DATA && btrfs_read_extent (volume, leaf, i, &is)
        && is.generation > all->before.generation)
      look_back (all, key.object, is);
  }
}

/* --- roots --- */

static bool
is_of_files (const struct btrfs_root *root)
{
  return root->tree == TOP_TREE || root->tree >= FIRST_SUBVOLUME;
}

static void
keep_root (struct btrfs_volume *volume, const struct btrfs_root *root, void *opaque)
{
  struct rewritten *all = opaque;
  (void)volume;
  if (is_of_files (root) && all->n_roots < ROOTS_MAX)
    all->roots[all->n_roots++] = *root;
}

/* The tree as it was, if it has been written to since. */
static bool
find_root (struct rewritten *all, const struct btrfs_root *root)
{
  if (!is_of_files (root) || root->node.generation <= all->before.generation)
    return false;
  for (uint32_t i = 0; i < all->n_roots; i++)
    if (all->roots[i].tree == root->tree) {
      all->root = all->roots[i];
      return true;
    }
  return false;
}

static void
compare_root (struct btrfs_volume *volume, const struct btrfs_root *root, void *opaque)
{
  struct rewritten *all = opaque;
  uint32_t nodes = btrfs_share (all->nodes), left = nodes, lookups = btrfs_share (all->lookups);
  uint32_t others = all->lookups - lookups;
  if (!find_root (all, root))
    return;
  all->cached = false;
  all->lookups = lookups;
  btrfs_each_leaf (volume, root->node, all->before.generation, &left, compare_leaf, all);
  all->lookups += others;
  all->nodes -= nodes - left;
}

static void
count_root (struct btrfs_volume *volume, const struct btrfs_root *root, void *opaque)
{
  struct rewritten *all = opaque;
  if (find_root (all, root))
    btrfs_files_count (all->files, volume, root->node, &all->before, all->root.node);
}

/* --- content --- */

/* Pieces at equal distances in the parts that are kept, which stand for all. */
static void
add_content (const struct rewritten *all, struct guardd_observation *seen)
{
  uint64_t pieces = 0, start = 0;
  for (uint32_t i = 0; i < all->n_parts; i++)
    pieces += all->parts[i].length / CONTENT_PIECE;
  uint64_t n = pieces < SAMPLE_MAX ? pieces : SAMPLE_MAX;
  for (uint32_t i = 0, taken = 0; i < all->n_parts; start += all->parts[i++].length / CONTENT_PIECE)
    for (; taken < n && pieces * taken / n < start + all->parts[i].length / CONTENT_PIECE; taken++) {
      enum guardd_change_class class = btrfs_part_classify (&all->now, &all->before, &all->parts[i],
                                                            (pieces * taken / n - start) * CONTENT_PIECE);
      if (class != GUARDD_CHANGE_CLASSES)
        seen->changed[class][GUARDD_PLACE_KEPT] += all->bytes / n;
    }
}

void
btrfs_add_changes (struct guardd_observation *seen, const struct view *now, const struct view *before)
{
  uint8_t super[BTRFS_SUPER_SIZE], then[BTRFS_SUPER_SIZE];
  if (!btrfs_read_super (now, BTRFS_SUPER_AT, super) || !btrfs_read_super (before, BTRFS_SUPER_AT, then)
      || memcmp (super + 0x20, then + 0x20, 16) || le64 (super + 0x48) <= le64 (then + 0x48))
    return;
  bytes_autofree struct rewritten *all = calloc (1, sizeof *all);
  if (all == NULL || !btrfs_open (&all->now, now, super) || !btrfs_open (&all->before, before, then))
    return;
  all->files = btrfs_files_new ();
  if (all->files == NULL)
    return;
  all->now.quick = all->before.quick = true;
  all->nodes = NODES_MAX;
  all->lookups = LOOKUPS_MAX;
  all->steps = STEPS_MAX;
  all->random = all->now.generation;
  btrfs_each_root (&all->before, keep_root, all);
  btrfs_each_root (&all->now, compare_root, all);
  add_content (all, seen);
  btrfs_each_root (&all->now, count_root, all);
  seen->exchange.freed_inodes += btrfs_files_gone (all->files);
  seen->exchange.new_inodes += btrfs_files_came (all->files);
  btrfs_files_free (all->files);
}
