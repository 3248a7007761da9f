/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XFS: the superblock, and the counters of every allocation group, which are right where the superblock's
 * are not (lazy-count).  Both reach their place on disk when the log is written back, up to some 75 seconds
 * after the change.  Format: "XFS Algorithms & Data Structures", 3rd ed., Allocation Groups.
 */
#include "bytes.h"
#include "probe.h"

#define GROUPS_MAX 4096u

struct geometry {
  uint64_t blocks;
  uint32_t block, sector, inode, group_blocks, groups;
};

static bool
read_geometry (const uint8_t *super, uint64_t length, struct geometry *fs)
{
  fs->block = be32 (super + 4);
  fs->blocks = be64 (super + 8);
  fs->group_blocks = be32 (super + 84);
  fs->groups = be32 (super + 88);
  fs->sector = be16 (super + 102);
  fs->inode = be16 (super + 104);
  return fs->block >= 512 && fs->block <= 65536 && fs->sector >= 512 && fs->sector <= 32768 && fs->groups >= 1
         && fs->group_blocks >= 16 && fs->blocks <= length / fs->block
         && fs->blocks > (uint64_t)(fs->groups - 1) * fs->group_blocks;
}

#define FLAGS2_BIGTIME 8u

/* mkfs makes the root directory, and nothing else ever sets its time of creation; 0: version 4 has none. */
static uint64_t
read_made (const struct view *view, const struct geometry *fs, const uint8_t *super)
{
  uint8_t inode[176];
  uint64_t root = be64 (super + 56);
  unsigned per_block = super[123], group_log = super[124];
  if (per_block > 8 || group_log > 31)
    return 0;
  uint64_t group = root >> (per_block + group_log), block = root >> per_block & ((1ull << group_log) - 1);
  uint64_t at = (group * fs->group_blocks + block) * fs->block + (root & ((1u << per_block) - 1)) * fs->inode;
  if (group >= fs->groups || block >= fs->group_blocks || !view_read (view, at, inode, sizeof inode)
      || memcmp (inode, "IN", 2) || inode[4] < 3)
    return 0;
  if (!(be64 (inode + 120) & FLAGS2_BIGTIME))
    return be32 (inode + 144);
  uint64_t seconds = be64 (inode + 144) / 1000000000;
  return seconds > 1ull << 31 ? seconds - (1ull << 31) : 0;
}

/* Adds one group's counters; false if its headers are not there. */
static bool
add_group (const struct view *view, const struct geometry *fs, uint32_t group, uint64_t *free_blocks,
           uint64_t *used_inodes, uint64_t *inodes)
{
  uint64_t start = (uint64_t)group * fs->group_blocks * fs->block;
  uint8_t free[64], inode[64];
  if (!view_read (view, start + fs->sector, free, sizeof free)
      || !view_read (view, start + 2ull * fs->sector, inode, sizeof inode))
    return false;
  if (memcmp (free, "XAGF", 4) || be32 (free + 8) != group || memcmp (inode, "XAGI", 4)
      || be32 (inode + 8) != group || be32 (free + 52) > fs->group_blocks
      || be32 (inode + 28) > be32 (inode + 16))
    return false;
  *free_blocks += be32 (free + 52);
  *inodes += be32 (inode + 16);
  *used_inodes += be32 (inode + 16) - be32 (inode + 28);
  return true;
}

bool
probe_xfs (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t super[256];
  struct geometry fs;
  if (!view_read (view, 0, super, sizeof super) || memcmp (super, "XFSB", 4))
    return false;
  struct guardd_structure *xfs = probe_add (probe, GUARDD_STRUCTURE_XFS, view, path);
  if (xfs == NULL)
    return true;
  memcpy (xfs->uuid, super + 32, 16);
  if (!read_geometry (super, view->length, &fs)) {
    xfs->flags |= GUARDD_STRUCTURE_DAMAGED;
    return true;
  }
  xfs->made = read_made (view, &fs, super);
  xfs->total_bytes = fs.blocks * fs.block;
  uint64_t free_blocks = 0, used_inodes = 0, inodes = 0;
  uint32_t seen = 0, step = fs.groups > GROUPS_MAX ? fs.groups / GROUPS_MAX + 1 : 1;
  for (uint32_t group = 0; group < fs.groups; group += step) {
    if (!add_group (view, &fs, group, &free_blocks, &used_inodes, &inodes)) {
      xfs->flags |= GUARDD_STRUCTURE_DAMAGED;
      return true;
    }
    seen++;
  }
  uint64_t free_bytes = free_blocks * fs.groups / seen * fs.block;
  xfs->total_inodes = inodes * fs.groups / seen;
  xfs->used_inodes = used_inodes * fs.groups / seen;
  xfs->used_bytes = free_bytes < xfs->total_bytes ? xfs->total_bytes - free_bytes : 0;
  xfs->flags
      |= GUARDD_STRUCTURE_COUNTED | GUARDD_STRUCTURE_LAGGING | (step > 1 ? GUARDD_STRUCTURE_SAMPLED : 0);
  return true;
}
