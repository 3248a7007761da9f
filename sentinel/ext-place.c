/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ext-place.h"

#include "bytes.h"

#define NO_GROUP UINT32_MAX

static bool
side_open (struct ext_side *side, const struct view *view)
{
  if (ext_open (&side->fs, view) != EXT_FOUND)
    return false;
  side->bitmap = malloc (side->fs.block_size);
  side->bitmap_group = NO_GROUP;
  if (side->bitmap)
    return true;
  ext_close (&side->fs);
  return false;
}

static void
side_close (struct ext_side *side)
{
  ext_close (&side->fs);
  free (side->bitmap);
}

bool
ext_place_open (struct ext_place *place, const struct view *now, const struct view *before)
{
  if (!side_open (&place->now, now))
    return false;
  if (!side_open (&place->before, before)) {
    side_close (&place->now);
    return false;
  }
  if (place->now.fs.block_size == place->before.fs.block_size
      && memcmp (place->now.fs.super + 0x68, place->before.fs.super + 0x68, 16) == 0)
    return true;
  ext_place_close (place);
  return false;
}

void
ext_place_close (struct ext_place *place)
{
  side_close (&place->now);
  side_close (&place->before);
}

enum use { USE_UNKNOWN, USE_FREE, USE_TAKEN };

static enum use
side_use (struct ext_side *side, uint64_t block)
{
  struct ext *fs = &side->fs;
  if (block < fs->first_block || block >= fs->blocks)
    return USE_UNKNOWN;
  uint32_t group = (uint32_t)((block - fs->first_block) / fs->group_blocks);
  if (group != side->bitmap_group) {
    struct ext_group is;
    ext_group (fs, group, &is);
    side->uninit = is.flags & EXT_GROUP_BLOCK_UNINIT;
    side->bitmap_group = NO_GROUP;
    if (!side->uninit && !ext_read_block (fs, is.block_bitmap, side->bitmap))
      return USE_UNKNOWN;
    side->bitmap_group = group;
  }
  if (side->uninit)
    return USE_FREE;
  uint64_t bit = (block - ext_group_start (fs, group)) / fs->cluster_blocks;
  return bit / 8 < fs->block_size && side->bitmap[bit / 8] >> bit % 8 & 1 ? USE_TAKEN : USE_FREE;
}

/* The primary superblock and descriptors, and inodes in use.  Not the allocation maps: that of a group whose
 * last file was deleted is zero.  With flex_bg the tables of a run of groups lie together, in that run's
 * first one. */
static bool
is_metadata (const struct ext *fs, uint64_t block)
{
  if (block < fs->first_block || block >= fs->blocks)
    return false;
  /* With meta_bg they are spread over the groups, and only the superblock is told. */
  uint32_t size = fs->incompat & EXT_INCOMPAT_META_BG ? 0 : fs->groups * fs->descriptor_size;
  if (block <= fs->first_block + (uint64_t)(size + fs->block_size - 1) / fs->block_size)
    return true;
  uint32_t flex = 1u << (fs->super[0x174] < 8 ? fs->super[0x174] : 8);
  uint32_t first = (uint32_t)((block - fs->first_block) / fs->group_blocks) / flex * flex;
  for (uint32_t i = first; i < first + flex && i < fs->groups; i++) {
    struct ext_group is;
    ext_group (fs, i, &is);
    uint64_t used = fs->group_inodes - (is.unused_inodes < fs->group_inodes ? is.unused_inodes : 0);
    uint64_t table = (used * fs->inode_size + fs->block_size - 1) / fs->block_size;
    if (!(is.flags & EXT_GROUP_INODE_UNINIT) && block >= is.inode_table && block - is.inode_table < table)
      return true;
  }
  return false;
}

enum guardd_change_place
ext_place_of (struct ext_place *place, uint64_t offset)
{
  uint64_t block = offset / place->now.fs.block_size;
  if (is_metadata (&place->now.fs, block))
    return GUARDD_PLACE_METADATA;
  enum use now = side_use (&place->now, block), before = side_use (&place->before, block);
  if (now == USE_UNKNOWN || before == USE_UNKNOWN)
    return GUARDD_PLACE_UNKNOWN;
  return now == USE_TAKEN && before == USE_TAKEN ? GUARDD_PLACE_KEPT : GUARDD_PLACE_FREE;
}
