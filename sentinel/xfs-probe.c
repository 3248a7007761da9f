/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XFS: the superblock, and the counters of every allocation group, which are right where the superblock's
 * are not (lazy-count).
 */
#include "bytes.h"
#include "probe.h"
#include "xfs.h"

#define GROUPS_MAX 4096u
#define FLAGS2_BIGTIME 8u

/* mkfs makes the root directory, and nothing else ever sets its time of creation; *made 0: version 4 has
 * none. False: it is not there. */
static bool
read_root (const struct xfs *fs, uint64_t *made)
{
  uint8_t inode[176];
  uint64_t at;
  *made = 0;
  if (!xfs_inode_place (fs, be64 (fs->super + 56), &at) || !view_read (fs->view, at, inode, sizeof inode)
      || memcmp (inode, "IN", 2))
    return false;
  if (inode[4] < 3)
    return true;
  uint64_t time = be64 (inode + 144), seconds = time / 1000000000;
  if (!(be64 (inode + 120) & FLAGS2_BIGTIME))
    *made = time >> 32;
  else if (seconds > 1ull << 31)
    *made = seconds - (1ull << 31);
  return true;
}

/* Adds one group's counters; false if its headers are not there. */
static bool
add_group (const struct xfs *fs, uint32_t group, uint64_t *free_blocks, uint64_t *used_inodes,
           uint64_t *inodes)
{
  uint64_t start = xfs_group_start (fs, group);
  uint8_t free[64], inode[64];
  if (!xfs_read (fs, start + fs->sector, free, sizeof free)
      || !xfs_read (fs, start + 2ull * fs->sector, inode, sizeof inode))
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

static bool
count (const struct xfs *fs, struct guardd_structure *xfs)
{
  uint64_t free_blocks = 0, used_inodes = 0, inodes = 0;
  uint32_t seen = 0, step = fs->groups > GROUPS_MAX ? fs->groups / GROUPS_MAX + 1 : 1;
  for (uint32_t group = 0; group < fs->groups; group += step) {
    if (!add_group (fs, group, &free_blocks, &used_inodes, &inodes))
      return false;
    seen++;
  }
  /* The log is the filesystem's own, whatever is stored. */
  uint64_t not_used = free_blocks * fs->groups / seen * fs->block + (uint64_t)fs->log_blocks * 512;
  xfs->total_inodes = inodes * fs->groups / seen;
  xfs->used_inodes = used_inodes * fs->groups / seen;
  xfs->used_bytes = not_used < xfs->total_bytes ? xfs->total_bytes - not_used : 0;
  xfs->flags |= GUARDD_STRUCTURE_COUNTED | (fs->late ? GUARDD_STRUCTURE_LAGGING : 0)
                | (step > 1 ? GUARDD_STRUCTURE_SAMPLED : 0);
  return true;
}

bool
probe_xfs (struct probe *probe, const struct view *view, const char *path)
{
  struct xfs fs;
  enum xfs_found found = xfs_open (&fs, view, 0);
  if (found == XFS_NONE)
    return false;
  struct guardd_structure *xfs = probe_add (probe, GUARDD_STRUCTURE_XFS, view, path);
  if (xfs) {
    memcpy (xfs->uuid, fs.super + 32, 16);
    xfs->total_bytes = fs.blocks * fs.block;
    if (found == XFS_DAMAGED || !read_root (&fs, &xfs->made) || !count (&fs, xfs))
      xfs->flags |= GUARDD_STRUCTURE_DAMAGED;
  }
  if (found == XFS_FOUND)
    xfs_close (&fs);
  return true;
}
