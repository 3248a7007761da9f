/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an earlier guardd left in a QEMU, found by the names it gave. */
#include "capture-orphan.h"
#include "capture.h"
#include "qmp/qmp-block.h"

#include <string.h>

#define GONE_MS 5000

static bool
sweep_exports (QmpClient *client, const char *prefix, GError **error)
{
  g_auto (GStrv) exports = qmp_query_exports (client, error);
  guint ours = 0, n = 0;

  if (!exports)
    return false;
  for (; exports[n]; n++) {
    if (!g_str_has_prefix (exports[n], prefix))
      continue;
    ours++;
    if (!qmp_export_del (client, exports[n], error)
        || !qmp_export_wait_gone (client, exports[n], GONE_MS, error))
      return false;
  }
  /* the server is ours if our export was on it; beside another's export it is not */
  return ours == 0 || ours < n || qmp_nbd_server_stop (client, error);
}

/* *found: there were jobs of ours, so that a server without exports may be ours too */
static bool
sweep_jobs (QmpClient *client, const char *prefix, bool *found, GError **error)
{
  g_autoptr (GPtrArray) jobs = qmp_query_jobs (client, error);

  if (!jobs)
    return false;
  for (guint i = 0; i < jobs->len; i++) {
    const QmpJob *job = g_ptr_array_index (jobs, i);

    if (!job->id || !g_str_has_prefix (job->id, prefix))
      continue;
    *found = true;
    if (!qmp_job_cancel (client, job->id, error) || !qmp_job_wait_gone (client, job->id, GONE_MS, error))
      return false;
  }
  return true;
}

/* guardd starts the NBD server between its jobs and its exports: killed there, it leaves a server alone. */
static void
sweep_server (QmpClient *client)
{
  g_auto (GStrv) exports = qmp_query_exports (client, NULL);

  if (exports && !exports[0])
    qmp_nbd_server_stop (client, NULL); /* fails when there is none, ignoring */
}

static bool
sweep_nodes (QmpClient *client, char **nodes, const char *prefix, GError **error)
{
  for (; *nodes; nodes++)
    if (g_str_has_prefix (*nodes, prefix) && !qmp_blockdev_del (client, *nodes, error))
      return false;
  return true;
}

static bool
sweep_fdsets (QmpClient *client, const char *prefix, GError **error)
{
  g_autoptr (GPtrArray) sets = qmp_query_fdsets (client, error);

  if (!sets)
    return false;
  for (guint i = 0; i < sets->len; i++) {
    const QmpFdset *set = g_ptr_array_index (sets, i);

    if (set->opaque && g_str_has_prefix (set->opaque, prefix) && !qmp_remove_fd (client, set->set_id, error))
      return false;
  }
  qmp_closefd (client, CAPTURE_LISTENER,
               NULL); /* there is one only if guardd died right before the server's start, ignoring */
  return true;
}

static bool
has_bitmap (const GPtrArray *bitmaps, const char *name)
{
  for (guint i = 0; i < bitmaps->len; i++)
    if (g_strcmp0 (((const QmpBitmap *)bitmaps->pdata[i])->name, name) == 0)
      return true;
  return false;
}

/* All but the one that belongs to the last sealed snapshot.  A capture that died leaves one that is younger;
 * one that died after the seal, the one before.  What the others have seen goes into the one that stays: an
 * earlier guardd stopped it at the instant, and may have died when it had it record again, and not yet
 * what came in between.  Else it costs reading some blocks once too often. */
static bool
sweep_node_bitmaps (QmpClient *client, const char *node, const GPtrArray *bitmaps, const char *prefix,
                    const char *keep, GError **error)
{
  bool kept = keep && has_bitmap (bitmaps, keep);

  for (guint i = 0; i < bitmaps->len; i++) {
    const QmpBitmap *bitmap = g_ptr_array_index (bitmaps, i);

    if (!g_str_has_prefix (bitmap->name, prefix) || g_strcmp0 (bitmap->name, keep) == 0)
      continue;
    if ((kept && !qmp_bitmap_merge (client, node, keep, bitmap->name, error))
        || !qmp_bitmap_remove (client, node, bitmap->name, error))
      return false;
  }
  return true;
}

static bool
sweep_bitmaps (QmpClient *client, const char *prefix, const char *keep, GError **error)
{
  g_autoptr (GHashTable) nodes = qmp_query_node_bitmaps (client, error);
  GHashTableIter iter;
  gpointer node, bitmaps;

  if (!nodes)
    return false;
  g_hash_table_iter_init (&iter, nodes);
  while (g_hash_table_iter_next (&iter, &node, &bitmaps))
    if (!sweep_node_bitmaps (client, node, bitmaps, prefix, keep, error))
      return false;
  return true;
}

bool
capture_qmp_sweep (QmpClient *client, Pool *pool, const char *domain_uuid, GError **error)
{
  g_autofree char *prefix = capture_prefix (pool);
  g_autoptr (Snapshot) latest = pool_latest (pool, domain_uuid);
  const char *keep = latest ? latest->manifest->bitmap : NULL;
  bool jobs = false;

  if (!sweep_exports (client, prefix, error) || !sweep_jobs (client, prefix, &jobs, error))
    return false;
  if (jobs)
    sweep_server (client);
  g_auto (GStrv) nodes = qmp_query_node_names (client, error);
  g_autoptr (GPtrArray) under = nodes ? capture_orphans_under (client, prefix, nodes, error) : NULL;
  return under && sweep_nodes (client, nodes, prefix, error) && sweep_fdsets (client, prefix, error)
         && sweep_bitmaps (client, prefix, keep, error)
         && (under->len == 0 || capture_orphans_delete (client, under, error));
}
