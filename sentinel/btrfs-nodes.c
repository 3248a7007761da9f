/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "btrfs-nodes.h"

#include "bytes.h"

#define CHUNK_NODES_MAX 64u
#define ROOT_NODES_MAX 8u
#define LAST_TREE UINT64_C (0xffffffffffffff00) /* above: trees that come and go */

static void
add_chunk (struct btrfs_volume *volume, uint64_t logical, const uint8_t *item, uint32_t size)
{
  enum { STRIPE = 32, STRIPES_AT = 48, RAID0 = 8, RAID10 = 64, RAID5 = 128, RAID6 = 256 };
  if (size < STRIPES_AT || volume->n_chunks == BTRFS_CHUNKS_MAX)
    return;
  uint64_t type = le64 (item + 24);
  uint32_t stripes = le16 (item + 44);
  if (type & (RAID0 | RAID10 | RAID5 | RAID6) || stripes < 1 || stripes > 2
      || size < STRIPES_AT + stripes * STRIPE)
    return;
  struct btrfs_chunk *chunk = &volume->chunks[volume->n_chunks];
  *chunk = (struct btrfs_chunk){ .logical = logical, .length = le64 (item), .copies = stripes };
  for (uint32_t i = 0; i < stripes; i++) {
    const uint8_t *stripe = item + STRIPES_AT + i * STRIPE;
    if (le64 (stripe) != volume->device)
      return;
    chunk->at[i] = le64 (stripe + 8);
  }
  volume->n_chunks++;
}

static const struct btrfs_chunk *
find_chunk (const struct btrfs_volume *volume, uint64_t logical)
{
  for (uint32_t i = 0; i < volume->n_chunks; i++) {
    const struct btrfs_chunk *chunk = &volume->chunks[i];
    if (logical >= chunk->logical && logical - chunk->logical < chunk->length)
      return chunk;
  }
  return NULL;
}

uint64_t
btrfs_locate (const struct btrfs_volume *volume, uint64_t logical, uint64_t *length)
{
  const struct btrfs_chunk *chunk = find_chunk (volume, logical);
  if (chunk == NULL)
    return UINT64_MAX;
  *length = chunk->length - (logical - chunk->logical);
  return chunk->at[0] + (logical - chunk->logical);
}

static bool
is_node (const struct btrfs_volume *volume, const uint8_t *node, struct btrfs_pointer to)
{
  return memcmp (node + 0x20, volume->uuid, 16) == 0 && le64 (node + 0x30) == to.logical
         && node[0x64] == to.level;
}

static bool
read_any_copy (const struct btrfs_volume *volume, const struct btrfs_chunk *chunk, struct btrfs_pointer to,
               uint8_t *node, uint32_t length)
{
  for (uint32_t i = 0; i < chunk->copies; i++)
    if (view_read (volume->view, chunk->at[i] + (to.logical - chunk->logical), node, length)
        && is_node (volume, node, to))
      return true;
  return false;
}

bool
btrfs_read_node (struct btrfs_volume *volume, struct btrfs_pointer to, uint8_t *node, uint32_t length)
{
  const struct btrfs_chunk *chunk = find_chunk (volume, to.logical);
  uint32_t good = 0;
  if (chunk == NULL)
    return false;
  if (volume->quick)
    return read_any_copy (volume, chunk, to, node, length);
  for (uint32_t i = chunk->copies; i-- > 0;) {
    uint8_t header[BTRFS_HEADER];
    if (!view_read (volume->view, chunk->at[i] + (to.logical - chunk->logical), header, sizeof header)) {
      volume->unknown = true;
      return false;
    }
    if (!is_node (volume, header, to))
      continue;
    if (length <= sizeof header)
      memcpy (node, header, length);
    else if (!view_read (volume->view, chunk->at[i] + (to.logical - chunk->logical), node, length)
             || !is_node (volume, node, to))
      volume->unknown = true;
    good++;
  }
  volume->one_copy |= good < chunk->copies;
  volume->broken |= good == 0;
  return good > 0 && !volume->unknown;
}

uint32_t
btrfs_entries (const struct btrfs_volume *volume, const uint8_t *node)
{
  uint32_t each = node[0x64] ? BTRFS_POINTER : BTRFS_ITEM;
  uint32_t n = le32 (node + 0x60), most = (volume->node_size - BTRFS_HEADER) / each;
  return n < most ? n : most;
}

static struct btrfs_key
read_key (const uint8_t *key)
{
  return (struct btrfs_key){ .object = le64 (key), .type = key[8], .offset = le64 (key + 9) };
}

struct btrfs_key
btrfs_key (const uint8_t *node, uint32_t i)
{
  return read_key (node + BTRFS_HEADER + i * (node[0x64] ? BTRFS_POINTER : BTRFS_ITEM));
}

int
btrfs_key_compare (struct btrfs_key a, struct btrfs_key b)
{
  if (a.object != b.object)
    return a.object < b.object ? -1 : 1;
  if (a.type != b.type)
    return a.type < b.type ? -1 : 1;
  return a.offset < b.offset ? -1 : a.offset > b.offset;
}

struct btrfs_pointer
btrfs_child (const uint8_t *node, uint32_t i)
{
  const uint8_t *pointer = node + BTRFS_HEADER + i * BTRFS_POINTER + BTRFS_KEY_SIZE;
  return (struct btrfs_pointer){ le64 (pointer), le64 (pointer + 8), (uint8_t)(node[0x64] - 1) };
}

