/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ext.h"

#include "bytes.h"

#define SUPER_AT 1024u
#define COMPAT_HAS_JOURNAL 0x4u
#define COMPAT_RESIZE_INODE 0x10u
#define COMPAT_SPARSE_SUPER2 0x200u
#define COMPAT_ORPHAN_FILE 0x1000u
#define ORPHAN_FILE_BLOCKS 512u /* the most that mke2fs makes it of */
#define INCOMPAT_RECOVER 0x4u
#define INCOMPAT_JOURNAL_DEV 0x8u
#define INCOMPAT_64BIT 0x80u
#define RO_SPARSE_SUPER 0x1u
#define RO_BIGALLOC 0x200u
#define DESCRIPTORS_MAX (64u * 1024 * 1024)

static bool
read_geometry (struct ext *fs)
{
  const uint8_t *super = fs->super;
  uint32_t log_block = le32 (super + 0x18), log_cluster = le32 (super + 0x1c);
  fs->compat = le32 (super + 0x5c);
  fs->incompat = le32 (super + 0x60);
  fs->ro_compat = le32 (super + 0x64);
  if (log_block > 6 || (fs->incompat & INCOMPAT_JOURNAL_DEV))
    return false;
  fs->block_size = 1024u << log_block;
  fs->cluster_blocks = 1;
  if (fs->ro_compat & RO_BIGALLOC) {
    if (log_cluster < log_block || log_cluster - log_block > 16)
      return false;
    fs->cluster_blocks = 1u << (log_cluster - log_block);
  }
  fs->blocks = le32 (super + 4);
  fs->descriptor_size = 32;
  if (fs->incompat & INCOMPAT_64BIT) {
    fs->blocks |= (uint64_t)le32 (super + 0x150) << 32;
    fs->descriptor_size = le16 (super + 0xfe);
  }
  fs->inodes = le32 (super);
  fs->first_block = le32 (super + 0x14);
  fs->group_blocks = le32 (super + 0x20);
  fs->group_inodes = le32 (super + 0x28);
  fs->inode_size = le32 (super + 0x4c) == 0 ? 128 : le16 (super + 0x58);
  fs->first_meta_group = le32 (super + 0x104);
  if (fs->group_blocks < 8 || fs->group_blocks > fs->block_size * 8 * fs->cluster_blocks
      || fs->group_inodes == 0 || fs->group_inodes > fs->block_size * 8 || fs->descriptor_size < 32
      || fs->descriptor_size > 1024 || fs->descriptor_size & (fs->descriptor_size - 1) || fs->inode_size < 128
      || fs->inode_size > fs->block_size || fs->first_block > 1 || fs->blocks <= fs->first_block
      || fs->blocks > fs->view->length / fs->block_size)
    return false;
  uint64_t groups = (fs->blocks - fs->first_block + fs->group_blocks - 1) / fs->group_blocks;
  if (groups * fs->descriptor_size > DESCRIPTORS_MAX || groups * fs->group_inodes != fs->inodes)
    return false;
  fs->groups = (uint32_t)groups;
  return true;
}

static bool
is_power_of (uint32_t n, uint32_t base)
{
  while (n > 1 && n % base == 0)
    n /= base;
  return n == 1;
}

bool
ext_group_has_super (const struct ext *fs, uint32_t group)
{
  if (group == 0)
    return true;
  if (fs->compat & COMPAT_SPARSE_SUPER2)
    return group == le32 (fs->super + 0x24c) || group == le32 (fs->super + 0x250);
  if (!(fs->ro_compat & RO_SPARSE_SUPER) || group == 1)
    return true;
  return is_power_of (group, 3) || is_power_of (group, 5) || is_power_of (group, 7);
}

uint64_t
ext_group_start (const struct ext *fs, uint32_t group)
{
  return fs->first_block + (uint64_t)group * fs->group_blocks;
}

/* Blocks of descriptors that are not beside a superblock: each meta group's first, second and last group
 * have one. */
static uint64_t
count_spread (const struct ext *fs, uint32_t per_block)
{
  uint64_t first = (uint64_t)fs->first_meta_group * per_block;
  if (!(fs->incompat & EXT_INCOMPAT_META_BG) || first >= fs->groups)
    return 0;
  uint64_t whole = (fs->groups - first) / per_block, rest = (fs->groups - first) % per_block;
  return 3 * whole + (rest < 2 ? rest : 2);
}

