/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json.h"
#include "qmp-block.h"

#include <string.h>

static void
bitmap_free (gpointer data)
{
  QmpBitmap *bitmap = data;

  g_free (bitmap->name);
  g_free (bitmap);
}

void
qmp_disk_free (QmpDisk *disk)
{
  if (!disk)
    return;
  g_free (disk->qdev);
  g_free (disk->device);
  g_free (disk->node_name);
  g_free (disk->driver);
  g_free (disk->file_name);
  g_clear_pointer (&disk->bitmaps, g_ptr_array_unref);
  g_free (disk);
}

QmpBitmap *
qmp_disk_find_bitmap (const QmpDisk *disk, const char *name)
{
  for (guint i = 0; i < disk->bitmaps->len; i++) {
    QmpBitmap *bitmap = g_ptr_array_index (disk->bitmaps, i);

    if (g_str_equal (bitmap->name, name))
      return bitmap;
  }
  return NULL;
}

/* Sends a query that answers with an array. */
static json_object *
call_array (QmpClient *client, const char *command, json_object *arguments, GError **error)
{
  json_object *reply = qmp_client_call (client, command, arguments, NULL, 0, 0, error);

  if (reply && !json_object_is_type (reply, json_type_array)) {
    json_object_put (reply);
    g_set_error (error, QMP_ERROR, QMP_ERROR_REPLY, "%s: not an array", command);
    return NULL;
  }
  return reply;
}

/* JSON's own errors become QMP_ERROR_REPLY, with the command's name in front. */
static void
reply_error (GError **error, const char *command, GError *cause)
{
  g_set_error (error, QMP_ERROR, QMP_ERROR_REPLY, "%s: %s", command, cause ? cause->message : "malformed");
  g_clear_error (&cause);
}

static bool
read_bitmaps (json_object *node, GPtrArray *bitmaps, GError **error)
{
  json_object *array;

  if (!json_object_object_get_ex (node, "dirty-bitmaps", &array))
    return true;
  if (!json_get_array (node, "dirty-bitmaps", &array, error))
    return false;
  for (size_t i = 0; i < json_object_array_length (array); i++) {
    json_object *entry = json_object_array_get_idx (array, i);
    QmpBitmap *bitmap = g_new0 (QmpBitmap, 1);
    const char *name = NULL;

    g_ptr_array_add (bitmaps, bitmap);
    /* internal bitmaps of jobs have no name */
    if (!json_opt_string (entry, "name", &name, error)
        || !json_get_bool (entry, "recording", &bitmap->recording, error)
        || !json_get_bool (entry, "busy", &bitmap->busy, error)
        || !json_get_bool (entry, "persistent", &bitmap->persistent, error)
        || !json_opt_bool (entry, "inconsistent", &bitmap->inconsistent, error)
        || !json_get_u64 (entry, "granularity", &bitmap->granularity, error)
        || !json_get_u64 (entry, "count", &bitmap->count, error))
      return false;
    bitmap->name = g_strdup (name ? name : "");
  }
  return true;
}

static bool
read_medium (json_object *inserted, QmpDisk *disk, GError **error)
{
  const char *node = NULL, *driver = NULL, *file = NULL;
  json_object *image;

  if (!json_opt_string (inserted, "node-name", &node, error)
      || !json_get_string (inserted, "drv", &driver, error)
      || !json_opt_string (inserted, "file", &file, error)
      || !json_get_bool (inserted, "ro", &disk->read_only, error)
      || !json_get_object (inserted, "image", &image, error)
      || !json_get_u64 (image, "virtual-size", &disk->virtual_size, error))
    return false;
  disk->node_name = g_strdup (node);
  disk->driver = g_strdup (driver);
  disk->file_name = g_strdup (file);
  return read_bitmaps (inserted, disk->bitmaps, error);
}

static bool
read_disk (json_object *entry, QmpDisk *disk, GError **error)
{
  const char *qdev = "", *device = "";
  json_object *inserted;

  disk->bitmaps = g_ptr_array_new_with_free_func (bitmap_free);
  if (!json_opt_string (entry, "qdev", &qdev, error) || !json_opt_string (entry, "device", &device, error)
      || !json_get_bool (entry, "removable", &disk->removable, error))
    return false;
  disk->qdev = g_strdup (qdev);
  disk->device = g_strdup (device);
  if (!json_object_object_get_ex (entry, "inserted", &inserted) || !inserted)
    return true;
  return json_get_object (entry, "inserted", &inserted, error) && read_medium (inserted, disk, error);
}

static void
disk_free_func (gpointer disk)
{
  qmp_disk_free (disk);
}

GPtrArray *
qmp_query_block (QmpClient *client, GError **error)
{
  g_autoptr (json_object) reply = call_array (client, "query-block", NULL, error);
  g_autoptr (GPtrArray) disks = g_ptr_array_new_with_free_func (disk_free_func);

  if (!reply)
    return NULL;
  for (size_t i = 0; i < json_object_array_length (reply); i++) {
    QmpDisk *disk = g_new0 (QmpDisk, 1);
    GError *cause = NULL;

    g_ptr_array_add (disks, disk);
    if (!read_disk (json_object_array_get_idx (reply, i), disk, &cause)) {
      reply_error (error, "query-block", cause);
      return NULL;
    }
  }
  return g_steal_pointer (&disks);
}

