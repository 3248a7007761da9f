/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bytes.h"
#include "ext.h"

#include <stdlib.h>

#define GROUPS_MAX 4096u /* whose bitmaps changed: 16 MiB of them */

struct bitmap {
  uint64_t block; /* where it lies */
  uint32_t group;
  uint8_t *always; /* bits that were never clear; NULL: it did not change */
};

struct ext_between {
  uint32_t block_size, groups, changed;
  struct bitmap *bitmaps;   /* by block */
  struct bitmap **by_group; /* into bitmaps */
};

static int
compare (const void *a, const void *b)
{
  const struct bitmap *left = a, *right = b;
  return (left->block > right->block) - (left->block < right->block);
}

static bool
take_version (void *opaque, uint64_t block, const void *data)
{
  struct ext_between *between = opaque;
  const struct bitmap key = { .block = block };
  struct bitmap *found = bsearch (&key, between->bitmaps, between->groups, sizeof key, compare);
  if (found == NULL || data == NULL)
    return found != NULL;
  const uint8_t *bits = data;
  if (found->always == NULL) {
    if (between->changed++ == GROUPS_MAX || (found->always = malloc (between->block_size)) == NULL)
      return false;
    memset (found->always, 0xff, between->block_size);
  }
  for (uint32_t i = 0; i < between->block_size; i++)
    found->always[i] &= bits[i];
  return true;
}

static bool
list_bitmaps (struct ext_between *between, const struct ext *fs)
{
  between->bitmaps = calloc (fs->groups, sizeof *between->bitmaps);
  between->by_group = calloc (fs->groups, sizeof *between->by_group);
  if (between->bitmaps == NULL || between->by_group == NULL)
    return false;
  for (uint32_t i = 0; i < fs->groups; i++) {
    struct ext_group is;
    ext_group (fs, i, &is);
    between->bitmaps[i] = (struct bitmap){ .block = is.block_bitmap, .group = i };
  }
  qsort (between->bitmaps, fs->groups, sizeof *between->bitmaps, compare);
  for (uint32_t i = 0; i < fs->groups; i++)
    between->by_group[between->bitmaps[i].group] = &between->bitmaps[i];
  return true;
}

struct ext_between *
ext_between_read (struct ext *now, const struct ext *before)
{
  struct ext_between *between = calloc (1, sizeof *between);
  if (between == NULL)
    return NULL;
  between->block_size = now->block_size;
  between->groups = now->groups;
  if (list_bitmaps (between, now) && ext_journal_since (now, before->journal, take_version, between))
    return between;
  ext_between_free (between);
  return NULL;
}

void
ext_between_free (struct ext_between *between)
{
  if (between == NULL)
    return;
  for (uint32_t i = 0; between->bitmaps && i < between->groups; i++)
    free (between->bitmaps[i].always);
  free (between->bitmaps);
  free (between->by_group);
  free (between);
}

bool
ext_between_was_free (const struct ext_between *between, uint32_t group, uint64_t bit)
{
  const uint8_t *always = group < between->groups ? between->by_group[group]->always : NULL;
  return always && bit / 8 < between->block_size && !(always[bit / 8] >> bit % 8 & 1);
}
