/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp-graph.h"

#include "base/json.h"

#include <string.h>

#define COMMAND "x-debug-query-block-graph"

typedef struct {
  guint64 parent, child;
} Edge;

struct QmpGraph {
  GHashTable *ids;   /* name -> guint64, of nodes only */
  GHashTable *names; /* guint64 -> name; the other's keys */
  GArray *edges;     /* Edge */
};

void
qmp_graph_free (QmpGraph *graph)
{
  if (graph == NULL)
    return;
  g_hash_table_unref (graph->names);
  g_hash_table_unref (graph->ids);
  g_array_unref (graph->edges);
  g_free (graph);
}

/* --- reading it --- */

static bool
read_node (QmpGraph *graph, json_object *entry, GError **error)
{
  const char *type, *name;
  guint64 id;
  if (!json_get_u64 (entry, "id", &id, error) || !json_get_string (entry, "type", &type, error)
      || !json_get_string (entry, "name", &name, error))
    return false;
  /* a job or a device may have the name of a node */
  if (strcmp (type, "block-driver") != 0 || g_hash_table_contains (graph->ids, name))
    return true;
  char *key = g_strdup (name);
  guint64 *value = g_new (guint64, 1);
  *value = id;
  g_hash_table_insert (graph->ids, key, value);
  g_hash_table_insert (graph->names, value, key);
  return true;
}

static bool
read_edge (QmpGraph *graph, json_object *entry, GError **error)
{
  Edge edge;
  if (!json_get_u64 (entry, "parent", &edge.parent, error)
      || !json_get_u64 (entry, "child", &edge.child, error))
    return false;
  g_array_append_val (graph->edges, edge);
  return true;
}

static bool
read_array (QmpGraph *graph, json_object *reply, const char *key,
            bool (*read) (QmpGraph *graph, json_object *entry, GError **error), GError **error)
{
  json_object *array;
  if (!json_get_array (reply, key, &array, error))
    return false;
  for (size_t i = 0; i < json_object_array_length (array); i++)
    if (!read (graph, json_object_array_get_idx (array, i), error))
      return false;
  return true;
}

QmpGraph *
qmp_query_graph (QmpClient *client, GError **error)
{
  g_autoptr (GError) cause = NULL;
  g_autoptr (json_object) reply = qmp_client_call (client, COMMAND, NULL, NULL, 0, 0, error);
  if (reply == NULL)
    return NULL;
  g_autoptr (QmpGraph) graph = g_new0 (QmpGraph, 1);
  graph->ids = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  graph->names = g_hash_table_new (g_int64_hash, g_int64_equal);
  graph->edges = g_array_new (FALSE, FALSE, sizeof (Edge));
  if (read_array (graph, reply, "nodes", read_node, &cause)
      && read_array (graph, reply, "edges", read_edge, &cause))
    return g_steal_pointer (&graph);
  g_set_error (error, QMP_ERROR, QMP_ERROR_REPLY, COMMAND ": %s", cause->message);
  return NULL;
}

/* --- asking it --- */

bool
qmp_graph_has (const QmpGraph *graph, const char *node)
{
  return g_hash_table_contains (graph->ids, node);
}

GPtrArray *
qmp_graph_children (const QmpGraph *graph, const char *node)
{
  GPtrArray *children = g_ptr_array_new ();
  const guint64 *id = g_hash_table_lookup (graph->ids, node);
  for (guint i = 0; id && i < graph->edges->len; i++) {
    const Edge *edge = &g_array_index (graph->edges, Edge, i);
    char *name = edge->parent == *id ? g_hash_table_lookup (graph->names, &edge->child) : NULL;
    if (name)
      g_ptr_array_add (children, name);
  }
  return children;
}

guint
qmp_graph_parents (const QmpGraph *graph, const char *node)
{
  const guint64 *id = g_hash_table_lookup (graph->ids, node);
  guint n = 0;
  for (guint i = 0; id && i < graph->edges->len; i++)
    n += g_array_index (graph->edges, Edge, i).child == *id;
  return n;
}

void
qmp_graph_remove (QmpGraph *graph, const char *node)
{
  const guint64 *id = g_hash_table_lookup (graph->ids, node);
  for (guint i = graph->edges->len; id && i > 0; i--)
    if (g_array_index (graph->edges, Edge, i - 1).parent == *id)
      g_array_remove_index_fast (graph->edges, i - 1);
}
