/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "maintain-disk.h"

#include "chain.h"
#include "seal.h"

#include <string.h>

static gint
find_name (const GPtrArray *names, const ImageName *name)
{
  for (guint i = names->len; i > 0; i--)
    if (strcmp (((const ImageName *)names->pdata[i - 1])->directory, name->directory) == 0)
      return (gint)i - 1;
  return -1;
}

static int
disk_add_base (MaintainDisk *disk, const struct guardd_call *call, ImageName *name)
{
  Level level;
  int result = level_open (disk->instance, call, name->directory, disk->disk, &level);
  if (result == 0) {
    guint64 entries = index_count (level.index);
    PlanBase base = { .index_bytes = entries * sizeof (IndexEntry) };
    /* No data to move: what the survivors would carry along is entries, and an eighth of the base's is
     * enough. */
    if (disk->instance->indexes_only)
      base.index_bytes = entries / 8 * GUARDD_BLOCK_SIZE;
    g_array_append_val (disk->plan_bases, base);
    g_ptr_array_add (disk->bases, name);
  } else
    image_name_free (name);
  level_close (&level);
  return result;
}

/* node->parent and node->base from the backing name. */
static int
disk_place (MaintainDisk *disk, const struct guardd_call *call, PlanNode *node, const ImageName *name,
            const char *backing)
{
  g_autoptr (ImageName) below = image_name_backing (disk->instance, call, name, backing);
  if (below == NULL)
    return -1;
  node->parent = -1;
  if (!image_name_is_base (below)) {
    node->parent = find_name (disk->names, below);
    if (node->parent < 0)
      return fail (call, 0, "%s/%s: stands on %s, which is no snapshot of this domain", name->path,
                   name->index, backing);
    node->base = g_array_index (disk->nodes, PlanNode, node->parent).base;
    return 0;
  }
  gint base = find_name (disk->bases, below);
  if (base < 0) {
    base = (gint)disk->bases->len;
    if (disk_add_base (disk, call, g_steal_pointer (&below)) < 0)
      return -1;
  }
  node->base = (guint)base;
  return 0;
}

static int
disk_add_node (MaintainDisk *disk, const struct guardd_call *call, const struct guardd_member *member)
{
  Level level;
  PlanNode node = { .remove = member->remove != 0 };
  int result = level_open (disk->instance, call, member->directory, disk->disk, &level);
  if (result == 0) {
    const IndexFacts *facts = index_facts (level.index);
    guint64 l2_tables;
    node.level = facts->level;
    result = seal_count (level.index, call, &node.blocks, &l2_tables);
    if (result == 0)
      result = disk_place (disk, call, &node, level.name, facts->backing);
    if (result == 0) {
      g_array_append_val (disk->nodes, node);
      g_array_append_val (disk->facts, *facts);
      g_ptr_array_add (disk->names, g_steal_pointer (&level.name));
    }
  }
  level_close (&level);
  return result;
}

MaintainDisk *
maintain_disk_new (const Instance *instance, const struct guardd_call *call, const char *domain,
                   const struct guardd_member *members, size_t n_members, const char *name)
{
  g_autoptr (MaintainDisk) disk = g_new0 (MaintainDisk, 1);
  disk->instance = instance;
  disk->domain = domain;
  disk->disk = g_strdup (name);
  disk->names = g_ptr_array_new_with_free_func ((GDestroyNotify)image_name_free);
  disk->bases = g_ptr_array_new_with_free_func ((GDestroyNotify)image_name_free);
  disk->nodes = g_array_new (FALSE, TRUE, sizeof (PlanNode));
  disk->facts = g_array_new (FALSE, TRUE, sizeof (IndexFacts));
  disk->plan_bases = g_array_new (FALSE, TRUE, sizeof (PlanBase));
  disk->aside_fd = -1;
  for (size_t i = 0; i < n_members; i++)
    if (g_strv_contains ((const char *const *)members[i].disks, name)
        && disk_add_node (disk, call, &members[i]) < 0)
      return NULL;
  return g_steal_pointer (&disk);
}

void
maintain_disk_free (MaintainDisk *disk)
{
  if (disk == NULL)
    return;
  plan_clear ((PlanNode *)(void *)disk->nodes->data, disk->nodes->len);
  g_ptr_array_unref (disk->names);
  g_ptr_array_unref (disk->bases);
  g_array_unref (disk->nodes);
  g_array_unref (disk->facts);
  g_array_unref (disk->plan_bases);
  g_free (disk->disk);
  g_free (disk);
}

bool
maintain_disk_plan (MaintainDisk *disk)
{
  PlanNode *nodes = (PlanNode *)(void *)disk->nodes->data;
  if (g_atomic_int_get (&disk->instance->readers) > 0)
    for (guint b = 0; b < disk->bases->len; b++)
      g_array_index (disk->plan_bases, PlanBase, b).index_bytes = G_MAXUINT64; /* no folding now */
  plan_make (nodes, disk->nodes->len, (PlanBase *)(void *)disk->plan_bases->data, disk->bases->len);
  for (guint i = 0; i < disk->nodes->len; i++)
    if (nodes[i].action != PLAN_KEEP)
      return true;
  return false;
}
