/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json.h"
#include "qmp-block.h"

struct QmpTransaction {
  json_object *actions;
};

QmpTransaction *
qmp_transaction_new (void)
{
  QmpTransaction *transaction = g_new0 (QmpTransaction, 1);

  transaction->actions = json_object_new_array ();
  return transaction;
}

void
qmp_transaction_free (QmpTransaction *transaction)
{
  if (!transaction)
    return;
  json_object_put (transaction->actions);
  g_free (transaction);
}

static json_object *
add_action (QmpTransaction *t, const char *type)
{
  json_object *action = json_object_new_object (), *data = json_object_new_object ();

  json_add_string (action, "type", type);
  json_object_object_add (action, "data", data);
  json_object_array_add (t->actions, action);
  return data;
}

static json_object *
add_bitmap_action (QmpTransaction *t, const char *type, const char *node, const char *name)
{
  json_object *data = add_action (t, type);

  json_add_string (data, "node", node);
  json_add_string (data, "name", name);
  return data;
}

void
qmp_transaction_bitmap_remove (QmpTransaction *t, const char *node, const char *name)
{
  add_bitmap_action (t, "block-dirty-bitmap-remove", node, name);
}

void
qmp_transaction_bitmap_enable (QmpTransaction *t, const char *node, const char *name)
{
  add_bitmap_action (t, "block-dirty-bitmap-enable", node, name);
}

void
qmp_transaction_bitmap_disable (QmpTransaction *t, const char *node, const char *name)
{
  add_bitmap_action (t, "block-dirty-bitmap-disable", node, name);
}

void
qmp_transaction_bitmap_merge (QmpTransaction *t, const char *node, const char *target, const char *source)
{
  json_object *data = add_action (t, "block-dirty-bitmap-merge");
  json_object *sources = json_object_new_array ();

  json_add_string (data, "node", node);
  json_add_string (data, "target", target);
  json_object_array_add (sources, json_object_new_string (source));
  json_object_object_add (data, "bitmaps", sources);
}

void
qmp_transaction_backup_none (QmpTransaction *t, const char *job, const char *node, const char *target,
                             const char *filter)
{
  json_object *data = add_action (t, "blockdev-backup");

  json_add_string (data, "job-id", job);
  json_add_string (data, "device", node);
  json_add_string (data, "target", target);
  json_add_string (data, "sync", "none");
  json_add_string (data, "filter-node-name", filter);
}

size_t
qmp_transaction_length (const QmpTransaction *t)
{
  return json_object_array_length (t->actions);
}

bool
qmp_transaction_run (QmpTransaction *t, QmpClient *client, guint timeout_ms, guint64 *elapsed_us,
                     GError **error)
{
  json_object *arguments = json_object_new_object ();
  gint64 started = g_get_monotonic_time ();
  g_autoptr (json_object) reply = NULL;

  json_object_object_add (arguments, "actions", json_object_get (t->actions));
  reply = qmp_client_call (client, "transaction", arguments, NULL, 0, timeout_ms, error);
  if (elapsed_us)
    *elapsed_us = (guint64)(g_get_monotonic_time () - started);
  return reply != NULL;
}

static bool
run_bitmap_command (QmpClient *client, const char *command, json_object *arguments, GError **error)
{
  g_autoptr (json_object) reply = qmp_client_call (client, command, arguments, NULL, 0, 0, error);

  return reply != NULL;
}

bool
qmp_bitmap_add (QmpClient *client, const char *node, const char *name, guint32 granularity, GError **error)
{
  json_object *arguments = json_object_new_object ();

  json_add_string (arguments, "node", node);
  json_add_string (arguments, "name", name);
  json_add_u64 (arguments, "granularity", granularity);
  json_add_bool (arguments, "disabled", true);
  return run_bitmap_command (client, "block-dirty-bitmap-add", arguments, error);
}

bool
qmp_bitmap_remove (QmpClient *client, const char *node, const char *name, GError **error)
{
  json_object *arguments = json_object_new_object ();

  json_add_string (arguments, "node", node);
  json_add_string (arguments, "name", name);
  return run_bitmap_command (client, "block-dirty-bitmap-remove", arguments, error);
}
