/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-orphan.h"

#include "qmp/qmp-graph.h"

/* What libvirt's names for nodes start with; it gives none twice to a QEMU, so one that was seen unused once
 * is not another disk's later. */
#define LIBVIRT_PREFIX "libvirt-"

GPtrArray *
capture_orphans_under (QmpClient *client, const char *prefix, char **nodes, GError **error)
{
  g_autoptr (GPtrArray) under = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (QmpGraph) graph = NULL;
  for (; *nodes; nodes++) {
    if (!g_str_has_prefix (*nodes, prefix))
      continue;
    if (graph == NULL && (graph = qmp_query_graph (client, error)) == NULL)
      return NULL;
    g_autoptr (GPtrArray) children = qmp_graph_children (graph, *nodes);
    for (guint i = 0; i < children->len; i++)
      g_ptr_array_add (under, g_strdup (children->pdata[i]));
  }
  return g_steal_pointer (&under);
}

static bool
delete_node (QmpClient *client, const char *node, GError **error)
{
  g_autoptr (GError) failure = NULL;
  if (qmp_blockdev_del (client, node, &failure))
    return true;
  g_auto (GStrv) names = qmp_query_node_names (client, NULL);
  if (names && !g_strv_contains ((const char *const *)names, node))
    return true; /* libvirt was quicker */
  g_propagate_error (error, g_steal_pointer (&failure));
  return false;
}

/* From the top down: each is free once all are gone that stood on it. */
static bool
delete_chain (QmpClient *client, QmpGraph *graph, const char *node, GError **error)
{
  g_autoptr (GPtrArray) free = g_ptr_array_new ();
  g_ptr_array_add (free, (char *)node);
  while (free->len > 0) {
    const char *next = g_ptr_array_steal_index_fast (free, free->len - 1);
    g_autoptr (GPtrArray) children = qmp_graph_children (graph, next);
    if (!delete_node (client, next, error))
      return false;
    qmp_graph_remove (graph, next);
    for (guint i = 0; i < children->len; i++)
      if (g_str_has_prefix (children->pdata[i], LIBVIRT_PREFIX)
          && qmp_graph_parents (graph, children->pdata[i]) == 0)
        g_ptr_array_add (free, children->pdata[i]);
  }
  return true;
}

static bool
is_plugged (const GPtrArray *disks, const char *node)
{
  for (guint i = 0; i < disks->len; i++)
    if (g_strcmp0 (((const QmpDisk *)disks->pdata[i])->node_name, node) == 0)
      return true;
  return false;
}

bool
capture_orphans_delete (QmpClient *client, const GPtrArray *nodes, GError **error)
{
  g_autoptr (QmpGraph) graph = NULL;
  g_autoptr (GPtrArray) disks = qmp_query_block (client, error);
  if (disks == NULL)
    return false;
  for (guint i = 0; i < nodes->len; i++) {
    const char *node = nodes->pdata[i];
    if (is_plugged (disks, node) || !g_str_has_prefix (node, LIBVIRT_PREFIX))
      continue;
    if (graph == NULL && (graph = qmp_query_graph (client, error)) == NULL)
      return false;
    /* it may have got an overlay, or be gone */
    if (qmp_graph_has (graph, node) && qmp_graph_parents (graph, node) == 0
        && !delete_chain (client, graph, node, error))
      return false;
  }
  return true;
}

bool
capture_orphans_any (const CapturePlan *plan, QmpClient *client)
{
  g_autoptr (GPtrArray) disks = qmp_query_block (client, NULL);
  for (guint i = 0; disks && i < plan->disks->len; i++)
    if (!is_plugged (disks, ((const PlanDisk *)plan->disks->pdata[i])->node))
      return true;
  return disks == NULL;
}

bool
capture_orphans_close (const CapturePlan *plan, QmpClient *client, GError **error)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new ();
  for (guint i = 0; i < plan->disks->len; i++)
    g_ptr_array_add (nodes, ((PlanDisk *)plan->disks->pdata[i])->node);
  return capture_orphans_delete (client, nodes, error);
}
