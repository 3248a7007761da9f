/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "btrfs-nodes.h"
#include "bytes.h"

/* Nodes of which only the header is read. */
#define BELOW_MAX 64u /* of all trees */
#define BELOW_EACH 8u /* of one */
#define ROOTS_MAX 1024u

/* That may still be looked at. */
struct left {
  uint32_t below, roots;
};

/* A tree's root, and nodes below it at equal distances. */
static void
look_at_tree (struct btrfs_volume *volume, const struct btrfs_root *root, void *opaque)
{
  struct left *left = opaque;
  uint8_t header[BTRFS_HEADER];
  if (left->roots == 0)
    return;
  left->roots--;
  if (root->node.level == 0 || left->below == 0) {
    btrfs_read_node (volume, root->node, header, sizeof header);
    return;
  }
  left->below--;
  bytes_autofree uint8_t *node = malloc (volume->node_size);
  if (node == NULL || !btrfs_read_node (volume, root->node, node, volume->node_size))
    return;
  uint32_t n = btrfs_entries (volume, node), each = n < BELOW_EACH ? n : BELOW_EACH;
  for (uint32_t i = 0; i < each && left->below > 0; i++, left->below--)
    btrfs_read_node (volume, btrfs_child (node, i * n / each), header, sizeof header);
}

enum btrfs_trees
btrfs_look_at_trees (const struct view *view, const uint8_t super[BTRFS_SUPER_SIZE])
{
  bytes_autofree struct btrfs_volume *volume = calloc (1, sizeof *volume);
  struct left left = { BELOW_MAX, ROOTS_MAX };
  if (volume == NULL || !btrfs_open (volume, view, super))
    return BTRFS_TREES_UNKNOWN;
  btrfs_each_root (volume, look_at_tree, &left);
  return volume->broken     ? BTRFS_TREES_BROKEN
         : volume->unknown  ? BTRFS_TREES_UNKNOWN
         : volume->one_copy ? BTRFS_TREES_ONE_COPY
                            : BTRFS_TREES_FINE;
}
