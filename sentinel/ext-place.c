/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks of an ext filesystem by its block bitmaps, as they are after replaying the journal.  A freed block
 * is discarded or used again only once the transaction that freed it is in the journal, so a block that both
 * bitmaps have in use, and no bitmap that was journaled in between had free, was overwritten in place.  Where
 * the journal does not reach so far back, only "in use, by maps that are late" is said.
 */
#include "bytes.h"
#include "ext.h"
#include "place-map.h"

#define NO_GROUP UINT32_MAX

struct ext_side {
  struct ext fs;
  uint8_t *bitmap; /* of bitmap_group */
  uint32_t bitmap_group;
  bool uninit; /* that group has none: its blocks are free */
};

struct ext_place {
  struct place_map map;
  struct ext_side now, before;
  struct ext_between *between; /* NULL: not known */
};

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

/* Inodes in use.  With flex_bg the tables of a run of groups lie together, in that run's first one. */
static bool
is_of_inodes (const struct ext *fs, uint64_t block)
{
  if (block < fs->first_block || block >= fs->blocks)
    return false;
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

/* The primary superblock and descriptors, and inodes in use.  Not the allocation maps: that of a group whose
 * last file was deleted is zero. */
static bool
is_metadata (const struct ext *fs, uint64_t block)
{
  /* With meta_bg they are spread over the groups, and only the superblock is told. */
  uint32_t size = fs->incompat & EXT_INCOMPAT_META_BG ? 0 : fs->groups * fs->descriptor_size;
  uint64_t last = fs->first_block + (uint64_t)(size + fs->block_size - 1) / fs->block_size;
  return (block >= fs->first_block && block <= last) || is_of_inodes (fs, block);
}

static enum guardd_change_place
place_of (struct place_map *map, uint64_t offset)
{
  struct ext_place *place = (struct ext_place *)map;
  uint64_t block = offset / place->now.fs.block_size;
  if (is_metadata (&place->now.fs, block))
    return GUARDD_PLACE_METADATA;
  enum use now = side_use (&place->now, block), before = side_use (&place->before, block);
  if (now == USE_UNKNOWN || before == USE_UNKNOWN)
    return GUARDD_PLACE_UNKNOWN;
  if (now == USE_FREE)
    return GUARDD_PLACE_FREE;
  const struct ext *fs = &place->now.fs;
  uint32_t group = (uint32_t)((block - fs->first_block) / fs->group_blocks);
  uint64_t bit = (block - ext_group_start (fs, group)) / fs->cluster_blocks;
  if (before == USE_FREE || (place->between && ext_between_was_free (place->between, group, bit)))
    return GUARDD_PLACE_NEW;
  return place->between ? GUARDD_PLACE_KEPT : GUARDD_PLACE_LATE;
}

/* Inodes of PLACE_PIECE bytes, as they lie on the disk, whatever the journal has of them: that is what was
 * overwritten. */
struct table {
  uint8_t data[PLACE_PIECE];
  uint32_t length;
};

static bool
table_read (struct table *table, const struct ext *fs, uint64_t offset)
{
  table->length = fs->block_size < sizeof table->data ? fs->block_size : (uint32_t)sizeof table->data;
  return view_read (fs->view, offset, table->data, table->length);
}

static bool
has_form (const struct table *table, const struct ext *fs)
{
  uint32_t inodes = 0, bad = 0;
  for (uint32_t at = 0; at + fs->inode_size <= table->length; at += fs->inode_size)
    if (!bytes_are_zero (table->data + at, fs->inode_size)) {
      inodes++;
      bad += !ext_is_inode (fs, table->data + at);
    }
  return bad * 2 <= inodes;
}

/* Of files that no kernel has deleted, which would leave mode and time: cleared one by one, as by debugfs.
 * All zeros is a class of change of its own. */
static bool
is_cleared (const struct table *now, const struct table *before, const struct ext *fs)
{
  uint32_t files = 0, cleared = 0;
  for (uint32_t at = 0; at + fs->inode_size <= now->length; at += fs->inode_size)
    if (ext_is_file (before->data + at)) {
      files++;
      cleared += ext_is_cleared (now->data + at);
    }
  return cleared * 2 > files && !bytes_are_zero (now->data, now->length);
}

static bool
place_ruined (struct place_map *map, uint64_t offset, enum guardd_change_place place)
{
  const struct ext *now = &((struct ext_place *)map)->now.fs, *before = &((struct ext_place *)map)->before.fs;
  uint64_t block = offset / now->block_size;
  struct table is, was;
  return place == GUARDD_PLACE_METADATA && now->inode_size == before->inode_size && is_of_inodes (now, block)
         && is_of_inodes (before, block) && table_read (&is, now, offset) && table_read (&was, before, offset)
         && has_form (&was, before) && (!has_form (&is, now) || is_cleared (&is, &was, now));
}

/* Whether every file of a stretch of a block of inodes is still there, or was deleted by a kernel, which
 * leaves kind and generation.  By the journal as to what was: which files were deleted may be nowhere else
 * yet. */
static bool
block_is_spared (struct ext *before, const struct ext *now, uint64_t block, uint32_t first, uint32_t length)
{
  uint8_t is[PLACE_PIECE];
  uint32_t size = before->inode_size;
  bytes_autofree uint8_t *was = malloc (before->block_size);
  if (was == NULL || !ext_read_block (before, block, was)
      || !view_read (now->view, block * now->block_size + first, is, length))
    return false;
  for (uint32_t at = 0; at + size <= length; at += size) {
    const uint8_t *old = was + first + at;
    if (ext_is_file (old) && (le16 (old) != le16 (is + at) || le32 (old + 0x64) != le32 (is + at + 0x64)))
      return false;
  }
  return true;
}

/* tune2fs clears the inodes that are not in use when it brings or removes checksums. */
static bool
place_spared (struct place_map *map, uint64_t offset)
{
  struct ext *before = &((struct ext_place *)map)->before.fs;
  const struct ext *now = &((struct ext_place *)map)->now.fs;
  uint32_t length = before->block_size < PLACE_PIECE ? before->block_size : PLACE_PIECE;
  if (now->inode_size != before->inode_size || !is_of_inodes (before, offset / before->block_size))
    return false;
  for (uint64_t at = offset; at < offset + PLACE_PIECE; at += length) {
    uint64_t block = at / before->block_size;
    if (is_of_inodes (before, block)
        && !block_is_spared (before, now, block, (uint32_t)(at % before->block_size), length))
      return false;
  }
  return true;
}

static void
place_freed (struct place_map *map, struct place_freed *freed)
{
  struct ext_place *place = (struct ext_place *)map;
  ext_freed (&place->now.fs, &place->before.fs, place->between, freed);
}

static void
place_close (struct place_map *map)
{
  struct ext_place *place = (struct ext_place *)map;
  side_close (&place->now);
  side_close (&place->before);
  ext_between_free (place->between);
  free (place);
}

struct place_map *
ext_place_open (const struct view *now, const struct view *before)
{
  struct ext_place *place = calloc (1, sizeof *place);
  if (place == NULL)
    return NULL;
  place->map = (struct place_map){
    .of = place_of, .ruined = place_ruined, .freed = place_freed, .close = place_close, .spared = place_spared
  };
  const struct ext *is = &place->now.fs, *was = &place->before.fs;
  if (side_open (&place->now, now) && side_open (&place->before, before) && is->block_size == was->block_size
      && memcmp (is->super + 0x68, was->super + 0x68, 16) == 0) {
    place->between = ext_between_read (&place->now.fs, was);
    return &place->map;
  }
  place_close (&place->map);
  return NULL;
}
