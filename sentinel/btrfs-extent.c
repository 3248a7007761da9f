/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "btrfs-extent.h"

#include "bytes.h"

bool
btrfs_read_extent (const struct btrfs_volume *volume, const uint8_t *leaf, uint32_t i,
                   struct btrfs_extent *extent)
{
  enum {
    SIZE = 53,
    RAM = 8,
    COMPRESSION = 16,
    TYPE = 20,
    DISK = 21,
    DISK_LENGTH = 29,
    OFFSET = 37,
    LENGTH = 45
  };
  enum { REGULAR = 1 };
  struct btrfs_key key = btrfs_key (leaf, i);
  uint32_t size;
  const uint8_t *data = key.type == BTRFS_KEY_EXTENT_DATA ? btrfs_item (volume, leaf, i, SIZE, &size) : NULL;
  if (data == NULL || data[TYPE] != REGULAR || le64 (data + DISK) == 0)
    return false;
  *extent = (struct btrfs_extent){ .offset = key.offset,
                                   .length = le64 (data + LENGTH),
                                   .logical = le64 (data + DISK),
                                   .generation = le64 (data),
                                   .compressed = data[COMPRESSION] != 0,
                                   .unpacked = le64 (data + RAM),
                                   .packed = le64 (data + DISK_LENGTH) };
  if (!extent->compressed)
    extent->logical += le64 (data + OFFSET);
  return extent->length <= UINT64_MAX - extent->offset;
}

struct btrfs_extent
btrfs_extent_from (struct btrfs_extent extent, uint64_t at)
{
  if (!extent.compressed)
    extent.logical += at - extent.offset;
  extent.length -= at - extent.offset;
  extent.offset = at;
  return extent;
}
