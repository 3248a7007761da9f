/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks of an XFS filesystem by its free-space btrees (bnobt), as they are after replaying the log.  fstrim
 * and the discard option force the log before they discard, and a freed block is written again only once what
 * freed it is in the log: so a block that both maps have in use, and that no map in between had free, was
 * overwritten in place.  Where the log cannot be read that far, only "in use, by maps that are late" is said.
 */
#include "bytes.h"
#include "place-map.h"
#include "xfs.h"

#define LEVELS_MAX 9u
#define NOTHING UINT32_MAX

/* A path from a group's root to a leaf; runs of blocks mostly stay in one leaf. */
struct side {
  struct xfs fs;
  uint32_t group, root, levels;
  uint8_t *nodes[LEVELS_MAX];
  uint32_t blocks[LEVELS_MAX];
};

struct xfs_place {
  struct place_map map;
  struct side now, before;
};

enum use { USE_UNKNOWN, USE_FREE, USE_TAKEN };

static bool
side_open (struct side *side, const struct view *view, uint64_t since)
{
  if (xfs_open (&side->fs, view, since) != XFS_FOUND)
    return false;
  side->group = NOTHING;
  return true;
}

static void
side_close (struct side *side)
{
  xfs_close (&side->fs);
  for (uint32_t i = 0; i < LEVELS_MAX; i++)
    free (side->nodes[i]);
}

static bool
enter_group (struct side *side, uint32_t group)
{
  uint8_t header[64];
  if (side->group == group)
    return true;
  side->group = NOTHING;
  if (!xfs_read (&side->fs, xfs_group_start (&side->fs, group) + side->fs.sector, header, sizeof header)
      || memcmp (header, "XAGF", 4) || be32 (header + 8) != group)
    return false;
  side->root = be32 (header + 16);
  side->levels = be32 (header + 28);
  for (uint32_t i = 0; i < LEVELS_MAX; i++)
    side->blocks[i] = NOTHING;
  if (side->levels == 0 || side->levels > LEVELS_MAX)
    return false;
  side->group = group;
  return true;
}

/* The node of a level, 0 being the leaf's; NULL: there is none there. */
static const uint8_t *
read_node (struct side *side, uint32_t level, uint32_t block)
{
  struct xfs *fs = &side->fs;
  if (side->nodes[level] == NULL)
    side->nodes[level] = malloc (fs->block);
  if (side->nodes[level] == NULL || block >= fs->group_blocks)
    return NULL;
  uint8_t *node = side->nodes[level];
  if (side->blocks[level] != block) {
    side->blocks[level] = NOTHING;
    uint64_t at = xfs_group_start (fs, side->group) + (uint64_t)block * fs->block;
    if (!xfs_read (fs, at, node, fs->block))
      return NULL;
    side->blocks[level] = block;
  }
  return memcmp (node, fs->version_5 ? "AB3B" : "ABTB", 4) == 0 && be16 (node + 4) == level ? node : NULL;
}

/* How many of n records (or keys) of 8 bytes start at or before a block. */
static uint32_t
count_before (const uint8_t *records, uint32_t n, uint32_t block)
{
  uint32_t low = 0;
  while (low < n) {
    uint32_t middle = low + (n - low) / 2;
    if (be32 (records + 8 * (size_t)middle) <= block)
      low = middle + 1;
    else
      n = middle;
  }
  return low;
}

static enum use
side_use (struct side *side, uint32_t group, uint32_t block)
{
  uint32_t head = side->fs.version_5 ? 56 : 16;
  if (!enter_group (side, group))
    return USE_UNKNOWN;
  for (uint32_t level = side->levels - 1, at = side->root;; level--) {
    const uint8_t *node = read_node (side, level, at);
    uint32_t most = (side->fs.block - head) / (level ? 12 : 8);
    uint32_t n = node ? be16 (node + 6) : 0;
    if (node == NULL || n > most)
      return USE_UNKNOWN;
    uint32_t before = count_before (node + head, n, block);
    if (before == 0)
      return USE_TAKEN;
    const uint8_t *record = node + head + 8 * (size_t)(before - 1);
    if (level == 0)
      return block - be32 (record) < be32 (record + 4) ? USE_FREE : USE_TAKEN;
    at = be32 (node + head + 8 * (size_t)most + 4 * (size_t)(before - 1));
  }
}

/* Superblock and headers of a group: four sectors at its start. */
static bool
is_metadata (const struct xfs *fs, uint32_t block)
{
  return (uint64_t)block * fs->block < 4ull * fs->sector;
}

static enum guardd_change_place
place_of (struct place_map *map, uint64_t offset)
{
  struct xfs_place *place = (struct xfs_place *)map;
  const struct xfs *fs = &place->now.fs;
  uint64_t number = offset / fs->block;
  uint32_t group = (uint32_t)(number / fs->group_blocks), block = (uint32_t)(number % fs->group_blocks);
  if (number >= fs->blocks || group >= fs->groups || number >= place->before.fs.blocks)
    return GUARDD_PLACE_UNKNOWN;
  if (is_metadata (fs, block))
    return GUARDD_PLACE_METADATA;
  enum use now = side_use (&place->now, group, block), before = side_use (&place->before, group, block);
  if (now == USE_UNKNOWN || before == USE_UNKNOWN)
    return GUARDD_PLACE_UNKNOWN;
  if (now == USE_FREE)
    return GUARDD_PLACE_FREE;
  enum xfs_was was = xfs_was_free (fs, group, block);
  if (before == USE_FREE || was == XFS_WAS_FREE)
    return GUARDD_PLACE_NEW;
  return was == XFS_WAS_UNKNOWN || fs->late || place->before.fs.late ? GUARDD_PLACE_LATE : GUARDD_PLACE_KEPT;
}

/* In use all the while, so a table that was here still has to be.  The log has copies of all of them. */
static bool
place_ruined (struct place_map *map, uint64_t offset, enum guardd_change_place where)
{
  const struct xfs *now = &((struct xfs_place *)map)->now.fs;
  uint64_t log_end = now->log_start + (uint64_t)now->log_blocks * 512;
  return where == GUARDD_PLACE_KEPT && (offset < now->log_start || offset >= log_end)
         && xfs_is_table (&((struct xfs_place *)map)->before.fs, offset) && !xfs_is_table (now, offset);
}

static void
place_close (struct place_map *map)
{
  struct xfs_place *place = (struct xfs_place *)map;
  side_close (&place->now);
  side_close (&place->before);
  free (place);
}

struct place_map *
xfs_place_open (const struct view *now, const struct view *before)
{
  struct xfs_place *place = calloc (1, sizeof *place);
  if (place == NULL)
    return NULL;
  place->map = (struct place_map){ .of = place_of, .ruined = place_ruined, .close = place_close };
  const struct xfs *is = &place->now.fs, *was = &place->before.fs;
  if (side_open (&place->before, before, 0) && side_open (&place->now, now, xfs_head (was))
      && is->block == was->block && is->group_blocks == was->group_blocks
      && memcmp (is->super + 32, was->super + 32, 16) == 0)
    return &place->map;
  place_close (&place->map);
  return NULL;
}
