/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "btrfs.h"

#include "bytes.h"

#define NODE_MAX 65536u
#define CHUNKS_MAX 2048u
/* Nodes that are read whole, and of which only the header is. */
#define CHUNK_NODES_MAX 16u
#define ROOT_NODES_MAX 8u
#define BELOW_MAX 64u /* of all trees */
#define BELOW_EACH 8u /* of one */
#define ROOTS_MAX 1024u
#define DEPTH_MAX 8u

#define HEADER 101u
#define ITEM 25u
#define POINTER 33u
#define KEY 17u

#define KEY_ROOT_ITEM 132u
#define KEY_CHUNK_ITEM 228u
#define CHUNK_OF_TREES 6u                       /* system, metadata */
#define LAST_TREE UINT64_C (0xffffffffffffff00) /* above: trees that come and go */

struct chunk {
  uint64_t logical, length, at[2];
  uint32_t copies;
};

struct trees {
  const struct view *view;
  const uint8_t *uuid; /* what nodes bear */
  uint64_t device;
  uint32_t node_size, n_chunks, below, roots; /* below, roots: that may still be looked at */
  bool unknown, one_copy, broken;
  struct chunk chunks[CHUNKS_MAX];
};

/* What a parent says of a node. */
struct pointer {
  uint64_t logical;
  uint8_t level;
};

/* Of one stripe, or of two that hold the same.  Others are left out: what lies in them is not known. */
static void
add_chunk (struct trees *trees, uint64_t logical, const uint8_t *item, uint32_t size)
{
  enum { STRIPE = 32, STRIPES_AT = 48, RAID0 = 8, RAID10 = 64, RAID5 = 128, RAID6 = 256 };
  if (size < STRIPES_AT || trees->n_chunks == CHUNKS_MAX)
    return;
  uint64_t type = le64 (item + 24);
  uint32_t stripes = le16 (item + 44);
  if (!(type & CHUNK_OF_TREES) || type & (RAID0 | RAID10 | RAID5 | RAID6) || stripes < 1 || stripes > 2
      || size < STRIPES_AT + stripes * STRIPE)
    return;
  struct chunk *chunk = &trees->chunks[trees->n_chunks];
  *chunk = (struct chunk){ .logical = logical, .length = le64 (item), .copies = stripes };
  for (uint32_t i = 0; i < stripes; i++) {
    const uint8_t *stripe = item + STRIPES_AT + i * STRIPE;
    if (le64 (stripe) != trees->device)
      return;
    chunk->at[i] = le64 (stripe + 8);
  }
  trees->n_chunks++;
}

static const struct chunk *
find_chunk (const struct trees *trees, uint64_t logical)
{
  for (uint32_t i = 0; i < trees->n_chunks; i++) {
    const struct chunk *chunk = &trees->chunks[i];
    if (logical >= chunk->logical && logical - chunk->logical < chunk->length)
      return chunk;
  }
  return NULL;
}

static bool
is_node (const struct trees *trees, const uint8_t *node, struct pointer to)
{
  return memcmp (node + 0x20, trees->uuid, 16) == 0 && le64 (node + 0x30) == to.logical
         && node[0x64] == to.level;
}

/* The first `length` bytes of a node, from the copy that is one.  False: there is none, or it is not known.
 */
static bool
read_node (struct trees *trees, struct pointer to, uint8_t *node, uint32_t length)
{
  const struct chunk *chunk = find_chunk (trees, to.logical);
  uint32_t good = 0;
  if (chunk == NULL)
    return false;
  for (uint32_t i = chunk->copies; i-- > 0;) {
    uint8_t header[HEADER];
    if (!view_read (trees->view, chunk->at[i] + (to.logical - chunk->logical), header, sizeof header)) {
      trees->unknown = true;
      return false;
    }
    if (!is_node (trees, header, to))
      continue;
    if (length <= sizeof header)
      memcpy (node, header, length);
    else if (!view_read (trees->view, chunk->at[i] + (to.logical - chunk->logical), node, length)
             || !is_node (trees, node, to))
      trees->unknown = true;
    good++;
  }
  trees->one_copy |= good < chunk->copies;
  trees->broken |= good == 0;
  return good > 0 && !trees->unknown;
}

static uint32_t
entries (const struct trees *trees, const uint8_t *node)
{
  uint32_t n = le32 (node + 0x60), most = (trees->node_size - HEADER) / (node[0x64] ? POINTER : ITEM);
  return n < most ? n : most;
}

static struct pointer
child (const uint8_t *node, uint32_t i)
{
  return (struct pointer){ le64 (node + HEADER + i * POINTER + KEY), (uint8_t)(node[0x64] - 1) };
}

/* The data of an item of a leaf with so many bytes at least; NULL: it has no place in the node. */
static const uint8_t *
item_data (const struct trees *trees, const uint8_t *leaf, uint32_t i, uint32_t least, uint32_t *size)
{
  const uint8_t *item = leaf + HEADER + i * ITEM;
  uint32_t at = le32 (item + KEY);
  *size = le32 (item + KEY + 4);
  if (at > trees->node_size - HEADER || *size > trees->node_size - HEADER - at || *size < least)
    return NULL;
  return leaf + HEADER + at;
}

