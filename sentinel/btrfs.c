/* SPDX-License-Identifier: GPL-2.0-or-later */
/* btrfs superblock, and its first copy.  Format: btrfs documentation, "On-disk Format", Superblock. */
#include "btrfs.h"

#include "bytes.h"
#include "probe.h"

#define COPY_AT (64u * 1024 * 1024)

bool
btrfs_read_super (const struct view *view, uint64_t at, uint8_t super[BTRFS_SUPER_SIZE])
{
  return view_read (view, at, super, BTRFS_SUPER_SIZE) && memcmp (super + 0x40, "_BHRfS_M", 8) == 0
         && le64 (super + 0x30) == at;
}

bool
probe_btrfs (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t super[BTRFS_SUPER_SIZE], copy[BTRFS_SUPER_SIZE];
  if (!btrfs_read_super (view, BTRFS_SUPER_AT, super))
    return false;
  struct guardd_structure *btrfs = probe_add (probe, GUARDD_STRUCTURE_BTRFS, view, path);
  if (btrfs == NULL)
    return true;
  memcpy (btrfs->uuid, super + 0x20, 16);
  btrfs->generation = le64 (super + 0x48);
  btrfs->total_bytes = le64 (super + 0x70);
  if (le64 (super + 0x78) <= btrfs->total_bytes) {
    btrfs->used_bytes = le64 (super + 0x78);
    btrfs->flags |= GUARDD_STRUCTURE_COUNTED | GUARDD_STRUCTURE_LAGGING;
  } else {
    btrfs->flags |= GUARDD_STRUCTURE_DAMAGED;
  }
  enum btrfs_trees trees = btrfs_look_at_trees (view, super);
  if (trees == BTRFS_TREES_BROKEN)
    btrfs->flags |= GUARDD_STRUCTURE_DAMAGED;
  if (trees == BTRFS_TREES_ONE_COPY)
    btrfs->flags |= GUARDD_STRUCTURE_BACKUP_BAD;
  if (view->length >= COPY_AT + BTRFS_SUPER_SIZE && btrfs->total_bytes > COPY_AT + BTRFS_SUPER_SIZE
      && (!btrfs_read_super (view, COPY_AT, copy) || memcmp (copy + 0x20, super + 0x20, 16)))
    btrfs->flags |= GUARDD_STRUCTURE_BACKUP_BAD;
  return true;
}
