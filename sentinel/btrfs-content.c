/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "btrfs-content.h"

#include "bytes.h"
#include "content.h"

/* 128 KiB of one byte over and over: 20 bytes by zstd, 140 by zlib, 1 KiB by LZO. */
#define CONSTANT_PART 64u
/* Of what was compressed, and is not. */
#define PACKED_MIN 32768u
#define PACKED_MAX 131072u

static bool
read_content (const struct btrfs_volume *volume, uint64_t logical, uint8_t *data)
{
  uint64_t length, at = btrfs_locate (volume, logical, &length);
  return at != UINT64_MAX && length >= CONTENT_PIECE && view_read (volume->view, at, data, CONTENT_PIECE);
}

/* That a compressor made next to nothing of what it got: at most this part of it, and zeros fill the block.
 */
static bool
is_constant (const struct btrfs_volume *volume, const struct btrfs_extent *extent)
{
  uint8_t data[CONTENT_PIECE];
  uint64_t most = extent->unpacked / CONSTANT_PART;
  return extent->compressed && most < sizeof data && read_content (volume, extent->logical, data)
         && bytes_are_zero (data + most, sizeof data - most);
}

/* All of what was compressed: what it had there is not known, but that not all of it was such. */
static bool
is_all_repeated (const struct btrfs_volume *now, const struct btrfs_part *part)
{
  uint8_t data[CONTENT_PIECE];
  uint64_t length = part->length < part->was.unpacked ? part->length : part->was.unpacked;
  if (length < PACKED_MIN || length > PACKED_MAX)
    return false;
  for (uint64_t at = 0; at + CONTENT_PIECE <= length; at += CONTENT_PIECE)
    if (!read_content (now, part->is.logical + at, data) || !content_is_repeated (data))
      return false;
  return true;
}

/* It is compressed now: only that it repeats itself can be seen of it; what was plain before can be read. */
static enum guardd_change_class
classify_packed (const struct btrfs_volume *now, const struct btrfs_volume *before,
                 const struct btrfs_part *part, uint64_t at)
{
  uint8_t was[CONTENT_PIECE];
  bool lost = is_constant (now, &part->is)
              && (part->was.compressed
                      ? !is_constant (before, &part->was)
                      : read_content (before, part->was.logical + at, was) && !content_is_repeated (was));
  return lost ? GUARDD_CHANGE_COLLAPSED : GUARDD_CHANGE_OTHER;
}

/* It was compressed, and is plain now: what hardly got smaller was of high entropy in large part. */
static enum guardd_change_class
classify_unpacked (const struct btrfs_volume *now, const struct btrfs_volume *before,
                   const struct btrfs_part *part, uint64_t at)
{
  uint8_t is[CONTENT_PIECE];
  if (is_constant (before, &part->was))
    return GUARDD_CHANGE_OTHER;
  if (is_all_repeated (now, part))
    return GUARDD_CHANGE_COLLAPSED;
  if (!read_content (now, part->is.logical + at, is) || !content_is_high (is))
    return GUARDD_CHANGE_OTHER;
  return part->was.packed <= part->was.unpacked / 4 * 3 ? GUARDD_CHANGE_LOW_TO_HIGH : GUARDD_CHANGE_HIGH;
}

enum guardd_change_class
btrfs_part_classify (const struct btrfs_volume *now, const struct btrfs_volume *before,
                     const struct btrfs_part *part, uint64_t at)
{
  uint8_t is[CONTENT_PIECE], was[CONTENT_PIECE];
  if (part->is.compressed)
    return classify_packed (now, before, part, at);
  if (part->was.compressed)
    return classify_unpacked (now, before, part, at);
  if (!read_content (now, part->is.logical + at, is) || !read_content (before, part->was.logical + at, was)
      || memcmp (is, was, sizeof is) == 0)
    return GUARDD_CHANGE_CLASSES;
  if (bytes_are_zero (is, sizeof is))
    return GUARDD_CHANGE_TO_ZERO;
  if (bytes_are_zero (was, sizeof was))
    return content_is_high (is) ? GUARDD_CHANGE_ZERO_TO_HIGH : GUARDD_CHANGE_FROM_ZERO;
  if (content_is_repeated (is))
    return content_is_repeated (was) ? GUARDD_CHANGE_OTHER : GUARDD_CHANGE_COLLAPSED;
  if (content_is_high (is))
    return content_is_ordinary (was) ? GUARDD_CHANGE_LOW_TO_HIGH : GUARDD_CHANGE_HIGH;
  return GUARDD_CHANGE_OTHER;
}