static json_object *
call_named_nodes (QmpClient *client, GError **error)
{
  json_object *arguments = json_object_new_object ();

  json_object_object_add (arguments, "flat", json_object_new_boolean (true));
  return call_array (client, "query-named-block-nodes", arguments, error);
}

GHashTable *
qmp_query_node_bitmaps (QmpClient *client, GError **error)
{
  g_autoptr (json_object) reply = call_named_nodes (client, error);
  g_autoptr (GHashTable) nodes
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);

  if (!reply)
    return NULL;
  for (size_t i = 0; i < json_object_array_length (reply); i++) {
    json_object *entry = json_object_array_get_idx (reply, i);
    g_autoptr (GPtrArray) bitmaps = g_ptr_array_new_with_free_func (bitmap_free);
    const char *name = NULL;
    GError *cause = NULL;

    if (!json_get_string (entry, "node-name", &name, &cause) || !read_bitmaps (entry, bitmaps, &cause)) {
      reply_error (error, "query-named-block-nodes", cause);
      return NULL;
    }
    if (bitmaps->len > 0)
      g_hash_table_replace (nodes, g_strdup (name), g_steal_pointer (&bitmaps));
  }
  return g_steal_pointer (&nodes);
}

char **
qmp_query_node_names (QmpClient *client, GError **error)
{
  g_autoptr (json_object) reply = call_named_nodes (client, error);
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();

  if (!reply)
    return NULL;
  for (size_t i = 0; i < json_object_array_length (reply); i++) {
    const char *name = NULL;
    GError *cause = NULL;

    if (!json_get_string (json_object_array_get_idx (reply, i), "node-name", &name, &cause)) {
      reply_error (error, "query-named-block-nodes", cause);
      return NULL;
    }
    g_strv_builder_add (names, name);
  }
  return g_strv_builder_end (names);
}

bool
qmp_query_status (QmpClient *client, QmpStatus *status, GError **error)
{
  g_autoptr (json_object) reply = qmp_client_call (client, "query-status", NULL, NULL, 0, 0, error);
  static const char *const paused[] = { "paused", "suspended", "prelaunch", "debug", NULL };
  const char *name = NULL;
  GError *cause = NULL;

  if (!reply)
    return false;
  if (!json_get_string (reply, "status", &name, &cause)) {
    reply_error (error, "query-status", cause);
    return false;
  }
  if (g_str_equal (name, "running"))
    *status = QMP_STATUS_RUNNING;
  else if (g_str_equal (name, "io-error"))
    *status = QMP_STATUS_IO_ERROR;
  else
    *status = g_strv_contains (paused, name) ? QMP_STATUS_PAUSED : QMP_STATUS_OTHER;
  return true;
}

static bool
call_simple (QmpClient *client, const char *command, GError **error)
{
  g_autoptr (json_object) reply = qmp_client_call (client, command, NULL, NULL, 0, 0, error);

  return reply != NULL;
}

bool
qmp_cont (QmpClient *client, GError **error)
{
  return call_simple (client, "cont", error);
}

bool
qmp_stop (QmpClient *client, GError **error)
{
  return call_simple (client, "stop", error);
}

static void
stats_free (gpointer data)
{
  QmpBlockStats *stats = data;

  g_free (stats->qdev);
  g_free (stats->node_name);
  g_free (stats);
}

static bool
read_stats (json_object *entry, QmpBlockStats *stats, GError **error)
{
  const char *qdev = "", *node = NULL;
  json_object *values;

  if (!json_opt_string (entry, "qdev", &qdev, error) || !json_opt_string (entry, "node-name", &node, error)
      || !json_get_object (entry, "stats", &values, error)
      || !json_get_u64 (values, "rd_bytes", &stats->rd_bytes, error)
      || !json_get_u64 (values, "wr_bytes", &stats->wr_bytes, error)
      || !json_get_u64 (values, "rd_operations", &stats->rd_operations, error)
      || !json_get_u64 (values, "wr_operations", &stats->wr_operations, error)
      || !json_get_u64 (values, "flush_operations", &stats->flush_operations, error)
      || !json_opt_u64 (values, "unmap_bytes", &stats->unmap_bytes, error)
      || !json_opt_u64 (values, "unmap_operations", &stats->unmap_operations, error))
    return false;
  stats->qdev = g_strdup (qdev);
  stats->node_name = g_strdup (node);
  return true;
}

GPtrArray *
qmp_query_blockstats (QmpClient *client, GError **error)
{
  g_autoptr (json_object) reply = call_array (client, "query-blockstats", NULL, error);
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (stats_free);

  if (!reply)
    return NULL;
  for (size_t i = 0; i < json_object_array_length (reply); i++) {
    QmpBlockStats *stats = g_new0 (QmpBlockStats, 1);
    GError *cause = NULL;

    g_ptr_array_add (all, stats);
    if (!read_stats (json_object_array_get_idx (reply, i), stats, &cause)) {
      reply_error (error, "query-blockstats", cause);
      return NULL;
    }
  }
  return g_steal_pointer (&all);
}
