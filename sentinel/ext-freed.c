/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bytes.h"
#include "ext.h"
#include "place-map.h"

#define MODE_FORMAT 0xf000u
#define MODE_REGULAR 0x8000u
#define GROUPS_MAX 128u /* that are compared; of more, evenly chosen ones */

struct pair {
  struct ext *now, *before;
  uint8_t *is, *was; /* bitmaps of one group */
  const struct ext_between *between;
};

static bool
group_changed (const struct pair *pair, uint32_t group)
{
  const uint8_t *is = pair->now->descriptors + (size_t)group * pair->now->descriptor_size;
  const uint8_t *was = pair->before->descriptors + (size_t)group * pair->before->descriptor_size;
  return memcmp (is, was, pair->now->descriptor_size) != 0;
}

/* One of the two bitmaps that a group has; what is not initialised has nothing in use. */
static bool
read_bitmap (struct ext *fs, uint32_t group, bool of_inodes, uint8_t *bitmap)
{
  struct ext_group is;
  ext_group (fs, group, &is);
  if (is.flags & (of_inodes ? EXT_GROUP_INODE_UNINIT : EXT_GROUP_BLOCK_UNINIT)) {
    memset (bitmap, 0, fs->block_size);
    return true;
  }
  return ext_read_block (fs, of_inodes ? is.inode_bitmap : is.block_bitmap, bitmap);
}

/* Every 2^n-th freed block, so that the sample is spread over all of them. */
struct sampler {
  struct place_sample *into;
  uint64_t seen, step;
};

static void
sample (struct sampler *sampler, uint64_t offset, uint64_t length)
{
  struct place_sample *into = sampler->into;
  into->bytes += length;
  if (sampler->seen++ % sampler->step != 0)
    return;
  if (into->n == PLACE_SAMPLE_MAX) {
    for (uint32_t i = 0; i < PLACE_SAMPLE_MAX / 2; i++)
      into->at[i] = into->at[2 * i];
    into->n = PLACE_SAMPLE_MAX / 2;
    sampler->step *= 2;
    if ((sampler->seen - 1) % sampler->step != 0)
      return;
  }
  into->at[into->n++] = offset;
}

static void
compare_blocks (const struct pair *pair, uint32_t group, struct sampler *gone, struct sampler *taken)
{
  struct ext *fs = pair->now;
  uint64_t cluster = (uint64_t)fs->cluster_blocks * fs->block_size;
  uint64_t start = ext_group_start (fs, group) * fs->block_size, end = fs->blocks * fs->block_size;
  if (!read_bitmap (fs, group, false, pair->is) || !read_bitmap (pair->before, group, false, pair->was))
    return;
  for (uint64_t bit = 0; bit < fs->block_size * 8ull && start + bit * cluster < end; bit++) {
    bool was = pair->was[bit / 8] >> bit % 8 & 1, is = pair->is[bit / 8] >> bit % 8 & 1;
    bool between = pair->between && ext_between_was_free (pair->between, group, bit);
    if (was && (!is || between))
      sample (gone, start + bit * cluster, cluster);
    if (is && (!was || between))
      sample (taken, start + bit * cluster, cluster);
  }
}

static void
compare_inodes (const struct pair *pair, uint32_t group, struct place_freed *freed)
{
  if (!read_bitmap (pair->now, group, true, pair->is) || !read_bitmap (pair->before, group, true, pair->was))
    return;
  for (uint32_t i = 0; i < pair->now->group_inodes / 8; i++) {
    freed->inodes += (uint64_t)__builtin_popcount (pair->was[i] & ~pair->is[i]);
    freed->new_inodes += (uint64_t)__builtin_popcount (pair->is[i] & ~pair->was[i]);
  }
}

static bool
is_file (const uint8_t *inode)
{
  return (le16 (inode) & MODE_FORMAT) == MODE_REGULAR && le16 (inode + 0x1a) > 0;
}

/* ext gives the first free inode, so that of a deleted file goes to the next one that is made: by the bitmaps
 * nothing happened, but each file has a generation of its own. */
static void
compare_generations (const struct pair *pair, struct place_freed *freed)
{
  const uint64_t *blocks;
  uint32_t n = ext_between_inodes (pair->between, &blocks), size = pair->now->inode_size;
  for (uint32_t i = 0; i < n; i++) {
    if (!ext_read_block (pair->now, blocks[i], pair->is)
        || !ext_read_block (pair->before, blocks[i], pair->was))
      return;
    for (uint32_t at = 0; at + size <= pair->now->block_size; at += size) {
      const uint8_t *is = pair->is + at, *was = pair->was + at;
      bool another = is_file (is) && is_file (was) && le32 (is + 0x64) != le32 (was + 0x64);
      freed->inodes += another;
      freed->new_inodes += another;
    }
  }
}

void
ext_freed (struct ext *now, struct ext *before, const struct ext_between *between, struct place_freed *freed)
{
  bytes_autofree uint8_t *is = malloc (now->block_size), *was = malloc (now->block_size);
  struct pair pair = { now, before, is, was, between };
  struct sampler gone = { &freed->gone, 0, 1 }, taken = { &freed->taken, 0, 1 };
  uint32_t groups = now->groups < before->groups ? now->groups : before->groups, changed = 0, nth = 0;
  if (is == NULL || was == NULL || now->descriptor_size != before->descriptor_size)
    return;
  for (uint32_t i = 0; i < groups; i++)
    changed += group_changed (&pair, i);
  uint32_t step = (changed + GROUPS_MAX - 1) / GROUPS_MAX;
  for (uint32_t i = 0; i < groups; i++)
    if (group_changed (&pair, i) && nth++ % step == 0) {
      compare_blocks (&pair, i, &gone, &taken);
      compare_inodes (&pair, i, freed);
    }
  freed->gone.bytes *= step;
  freed->taken.bytes *= step;
  freed->inodes *= step;
  freed->new_inodes *= step;
  if (between)
    compare_generations (&pair, freed);
}
