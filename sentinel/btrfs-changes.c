/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which parts of files lie on other blocks than before: nodes of a subvolume's tree that were written since
 * (their generation says so) are looked through for extents of that time, and what the file had at the same
 * offset is looked up in the tree as it was.
 */
#include "btrfs-extent.h"
#include "btrfs-files.h"
#include "bytes.h"
#include "content.h"

#include <stdlib.h>

#define NODES_MAX 1024u   /* that were written since */
#define LOOKUPS_MAX 4096u /* nodes of the trees as they were */
#define ROOTS_MAX 1024u
#define PARTS_MAX 8192u
#define SAMPLE_MAX 256u
#define FIRST_SUBVOLUME 256u
#define TOP_TREE 5u
/* 128 KiB of one byte over and over: 20 bytes by zstd, 140 by zlib, 1 KiB by LZO. */
#define CONSTANT_PART 64u
/* Of what was compressed, and is not. */
#define PACKED_MIN 32768u
#define PACKED_PIECES 8u
struct part {
  uint64_t length;
  struct btrfs_extent is, was; /* both from the part's start */
};

struct rewritten {
  struct btrfs_volume now, before;
  struct btrfs_files *files;
  uint32_t n_roots, n_parts, nodes, lookups;
  uint64_t bytes;                           /* of all parts */
  struct btrfs_root roots[ROOTS_MAX], root; /* as they were; of the tree that is compared */
  struct part parts[PARTS_MAX];
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
  uint64_t length = is.length < was.length ? is.length : was.length;
  if (all->n_parts == PARTS_MAX || length > all->now.view->length - all->bytes || is.logical == was.logical)
    return;
  all->parts[all->n_parts++] = (struct part){ length, is, was };
  all->bytes += length;
}

/* What the file had where it has an extent now. */
static void
look_back (struct rewritten *all, uint64_t file, struct btrfs_extent is)
{
  uint64_t end = is.offset + is.length;
  while (is.offset < end) {
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

static void
compare_root (struct btrfs_volume *volume, const struct btrfs_root *root, void *opaque)
{
  struct rewritten *all = opaque;
  if (!is_of_files (root) || root->node.generation <= all->before.generation)
    return;
  for (uint32_t i = 0; i < all->n_roots; i++)
    if (all->roots[i].tree == root->tree) {
      all->root = all->roots[i];
      all->cached = false;
      btrfs_each_leaf (volume, root->node, all->before.generation, &all->nodes, compare_leaf, all);
      btrfs_files_count (all->files, volume, root->node, &all->before, all->root.node);
      return;
    }
}

/* --- content --- */

static bool
read_content (const struct btrfs_volume *volume, uint64_t logical, uint8_t *data)
{
  uint64_t length, at = btrfs_locate (volume, logical, &length);
  return at != UINT64_MAX && length >= CONTENT_PIECE && view_read (volume->view, at, data, CONTENT_PIECE);
}

/* That a compressor made next to nothing of what it got: at most this part of it, and zeros fill the block.
 */
static bool
is_constant (const struct btrfs_volume *volume, const struct btrfs_extent *extent)
{
  uint8_t data[CONTENT_PIECE];
  uint64_t most = extent->unpacked / CONSTANT_PART;
  return extent->compressed && most < sizeof data && read_content (volume, extent->logical, data)
         && bytes_are_zero (data + most, sizeof data - most);
}

/* All of what was compressed, as far as a few pieces say: what it had there is not known, but that not all of
 * it was such. */
static bool
is_repeated (const struct rewritten *all, const struct part *part)
{
  uint8_t now[CONTENT_PIECE];
  if (part->length < PACKED_MIN)
    return false;
  for (uint64_t i = 0, last = part->length / CONTENT_PIECE - 1; i < PACKED_PIECES; i++)
    if (!read_content (&all->now, part->is.logical + last * i / (PACKED_PIECES - 1) * CONTENT_PIECE, now)
        || !content_is_repeated (now))
      return false;
  return true;
}

/* What is compressed was ordinary: btrfs leaves alone what does not get smaller. */
static enum guardd_change_class
classify_packed (const struct rewritten *all, const struct part *part, uint64_t at)
{
  uint8_t piece[CONTENT_PIECE];
  if (is_constant (&all->before, &part->was))
    return GUARDD_CHANGE_OTHER;
  if (part->is.compressed) {
    bool lost = is_constant (&all->now, &part->is)
                && (part->was.compressed
                    || (read_content (&all->before, part->was.logical + at, piece)
                        && !content_is_repeated (piece)));
    return lost ? GUARDD_CHANGE_COLLAPSED : GUARDD_CHANGE_OTHER;
  }
  if (is_repeated (all, part))
    return GUARDD_CHANGE_COLLAPSED;
  return read_content (&all->now, part->is.logical + at, piece) && content_is_high (piece)
             ? GUARDD_CHANGE_LOW_TO_HIGH
             : GUARDD_CHANGE_OTHER;
}

/* GUARDD_CHANGE_CLASSES: it is the same as before, or cannot be read. */
static enum guardd_change_class
classify (const struct rewritten *all, const struct part *part, uint64_t at)
{
  uint8_t now[CONTENT_PIECE], before[CONTENT_PIECE];
  if (part->is.compressed || part->was.compressed)
    return classify_packed (all, part, at);
  if (!read_content (&all->now, part->is.logical + at, now)
      || !read_content (&all->before, part->was.logical + at, before)
      || memcmp (now, before, sizeof now) == 0)
    return GUARDD_CHANGE_CLASSES;
  if (bytes_are_zero (now, sizeof now))
    return GUARDD_CHANGE_TO_ZERO;
  if (bytes_are_zero (before, sizeof before))
    return content_is_high (now) ? GUARDD_CHANGE_ZERO_TO_HIGH : GUARDD_CHANGE_FROM_ZERO;
  if (content_is_repeated (now))
    return content_is_repeated (before) ? GUARDD_CHANGE_OTHER : GUARDD_CHANGE_COLLAPSED;
  if (content_is_high (now))
    return content_is_ordinary (before) ? GUARDD_CHANGE_LOW_TO_HIGH : GUARDD_CHANGE_HIGH;
  return GUARDD_CHANGE_OTHER;
}

/* Pieces at equal distances, each of which stands for as much as lies between them. */
static void
add_content (struct rewritten *all, struct guardd_observation *seen)
{
  uint64_t pieces = all->bytes / CONTENT_PIECE, n = pieces < SAMPLE_MAX ? pieces : SAMPLE_MAX, start = 0;
  for (uint32_t i = 0, taken = 0; i < all->n_parts && n > 0; start += all->parts[i++].length)
    for (; taken < n; taken++) {
      uint64_t at = pieces * taken / n * CONTENT_PIECE;
      if (at < start || at - start + CONTENT_PIECE > all->parts[i].length) {
        if (at >= start + all->parts[i].length)
          break;
        continue;
      }
      enum guardd_change_class class = classify (all, &all->parts[i], at - start);
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
  all->nodes = NODES_MAX;
  all->lookups = LOOKUPS_MAX;
  btrfs_each_root (&all->before, keep_root, all);
  all->files = btrfs_files_new ();
  if (all->files == NULL)
    return;
  btrfs_each_root (&all->now, compare_root, all);
  add_content (all, seen);
  seen->exchange.freed_inodes += btrfs_files_gone (all->files);
  seen->exchange.new_inodes += btrfs_files_came (all->files);
  btrfs_files_free (all->files);
}
