/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an inode can be, and where a file's blocks are: extent trees, and the block maps of ext2 and ext3.
 * Format: Documentation/filesystems/ext4/inodes.rst.
 */
#include "bytes.h"
#include "ext.h"

#define EXTENT_MAGIC 0xf30au
#define TREE_DEPTH_MAX 5u
#define MODE_FORMATS 0x1557u /* bits of those that there are: none, fifo, …, regular, …, socket */
#define MODE_DIRECTORY 4u
#define ROOT 2u

/* A node's entry that covers `logical`; NULL: none.  capacity: entries that fit into the node. */
static const uint8_t *
find_entry (const uint8_t *node, uint32_t capacity, uint32_t logical)
{
  uint16_t entries = le16 (node + 2);
  const uint8_t *found = NULL;
  if (entries > capacity)
    return NULL;
  for (uint16_t i = 0; i < entries; i++) {
    const uint8_t *entry = node + 12 + 12 * i;
    if (le32 (entry) > logical)
      break;
    found = entry;
  }
  return found;
}

static uint64_t
map_extent (struct ext *fs, const uint8_t i_block[60], uint32_t logical)
{
  bytes_autofree uint8_t *block = malloc (fs->block_size);
  const uint8_t *node = i_block;
  uint32_t capacity = 4, depth = le16 (i_block + 6);
  if (block == NULL || depth > TREE_DEPTH_MAX)
    return 0;
  for (;; depth--) {
    if (le16 (node) != EXTENT_MAGIC || le16 (node + 6) != depth)
      return 0;
    const uint8_t *entry = find_entry (node, capacity, logical);
    if (entry == NULL)
      return 0;
    if (depth == 0) {
      uint32_t skip = logical - le32 (entry), length = le16 (entry + 4);
      uint64_t start = (uint64_t)le16 (entry + 6) << 32 | le32 (entry + 8);
      return skip < length && length <= 32768 ? start + skip : 0;
    }
    uint64_t child = (uint64_t)le16 (entry + 8) << 32 | le32 (entry + 4);
    if (child >= fs->blocks || !view_read (fs->view, child * fs->block_size, block, fs->block_size))
      return 0;
    node = block;
    capacity = (fs->block_size - 12) / 12;
  }
}

static uint64_t
map_indirect (struct ext *fs, const uint8_t i_block[60], uint32_t logical)
{
  uint64_t per_block = fs->block_size / 4, span = 1, index = logical;
  unsigned level = 0;
  if (index < 12)
    return le32 (i_block + 4 * index);
  for (index -= 12, span = per_block, level = 1; index >= span; level++) {
    index -= span;
    span *= per_block;
    if (level == 3)
      return 0;
  }
  uint64_t block = le32 (i_block + 4 * (11 + level));
  while (level-- > 0 && block != 0) {
    uint8_t pointer[4];
    span /= per_block;
    if (block >= fs->blocks
        || !view_read (fs->view, block * fs->block_size + index / span * 4, pointer, sizeof pointer))
      return 0;
    index %= span;
    block = le32 (pointer);
  }
  return block;
}

uint64_t
ext_map_block (struct ext *fs, const uint8_t i_block[60], uint32_t logical)
{
  uint64_t block = le16 (i_block) == EXTENT_MAGIC ? map_extent (fs, i_block, logical)
                                                  : map_indirect (fs, i_block, logical);
  return block < fs->blocks ? block : 0;
}

/* By what is bounded whatever a file holds, and in 128 bytes as in more: no file has more than 2^32 blocks,
 * no attribute block lies outside, and what follows the 128 bytes is within the inode.  Other systems than
 * Linux (1: Hurd) use these fields otherwise. */
bool
ext_is_inode (const struct ext *fs, const uint8_t *inode)
{
  if (le32 (fs->super + 0x48) != 0)
    return true;
  uint64_t attributes = le32 (inode + 0x68) | (uint64_t)le16 (inode + 0x76) << 32;
  return MODE_FORMATS >> (le16 (inode) >> 12) & 1 && le32 (inode + 0x6c) <= fs->block_size
         && attributes < fs->blocks && (fs->inode_size < 132 || le16 (inode + 0x80) <= fs->inode_size - 128u);
}

bool
ext_is_file (const uint8_t *inode)
{
  return le16 (inode) != 0 && le16 (inode + 0x1a) != 0 && le32 (inode + 0x14) == 0;
}

bool
ext_is_cleared (const uint8_t *inode)
{
  return le16 (inode) == 0 && le32 (inode + 0x14) == 0;
}

bool
ext_has_root (struct ext *fs)
{
  bytes_autofree uint8_t *block = malloc (fs->block_size);
  struct ext_group first;
  ext_group (fs, 0, &first);
  uint64_t at = (ROOT - 1) * fs->inode_size;
  if (block == NULL || !ext_read_block (fs, first.inode_table + at / fs->block_size, block))
    return false;
  const uint8_t *inode = block + at % fs->block_size;
  return le16 (inode) >> 12 == MODE_DIRECTORY && ext_is_inode (fs, inode);
}