const uint8_t *
btrfs_item (const struct btrfs_volume *volume, const uint8_t *leaf, uint32_t i, uint32_t least,
            uint32_t *size)
{
  const uint8_t *item = leaf + BTRFS_HEADER + i * BTRFS_ITEM;
  uint32_t room = volume->node_size - BTRFS_HEADER, at = le32 (item + BTRFS_KEY_SIZE);
  *size = le32 (item + BTRFS_KEY_SIZE + 4);
  if (at > room || *size > room - at || *size < least)
    return NULL;
  return leaf + BTRFS_HEADER + at;
}

void
btrfs_each_leaf (struct btrfs_volume *volume, struct btrfs_pointer to, uint64_t since, uint32_t *nodes,
                 void (*leaf) (struct btrfs_volume *volume, const uint8_t *node, void *opaque), void *opaque)
{
  if (*nodes == 0 || to.level > BTRFS_DEPTH_MAX)
    return;
  --*nodes;
  bytes_autofree uint8_t *node = malloc (volume->node_size);
  if (node == NULL || !btrfs_read_node (volume, to, node, volume->node_size))
    return;
  if (to.level == 0) {
    leaf (volume, node, opaque);
    return;
  }
  for (uint32_t i = 0; i < btrfs_entries (volume, node); i++)
    if (btrfs_child (node, i).generation > since || since == 0)
      btrfs_each_leaf (volume, btrfs_child (node, i), since, nodes, leaf, opaque);
}

/* --- roots --- */

struct roots {
  void (*root) (struct btrfs_volume *volume, const struct btrfs_root *root, void *opaque);
  void *opaque;
};

static void
take_roots (struct btrfs_volume *volume, const uint8_t *leaf, void *opaque)
{
  enum { ROOT_SIZE = 239, GENERATION = 160, LOGICAL = 176, REFERENCES = 216, LEVEL = 238 };
  const struct roots *roots = opaque;
  for (uint32_t i = 0; i < btrfs_entries (volume, leaf); i++) {
    struct btrfs_key key = btrfs_key (leaf, i);
    uint32_t size;
    const uint8_t *data = key.type == BTRFS_KEY_ROOT_ITEM && key.object < LAST_TREE
                              ? btrfs_item (volume, leaf, i, ROOT_SIZE, &size)
                              : NULL;
    if (data == NULL || le32 (data + REFERENCES) == 0)
      continue;
    const struct btrfs_root root
        = { key.object, { le64 (data + LOGICAL), le64 (data + GENERATION), data[LEVEL] } };
    roots->root (volume, &root, roots->opaque);
  }
}

void
btrfs_each_root (struct btrfs_volume *volume,
                 void (*root) (struct btrfs_volume *volume, const struct btrfs_root *root, void *opaque),
                 void *opaque)
{
  const uint8_t *super = volume->super;
  uint32_t nodes = ROOT_NODES_MAX;
  struct roots roots = { root, opaque };
  btrfs_each_leaf (volume, (struct btrfs_pointer){ .logical = le64 (super + 0x50), .level = super[0xc6] }, 0,
                   &nodes, take_roots, &roots);
}

/* --- open --- */

static void
add_chunks (struct btrfs_volume *volume, const uint8_t *leaf, void *opaque)
{
  (void)opaque;
  for (uint32_t i = 0; i < btrfs_entries (volume, leaf); i++) {
    struct btrfs_key key = btrfs_key (leaf, i);
    uint32_t size;
    const uint8_t *data = key.type == BTRFS_KEY_CHUNK_ITEM ? btrfs_item (volume, leaf, i, 1, &size) : NULL;
    if (data && find_chunk (volume, key.offset) == NULL)
      add_chunk (volume, key.offset, data, size);
  }
}

/* The chunks of the chunk tree itself are in the superblock. */
static void
add_first_chunks (struct btrfs_volume *volume, const uint8_t *super)
{
  enum { ARRAY = 0x32b, ARRAY_MAX = 2048, CHUNK = 80 };
  uint32_t length = le32 (super + 0xa0);
  for (uint32_t at = 0; length <= ARRAY_MAX && at + BTRFS_KEY_SIZE + CHUNK <= length;) {
    const uint8_t *key = super + ARRAY + at;
    uint32_t size = 48 + 32u * le16 (key + BTRFS_KEY_SIZE + 44);
    if (size > length - at - BTRFS_KEY_SIZE)
      return;
    add_chunk (volume, le64 (key + 9), key + BTRFS_KEY_SIZE, size);
    at += BTRFS_KEY_SIZE + size;
  }
}

bool
btrfs_open (struct btrfs_volume *volume, const struct view *view, const uint8_t super[BTRFS_SUPER_SIZE])
{
  enum { METADATA_UUID = 0x400, KNOWN = 0x14fff }; /* not: zoned, trees of other forms */
  uint64_t incompatible = le64 (super + 0xbc), under_way = le64 (super + 0x38) >> 33;
  uint32_t nodes = CHUNK_NODES_MAX;
  volume->view = view;
  memcpy (volume->super, super, BTRFS_SUPER_SIZE);
  volume->uuid = volume->super + (incompatible & METADATA_UUID ? 0x23b : 0x20);
  volume->device = le64 (super + 0xc9);
  volume->generation = le64 (super + 0x48);
  volume->node_size = le32 (super + 0x94);
  if (le64 (super + 0x88) != 1 || incompatible & ~(uint64_t)KNOWN || under_way != 0
      || volume->node_size < 4096 || volume->node_size > BTRFS_NODE_MAX)
    return false;
  add_first_chunks (volume, super);
  btrfs_each_leaf (volume, (struct btrfs_pointer){ .logical = le64 (super + 0x58), .level = super[0xc7] }, 0,
                   &nodes, add_chunks, NULL);
  return true;
}
