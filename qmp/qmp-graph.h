/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp-graph.h: which block node stands on which, as QEMU says it.
 *
 * By x-debug-query-block-graph: nothing else names the nodes below one (QEMU 3.1 to at least 9).  It is not
 * promised to stay: nothing may depend on it but tidying up.
 */
#pragma once

#include "qmp-client.h"

typedef struct QmpGraph QmpGraph;

QmpGraph *qmp_query_graph (QmpClient *client, GError **error);
void qmp_graph_free (QmpGraph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QmpGraph, qmp_graph_free)

bool qmp_graph_has (const QmpGraph *graph, const char *node);
/* Nodes that this one stands on: where its bytes are, what backs it, …; names, of the graph's;
 * g_ptr_array_unref() */
GPtrArray *qmp_graph_children (const QmpGraph *graph, const char *node);
/* What stands on it, devices, jobs and exports included. */
guint qmp_graph_parents (const QmpGraph *graph, const char *node);
/* The node is gone: its children have a parent less. */
void qmp_graph_remove (QmpGraph *graph, const char *node);
