/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "maintain-plan.h"

#include <guardd/storage.h>

/* Of each base the leading nodes that go; the last of them has the view to be folded. */
static void
plan_folds (const PlanNode *nodes, guint n_nodes, PlanBase *bases, guint n_bases)
{
  g_autofree guint64 *blocks = g_new0 (guint64, n_bases);
  g_autofree bool *survivor = g_new0 (bool, n_bases);
  for (guint b = 0; b < n_bases; b++)
    bases[b].fold = -1;
  for (guint i = 0; i < n_nodes; i++) {
    const PlanNode *node = &nodes[i];
    survivor[node->base] = survivor[node->base] || !node->remove;
    if (survivor[node->base])
      continue;
    bases[node->base].fold = (gint)i;
    blocks[node->base] += node->blocks;
  }
  for (guint b = 0; b < n_bases; b++)
    if (!survivor[b] || blocks[b] * GUARDD_BLOCK_SIZE <= bases[b].index_bytes)
      bases[b].fold = -1;
}

static void
node_add_source (PlanNode *node, gint source)
{
  if (node->sources == NULL)
    node->sources = g_array_new (FALSE, FALSE, sizeof (gint));
  g_array_append_val (node->sources, source);
}

/* Itself and what goes below it, without what is folded. */
static void
plan_merge (PlanNode *nodes, guint i, const PlanBase *bases)
{
  PlanNode *node = &nodes[i];
  gint fold = bases[node->base].fold, parent = node->parent;
  node_add_source (node, (gint)i);
  node->new_level = node->level;
  for (; parent >= 0 && nodes[parent].remove; parent = nodes[parent].parent)
    if (parent > fold) {
      node_add_source (node, parent);
      node->new_level = MAX (node->new_level, nodes[parent].level);
      node->action = PLAN_MERGE;
    }
  node->new_parent = parent;
  /* On a base whose index changes: its hash stands in the node's index. */
  if (parent < 0 && fold >= 0 && node->action == PLAN_KEEP)
    node->action = PLAN_REPARENT;
}

/* Takes in what it stands on down to the next node of a higher level than `level`. */
static void
plan_consolidate (PlanNode *nodes, PlanNode *node, guint level)
{
  gint parent = node->new_parent;
  for (; parent >= 0 && nodes[parent].new_level <= level; parent = nodes[parent].new_parent)
    for (guint s = 0; s < nodes[parent].sources->len; s++)
      node_add_source (node, g_array_index (nodes[parent].sources, gint, s));
  node->new_parent = parent;
  node->new_level = level + 1;
  node->action = PLAN_CONSOLIDATE;
}

void
plan_make (PlanNode *nodes, guint n_nodes, PlanBase *bases, guint n_bases)
{
  g_autofree guint *run = g_new0 (guint, 2 * (gsize)n_nodes + 1);
  plan_folds (nodes, n_nodes, bases, n_bases);
  for (guint i = 0; i < n_nodes; i++) {
    PlanNode *node = &nodes[i];
    if (node->remove)
      continue;
    plan_merge (nodes, i, bases);
    for (guint level = 0; level < 2; level++) {
      /* how many of this level in a row, up to and with this node */
      guint *mine = &run[2 * i + level];
      *mine = node->new_parent >= 0 ? run[2 * node->new_parent + (gint)level] : 0;
      if (node->new_level == level && ++*mine > PLAN_RUN)
        plan_consolidate (nodes, node, level);
      if (node->new_level > level)
        *mine = 0;
    }
    node->depth = (node->new_parent >= 0 ? nodes[node->new_parent].depth : 1) + 1;
  }
}

void
plan_clear (PlanNode *nodes, guint n_nodes)
{
  for (guint i = 0; i < n_nodes; i++)
    g_clear_pointer (&nodes[i].sources, g_array_unref);
}
