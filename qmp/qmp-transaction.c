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

void
qmp_transaction_backup_none (QmpTransaction *t, const char *job, const char *node, const char *target)
{
  json_object *data = add_action (t, "blockdev-backup");

  json_add_string (data, "job-id", job);
  json_add_string (data, "device", node);
  json_add_string (data, "target", target);
  json_add_string (data, "sync", "none");
}

bool
qmp_transaction_run (QmpTransaction *t, QmpClient *client, guint timeout_ms, guint64 *elapsed_us,
                     GError **error)
{
  gint64 started = g_get_monotonic_time ();
  g_autoptr (json_object) reply = NULL;

  if (json_object_array_length (t->actions) == 1) {
    json_object *only = json_object_array_get_idx (t->actions, 0);

    reply = qmp_client_call (client, json_object_get_string (json_object_object_get (only, "type")),
                             json_object_get (json_object_object_get (only, "data")), NULL, 0, timeout_ms,
                             error);
  } else {
    json_object *arguments = json_object_new_object ();

    json_object_object_add (arguments, "actions", json_object_get (t->actions));
    reply = qmp_client_call (client, "transaction", arguments, NULL, 0, timeout_ms, error);
  }
  if (elapsed_us)
    *elapsed_us = (guint64)(g_get_monotonic_time () - started);
  return reply != NULL;
}
