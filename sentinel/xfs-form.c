/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of XFS by what they say of themselves: since version 5 each has the filesystem's identifier in it,
 * and where it lies.  Not by their entropy, which small directories and files' attributes may raise.
 */
#include "bytes.h"
#include "xfs.h"

#define META_UUID 0x4u /* sb_features_incompat */

/* sb_meta_uuid: what it was made with, where the identifier was changed since. */
static const uint8_t *
written_uuid (const struct xfs *fs)
{
  return fs->super + (be32 (fs->super + 216) & META_UUID ? 248 : 32);
}

bool
xfs_inode_place (const struct xfs *fs, uint64_t number, uint64_t *offset)
{
  unsigned per_block = fs->super[123], group_log = fs->super[124];
  if (per_block > 8 || group_log > 31)
    return false;
  uint64_t group = number >> (per_block + group_log);
  uint64_t block = number >> per_block & ((1ull << group_log) - 1), nth = number & ((1u << per_block) - 1);
  if (group >= fs->groups || block >= fs->group_blocks)
    return false;
  *offset = (group * fs->group_blocks + block) * fs->block + nth * fs->inode;
  return true;
}

bool
xfs_is_table (const struct xfs *fs, uint64_t offset)
{
  /* Short btree blocks and directory nodes; long btree blocks; directory blocks; remote attributes. */
  static const struct {
    uint8_t uuid, block;
  } forms[] = { { 32, 16 }, { 40, 24 }, { 24, 8 }, { 16, 40 } };
  uint8_t data[176];
  uint64_t place;
  if (!fs->version_5 || !view_read (fs->view, offset, data, sizeof data))
    return false;
  if (memcmp (data, "IN", 2) == 0 && memcmp (data + 160, written_uuid (fs), 16) == 0)
    return xfs_inode_place (fs, be64 (data + 152), &place) && place == offset;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
    if (memcmp (data + forms[i].uuid, written_uuid (fs), 16) == 0)
      return be64 (data + forms[i].block) == offset / 512;
  return false;
}