uint64_t
ext_own_blocks (const struct ext *fs)
{
  uint32_t per_block = fs->block_size / fs->descriptor_size;
  uint32_t n = (fs->groups + per_block - 1) / per_block;
  if (fs->incompat & EXT_INCOMPAT_META_BG && n > fs->first_meta_group)
    n = fs->first_meta_group;
  uint64_t table = ((uint64_t)fs->group_inodes * fs->inode_size + fs->block_size - 1) / fs->block_size;
  uint64_t own = fs->first_block + (table + 2) * fs->groups + count_spread (fs, per_block); /* 2: bitmaps */
  for (uint32_t group = 0; group < fs->groups; group++)
    if (ext_group_has_super (fs, group))
      own += 1 + n + (fs->compat & COMPAT_RESIZE_INODE ? le16 (fs->super + 0xce) : 0);
  return own + (fs->compat & COMPAT_ORPHAN_FILE ? ORPHAN_FILE_BLOCKS : 0);
}

bool
ext_read_block (struct ext *fs, uint64_t block, void *data)
{
  if (block >= fs->blocks)
    return false;
  if (fs->journal && ext_journal_block (fs->journal, fs, block, data))
    return true;
  return view_read (fs->view, block * fs->block_size, data, fs->block_size);
}

static bool
read_descriptors (struct ext *fs)
{
  uint32_t per_block = fs->block_size / fs->descriptor_size;
  uint32_t n = (fs->groups + per_block - 1) / per_block;
  fs->descriptors = malloc ((size_t)n * fs->block_size);
  if (fs->descriptors == NULL)
    return false;
  for (uint32_t i = 0; i < n; i++) {
    uint64_t at = ext_group_start (fs, 0) + 1 + i;
    /* With 1 KiB blocks group 0 starts at block 1, with larger ones the superblock shares block 0. */
    if ((fs->incompat & EXT_INCOMPAT_META_BG) && i >= fs->first_meta_group) {
      uint32_t group = i * per_block;
      at = ext_group_start (fs, group) + ext_group_has_super (fs, group);
    }
    if (!ext_read_block (fs, at, fs->descriptors + (size_t)i * fs->block_size))
      return false;
  }
  return true;
}

void
ext_group (const struct ext *fs, uint32_t group, struct ext_group *is)
{
  const uint8_t *at = fs->descriptors + (size_t)group * fs->descriptor_size;
  is->block_bitmap = le32 (at);
  is->inode_bitmap = le32 (at + 4);
  is->inode_table = le32 (at + 8);
  is->free_clusters = le16 (at + 0x0c);
  is->free_inodes = le16 (at + 0x0e);
  is->used_dirs = le16 (at + 0x10);
  is->flags = le16 (at + 0x12);
  is->unused_inodes = le16 (at + 0x1c);
  if (fs->descriptor_size < 64)
    return;
  is->block_bitmap |= (uint64_t)le32 (at + 0x20) << 32;
  is->inode_bitmap |= (uint64_t)le32 (at + 0x24) << 32;
  is->inode_table |= (uint64_t)le32 (at + 0x28) << 32;
  is->free_clusters |= (uint32_t)le16 (at + 0x2c) << 16;
  is->free_inodes |= (uint32_t)le16 (at + 0x2e) << 16;
  is->used_dirs |= (uint32_t)le16 (at + 0x30) << 16;
  is->unused_inodes |= (uint32_t)le16 (at + 0x32) << 16;
}

enum ext_found
ext_open (struct ext *fs, const struct view *view)
{
  memset (fs, 0, sizeof *fs);
  fs->view = view;
  if (!view_read (view, SUPER_AT, fs->super, sizeof fs->super) || le16 (fs->super + 0x38) != 0xef53)
    return EXT_NONE;
  if (!read_geometry (fs))
    return EXT_DAMAGED;
  if (fs->compat & COMPAT_HAS_JOURNAL) {
    bool failed;
    fs->journal = ext_journal_read (fs, &failed);
    fs->approximate = failed && (fs->incompat & INCOMPAT_RECOVER);
  }
  if (read_descriptors (fs))
    return EXT_FOUND;
  ext_close (fs);
  return EXT_DAMAGED;
}

void
ext_close (struct ext *fs)
{
  ext_journal_free (fs->journal);
  free (fs->descriptors);
  fs->journal = NULL;
  fs->descriptors = NULL;
}
