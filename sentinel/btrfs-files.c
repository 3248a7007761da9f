/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "btrfs-files.h"

#include "bytes.h"

#define NODES_MAX 1024u /* of either tree, of all subvolumes */
#define SHARED_MAX 65536u
#define KEY_INODE 1u

struct btrfs_files {
  uint32_t nodes_now, nodes_before, n_shared;
  uint64_t is, was; /* inodes in leaves that the other tree has not */
  uint64_t gone, came;
  uint64_t shared[SHARED_MAX]; /* logical addresses, ascending */
};

struct btrfs_files *
btrfs_files_new (void)
{
  struct btrfs_files *files = calloc (1, sizeof *files);
  if (files)
    files->nodes_now = files->nodes_before = NODES_MAX;
  return files;
}

void
btrfs_files_free (struct btrfs_files *files)
{
  free (files);
}

static uint64_t
count_inodes (const struct btrfs_volume *volume, const uint8_t *leaf)
{
  uint64_t n = 0;
  for (uint32_t i = 0; i < btrfs_entries (volume, leaf); i++)
    n += btrfs_key (leaf, i).type == KEY_INODE;
  return n;
}

/* A node, to be freed; NULL: too many were read, or it cannot be. */
static uint8_t *
read_node (struct btrfs_volume *volume, struct btrfs_pointer to, uint32_t *nodes)
{
  uint8_t *node = *nodes > 0 && to.level <= BTRFS_DEPTH_MAX ? malloc (volume->node_size) : NULL;
  if (node == NULL)
    return NULL;
  --*nodes;
  if (btrfs_read_node (volume, to, node, volume->node_size))
    return node;
  free (node);
  return NULL;
}

/* What was written since; what was not is shared. */
static bool
walk_now (struct btrfs_files *files, struct btrfs_volume *now, struct btrfs_pointer to, uint64_t since,
          uint32_t *nodes)
{
  bytes_autofree uint8_t *node = read_node (now, to, nodes);
  bool whole = node != NULL;
  if (whole && to.level == 0)
    files->is += count_inodes (now, node);
  for (uint32_t i = 0; whole && to.level > 0 && i < btrfs_entries (now, node); i++) {
    struct btrfs_pointer child = btrfs_child (node, i);
    if (child.generation > since)
      whole = walk_now (files, now, child, since, nodes);
    else if (files->n_shared < SHARED_MAX)
      files->shared[files->n_shared++] = child.logical;
    else
      whole = false;
  }
  return whole;
}

static int
compare (const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static bool
walk_before (struct btrfs_files *files, struct btrfs_volume *before, struct btrfs_pointer to, uint32_t *nodes)
{
  if (bsearch (&to.logical, files->shared, files->n_shared, sizeof to.logical, compare))
    return true;
  bytes_autofree uint8_t *node = read_node (before, to, nodes);
  bool whole = node != NULL;
  if (node && to.level == 0)
    files->was += count_inodes (before, node);
  for (uint32_t i = 0; node && to.level > 0 && i < btrfs_entries (before, node); i++)
    whole &= walk_before (files, before, btrfs_child (node, i), nodes);
  return whole;
}

void
btrfs_files_count (struct btrfs_files *files, struct btrfs_volume *now, struct btrfs_pointer is,
                   struct btrfs_volume *before, struct btrfs_pointer was)
{
  uint32_t now_left = btrfs_share (files->nodes_now), before_left = btrfs_share (files->nodes_before);
  files->nodes_now -= now_left;
  files->nodes_before -= before_left;
  files->is = files->was = files->n_shared = 0;
  if (walk_now (files, now, is, before->generation, &now_left)) {
    qsort (files->shared, files->n_shared, sizeof files->shared[0], compare);
    bool whole = walk_before (files, before, was, &before_left);
    if (files->was > files->is)
      files->gone += files->was - files->is;
    else if (whole)
      files->came += files->is - files->was;
  }
  files->nodes_now += now_left;
  files->nodes_before += before_left;
}

uint64_t
btrfs_files_gone (const struct btrfs_files *files)
{
  return files->gone > files->came ? files->gone - files->came : 0;
}

uint64_t
btrfs_files_came (const struct btrfs_files *files)
{
  return files->came > files->gone ? files->came - files->gone : 0;
}
