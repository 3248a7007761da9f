/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bytes.h"
#include "ext.h"

#include <stdlib.h>

#define GROUPS_MAX 4096u /* whose bitmaps changed: 16 MiB of them */
#define TABLES_MAX 1024u /* blocks of inode tables */

struct bitmap {
  uint64_t block; /* where it lies */
  uint32_t group;
  uint8_t *always; /* bits that were never clear; NULL: it did not change */
};

struct ext_between {
  uint32_t block_size, groups, changed;
  struct bitmap *bitmaps;      /* by block */
  struct bitmap **by_group;    /* into bitmaps */
  uint64_t *tables;            /* where those of all groups begin, ascending */
  uint32_t table_blocks;       /* of each */
  uint64_t inodes[TABLES_MAX]; /* blocks of them that were written */
  uint32_t n_inodes;
};

static int
compare (const void *a, const void *b)
{
  const struct bitmap *left = a, *right = b;
  return (left->block > right->block) - (left->block < right->block);
}

static int
compare_blocks (const void *a, const void *b)
{
  const uint64_t *left = a, *right = b;
  return (*left > *right) - (*left < *right);
}

static bool
is_of_inodes (const struct ext_between *between, uint64_t block)
{
  uint32_t low = 0, high = between->groups;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (between->tables[middle] <= block)
      low = middle + 1;
    else
      high = middle;
  }
  return low > 0 && block - between->tables[low - 1] < between->table_blocks;
}

/* Every transaction has a block again while its files change. */
static void
remember_inodes (struct ext_between *between, uint64_t block)
{
  for (uint32_t i = 0; i < between->n_inodes; i++)
    if (between->inodes[i] == block)
      return;
  if (between->n_inodes < TABLES_MAX)
    between->inodes[between->n_inodes++] = block;
}

static bool
take_version (void *opaque, uint64_t block, const void *data)
{
  struct ext_between *between = opaque;
  const struct bitmap key = { .block = block };
  struct bitmap *found = bsearch (&key, between->bitmaps, between->groups, sizeof key, compare);
  if (found == NULL && is_of_inodes (between, block))
    remember_inodes (between, block);
  if (found == NULL || data == NULL)
    return found != NULL;
  const uint8_t *bits = data;
  if (found->always == NULL) {
    if (between->changed++ == GROUPS_MAX || (found->always = malloc (between->block_size)) == NULL)
      return false;
    memset (found->always, 0xff,
            between->block_size); /* freed with its bitmap, which gcc 12's analyzer does not see */
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
  between->tables = calloc (fs->groups, sizeof *between->tables);
  if (between->bitmaps == NULL || between->by_group == NULL || between->tables == NULL)
    return false;
  for (uint32_t i = 0; i < fs->groups; i++) {
    struct ext_group is;
    ext_group (fs, i, &is);
    between->bitmaps[i] = (struct bitmap){ .block = is.block_bitmap, .group = i };
    between->tables[i] = is.inode_table;
  }
  qsort (between->bitmaps, fs->groups, sizeof *between->bitmaps, compare);
  qsort (between->tables, fs->groups, sizeof *between->tables, compare_blocks);
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
  between->table_blocks
      = (uint32_t)(((uint64_t)now->group_inodes * now->inode_size + now->block_size - 1) / now->block_size);
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
  free (between->tables);
  free (between);
}

bool
ext_between_was_free (const struct ext_between *between, uint32_t group, uint64_t bit)
{
  const uint8_t *always = group < between->groups ? between->by_group[group]->always : NULL;
  return always && bit / 8 < between->block_size && !(always[bit / 8] >> bit % 8 & 1);
}

uint32_t
ext_between_inodes (const struct ext_between *between, const uint64_t **blocks)
{
  *blocks = between->inodes;
  return between->n_inodes;
}
