/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bytes.h"
#include "ext.h"
#include "probe.h"

/* A mounted filesystem never writes its backup superblocks; making another one does. */
static bool
backup_agrees (struct ext *fs)
{
  uint8_t backup[1024];
  for (uint32_t group = 1; group < fs->groups && group <= 3; group++) {
    if (!ext_group_has_super (fs, group))
      continue;
    return view_read (fs->view, ext_group_start (fs, group) * fs->block_size, backup, sizeof backup)
           && le16 (backup + 0x38) == 0xef53 && memcmp (backup + 0x68, fs->super + 0x68, 16) == 0
           && memcmp (backup + 0x108, fs->super + 0x108, 4) == 0;
  }
  return true;
}

static uint64_t
own_bytes (const struct ext *fs)
{
  return (ext_own_blocks (fs) + ext_journal_blocks (fs->journal)) * fs->block_size;
}

static void
count (const struct ext *fs, struct guardd_structure *ext)
{
  uint64_t free_clusters = 0, free_inodes = 0, dirs = 0;
  bool within = true;
  for (uint32_t i = 0; i < fs->groups; i++) {
    struct ext_group group;
    ext_group (fs, i, &group);
    within = within && group.inode_table < fs->blocks && group.block_bitmap < fs->blocks
             && group.inode_bitmap < fs->blocks;
    free_clusters += group.free_clusters;
    free_inodes += group.free_inodes;
    dirs += group.used_dirs;
  }
  uint64_t free_bytes = free_clusters * fs->cluster_blocks * fs->block_size;
  ext->total_bytes = fs->blocks * fs->block_size;
  ext->total_inodes = fs->inodes;
  if (free_bytes > ext->total_bytes || free_inodes > fs->inodes || !within) {
    ext->flags |= GUARDD_STRUCTURE_DAMAGED;
    return;
  }
  uint64_t not_stored = free_bytes + own_bytes (fs);
  ext->used_bytes = not_stored < ext->total_bytes ? ext->total_bytes - not_stored : 0;
  ext->used_inodes = fs->inodes - free_inodes;
  ext->used_dirs = dirs;
  ext->flags |= GUARDD_STRUCTURE_COUNTED | (fs->approximate ? GUARDD_STRUCTURE_LAGGING : 0);
}

bool
probe_ext (struct probe *probe, const struct view *view, const char *path)
{
  struct ext fs;
  enum ext_found found = ext_open (&fs, view);
  if (found == EXT_NONE)
    return false;
  struct guardd_structure *ext = probe_add (probe, GUARDD_STRUCTURE_EXT, view, path);
  if (ext) {
    memcpy (ext->uuid, fs.super + 0x68, 16);
    ext->made = le32 (fs.super + 0x108);
    if (found == EXT_DAMAGED)
      ext->flags |= GUARDD_STRUCTURE_DAMAGED;
    else
      count (&fs, ext);
    if (found == EXT_FOUND && !ext_has_root (&fs))
      ext->flags |= GUARDD_STRUCTURE_DAMAGED;
    if (found == EXT_FOUND && !backup_agrees (&fs))
      ext->flags |= GUARDD_STRUCTURE_BACKUP_BAD;
  }
  if (found == EXT_FOUND)
    ext_close (&fs);
  return true;
}
