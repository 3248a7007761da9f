/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xfs.h"

#include "bytes.h"

static bool
read_geometry (struct xfs *fs)
{
  const uint8_t *super = fs->super;
  fs->block = be32 (super + 4);
  fs->blocks = be64 (super + 8);
  fs->group_blocks = be32 (super + 84);
  fs->groups = be32 (super + 88);
  fs->sector = be16 (super + 102);
  fs->inode = be16 (super + 104);
  fs->version_5 = (be16 (super + 100) & 15) == 5;
  return fs->block >= 512 && fs->block <= 65536 && fs->sector >= 512 && fs->sector <= 32768 && fs->groups >= 1
         && fs->group_blocks >= 16 && fs->blocks <= fs->view->length / fs->block
         && fs->blocks > (uint64_t)(fs->groups - 1) * fs->group_blocks;
}

uint64_t
xfs_group_start (const struct xfs *fs, uint32_t group)
{
  return (uint64_t)group * fs->group_blocks * fs->block;
}

/* An external log (sb_logstart 0) cannot be read. */
static void
read_log_place (struct xfs *fs)
{
  uint64_t start = be64 (fs->super + 48), blocks = be32 (fs->super + 96);
  unsigned group_log = fs->super[124];
  if (start == 0 || group_log > 31)
    return;
  uint64_t group = start >> group_log, block = start & ((1ull << group_log) - 1);
  if (group >= fs->groups || block + blocks > fs->group_blocks)
    return;
  fs->log_start = xfs_group_start (fs, (uint32_t)group) + block * fs->block;
  fs->log_blocks = (uint32_t)(blocks * fs->block / 512);
}

enum xfs_found
xfs_open (struct xfs *fs, const struct view *view, uint64_t since)
{
  memset (fs, 0, sizeof *fs);
  fs->view = view;
  if (!view_read (view, 0, fs->super, sizeof fs->super) || memcmp (fs->super, "XFSB", 4))
    return XFS_NONE;
  if (!read_geometry (fs))
    return XFS_DAMAGED;
  read_log_place (fs);
  fs->late = fs->log_blocks == 0;
  if (!fs->late)
    fs->log = xfs_log_read (fs, since);
  return XFS_FOUND;
}

void
xfs_close (struct xfs *fs)
{
  xfs_log_free (fs->log);
  fs->log = NULL;
}