/* Every leaf below a node, up to *nodes of both kinds. */
static void
each_leaf (struct trees *trees, struct pointer to, uint32_t *nodes,
           void (*leaf) (struct trees *trees, const uint8_t *node))
{
  if (*nodes == 0 || to.level > DEPTH_MAX)
    return;
  --*nodes;
  bytes_autofree uint8_t *node = malloc (trees->node_size);
  if (node == NULL || !read_node (trees, to, node, trees->node_size))
    return;
  if (to.level == 0) {
    leaf (trees, node);
    return;
  }
  for (uint32_t i = 0; i < entries (trees, node); i++)
    each_leaf (trees, child (node, i), nodes, leaf);
}

static void
add_chunks (struct trees *trees, const uint8_t *leaf)
{
  for (uint32_t i = 0; i < entries (trees, leaf); i++) {
    const uint8_t *key = leaf + HEADER + i * ITEM;
    uint32_t size;
    const uint8_t *data = key[8] == KEY_CHUNK_ITEM ? item_data (trees, leaf, i, 1, &size) : NULL;
    if (data && find_chunk (trees, le64 (key + 9)) == NULL)
      add_chunk (trees, le64 (key + 9), data, size);
  }
}

/* A tree's root, and nodes below it at equal distances. */
static void
look_at_tree (struct trees *trees, struct pointer root)
{
  uint8_t header[HEADER];
  if (trees->roots == 0)
    return;
  trees->roots--;
  if (root.level == 0 || trees->below == 0) {
    read_node (trees, root, header, sizeof header);
    return;
  }
  trees->below--;
  bytes_autofree uint8_t *node = malloc (trees->node_size);
  if (node == NULL || !read_node (trees, root, node, trees->node_size))
    return;
  uint32_t n = entries (trees, node), each = n < BELOW_EACH ? n : BELOW_EACH;
  for (uint32_t i = 0; i < each && trees->below > 0; i++, trees->below--)
    read_node (trees, child (node, i * n / each), header, sizeof header);
}

/* A subvolume without references is being removed, node by node. */
static void
look_at_roots (struct trees *trees, const uint8_t *leaf)
{
  enum { ROOT_SIZE = 239, LOGICAL = 176, REFERENCES = 216, LEVEL = 238 };
  for (uint32_t i = 0; i < entries (trees, leaf); i++) {
    const uint8_t *key = leaf + HEADER + i * ITEM;
    uint32_t size;
    const uint8_t *data = key[8] == KEY_ROOT_ITEM && le64 (key) < LAST_TREE
                              ? item_data (trees, leaf, i, ROOT_SIZE, &size)
                              : NULL;
    if (data && le32 (data + REFERENCES) > 0)
      look_at_tree (trees, (struct pointer){ le64 (data + LOGICAL), data[LEVEL] });
  }
}

/* The chunks of the chunk tree itself are in the superblock. */
static void
add_first_chunks (struct trees *trees, const uint8_t *super)
{
  enum { ARRAY = 0x32b, ARRAY_MAX = 2048, CHUNK = 80 };
  uint32_t length = le32 (super + 0xa0);
  for (uint32_t at = 0; length <= ARRAY_MAX && at + KEY + CHUNK <= length;) {
    const uint8_t *key = super + ARRAY + at;
    uint32_t size = 48 + 32u * le16 (key + KEY + 44);
    if (size > length - at - KEY)
      return;
    add_chunk (trees, le64 (key + 9), key + KEY, size);
    at += KEY + size;
  }
}

static bool
trees_open (struct trees *trees, const struct view *view, const uint8_t *super)
{
  enum { METADATA_UUID = 0x400, KNOWN = 0x14fff }; /* not: zoned, trees of other forms */
  uint64_t incompatible = le64 (super + 0xbc), under_way = le64 (super + 0x38) >> 33;
  trees->view = view;
  trees->uuid = super + (incompatible & METADATA_UUID ? 0x23b : 0x20);
  trees->device = le64 (super + 0xc9);
  trees->node_size = le32 (super + 0x94);
  trees->below = BELOW_MAX;
  trees->roots = ROOTS_MAX;
  return le64 (super + 0x88) == 1 && (incompatible & ~(uint64_t)KNOWN) == 0 && under_way == 0
         && trees->node_size >= 4096 && trees->node_size <= NODE_MAX;
}

enum btrfs_trees
btrfs_look_at_trees (const struct view *view, const uint8_t super[BTRFS_SUPER_SIZE])
{
  bytes_autofree struct trees *trees = calloc (1, sizeof *trees);
  uint32_t chunk_nodes = CHUNK_NODES_MAX, root_nodes = ROOT_NODES_MAX;
  if (trees == NULL || !trees_open (trees, view, super))
    return BTRFS_TREES_UNKNOWN;
  add_first_chunks (trees, super);
  each_leaf (trees, (struct pointer){ le64 (super + 0x58), super[0xc7] }, &chunk_nodes, add_chunks);
  each_leaf (trees, (struct pointer){ le64 (super + 0x50), super[0xc6] }, &root_nodes, look_at_roots);
  return trees->broken     ? BTRFS_TREES_BROKEN
         : trees->unknown  ? BTRFS_TREES_UNKNOWN
         : trees->one_copy ? BTRFS_TREES_ONE_COPY
                           : BTRFS_TREES_FINE;
}
