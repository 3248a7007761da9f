/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp-client.h"

#include "qmp-transport.h"

#include <string.h>
#include <unistd.h>

struct QmpClient {
  QmpTransport *transport;
  QmpLimits limits;
  guint64 serial;
  bool broken;
  json_object *schema; /* query-qmp-schema's array, fetched once; see qmp-schema.c */
};

G_DEFINE_QUARK (qmp - error, qmp_error)

/* The class travels in front of the message, "GenericError: text", so that a GError carries both. */
const char *
qmp_error_class (const GError *error)
{
  static const char *const known[] = { "GenericError",   "CommandNotFound", "DeviceNotActive",
                                       "DeviceNotFound", "KVMMissingCap",   "Forbidden" };

  if (!error || error->domain != QMP_ERROR || error->code != QMP_ERROR_COMMAND)
    return NULL;
  for (size_t i = 0; i < G_N_ELEMENTS (known); i++)
    if (g_str_has_prefix (error->message, known[i]) && error->message[strlen (known[i])] == ':')
      return known[i];
  return "GenericError";
}

QmpLimits
qmp_limits_complete (const QmpLimits *limits)
{
  QmpLimits all = limits ? *limits : (QmpLimits){ 0 };

  if (!all.max_message)
    all.max_message = 64 * 1024 * 1024;
  if (!all.max_events)
    all.max_events = 256;
  if (!all.connect_ms)
    all.connect_ms = 5000;
  if (!all.call_ms)
    all.call_ms = 10000;
  return all;
}

QmpClient *
qmp_client_new_transport (QmpTransport *transport, const QmpLimits *complete)
{
  QmpClient *client = g_new0 (QmpClient, 1);

  client->transport = transport;
  client->limits = *complete;
  return client;
}

QmpClient *
qmp_client_new_fd (int fd, const QmpLimits *limits, GError **error)
{
  QmpLimits all = qmp_limits_complete (limits);
  QmpTransport *transport = qmp_transport_socket_new (fd, &all);

  if (!qmp_transport_socket_negotiate (transport, error)) {
    transport->ops->free (transport);
    return NULL;
  }
  return qmp_client_new_transport (transport, &all);
}

QmpClient *
qmp_client_new_unix (const char *path, const QmpLimits *limits, GError **error)
{
  int fd = qmp_transport_socket_connect (path, qmp_limits_complete (limits).connect_ms, error);

  return fd < 0 ? NULL : qmp_client_new_fd (fd, limits, error);
}

void
qmp_client_free (QmpClient *client)
{
  if (!client)
    return;
  client->transport->ops->free (client->transport);
  json_object_put (client->schema);
  g_free (client);
}

static void
set_command_error (json_object *failure, const char *command, GError **error)
{
  json_object *class = NULL, *text = NULL;

  json_object_object_get_ex (failure, "class", &class);
  json_object_object_get_ex (failure, "desc", &text);
  g_set_error (error, QMP_ERROR, QMP_ERROR_COMMAND, "%s: %s: %.1000s",
               class && json_object_is_type (class, json_type_string) ? json_object_get_string (class)
                                                                      : "GenericError",
               command,
               text && json_object_is_type (text, json_type_string) ? json_object_get_string (text) : "?");
}

/* "return" out of a whole reply, or the error in it. */
static json_object *
extract (json_object *reply, const char *command, GError **error)
{
  json_object *value;

  if (json_object_object_get_ex (reply, "return", &value))
    return value ? json_object_get (value) : json_object_new_object ();
  if (json_object_object_get_ex (reply, "error", &value) && json_object_is_type (value, json_type_object))
    set_command_error (value, command, error);
  else
    g_set_error (error, QMP_ERROR, QMP_ERROR_REPLY, "%s: an answer without return or error", command);
  return NULL;
}

json_object *
qmp_client_call (QmpClient *client, const char *command, json_object *arguments, const int *fds, size_t n_fds,
                 guint timeout_ms, GError **error)
{
  json_object *message = json_object_new_object (), *reply, *value;
  g_autofree char *id = g_strdup_printf ("guardd-%" G_GUINT64_FORMAT, ++client->serial);
  GError *local = NULL;

  json_object_object_add (message, "execute", json_object_new_string (command));
  if (arguments)
    json_object_object_add (message, "arguments", arguments);
  json_object_object_add (message, "id", json_object_new_string (id));
  if (client->broken) {
    json_object_put (message);
    g_set_error (error, QMP_ERROR, QMP_ERROR_BROKEN, "%s: an earlier call failed half-way", command);
    return NULL;
  }
  reply = client->transport->ops->call (client->transport, message, id, fds, n_fds,
                                        timeout_ms ? timeout_ms : client->limits.call_ms, &local);
  json_object_put (message);
  if (!reply) {
    client->broken = !g_error_matches (local, QMP_ERROR, QMP_ERROR_UNSUPPORTED);
    g_propagate_prefixed_error (error, local, "%s: ", command);
    return NULL;
  }
  value = extract (reply, command, error);
  json_object_put (reply);
  return value;
}

json_object *
qmp_client_next_event (QmpClient *client, guint timeout_ms, GError **error)
{
  GError *local = NULL;
  json_object *event;

  if (client->broken) {
    g_set_error (error, QMP_ERROR, QMP_ERROR_BROKEN, "events: an earlier call failed half-way");
    return NULL;
  }
  event = client->transport->ops->next_event (client->transport, timeout_ms, &local);
  if (local) {
    client->broken = true;
    g_propagate_error (error, local);
  }
  return event;
}

void
qmp_client_set_event_handler (QmpClient *client, QmpEventHandler handler, void *opaque)
{
  client->transport->handler = handler;
  client->transport->handler_opaque = opaque;
}

/* --- what the peer can do, from its own schema --- */

static bool
load_schema (QmpClient *client, GError **error)
{
  json_object *schema;

  if (client->schema)
    return true;
  schema = qmp_client_call (client, "query-qmp-schema", NULL, NULL, 0, 0, error);
  if (!schema)
    return false;
  if (!json_object_is_type (schema, json_type_array)) {
    json_object_put (schema);
    g_set_error (error, QMP_ERROR, QMP_ERROR_REPLY, "query-qmp-schema: not an array");
    return false;
  }
  client->schema = schema;
  return true;
}

static const char *
member_string (json_object *object, const char *key)
{
  json_object *value;

  if (!json_object_is_type (object, json_type_object) || !json_object_object_get_ex (object, key, &value)
      || !json_object_is_type (value, json_type_string))
    return "";
  return json_object_get_string (value);
}

static json_object *
find_entity (json_object *schema, const char *meta_type, const char *name)
{
  for (size_t i = 0; i < json_object_array_length (schema); i++) {
    json_object *entity = json_object_array_get_idx (schema, i);

    if (g_str_equal (member_string (entity, "name"), name)
        && g_str_equal (member_string (entity, "meta-type"), meta_type))
      return entity;
  }
  return NULL;
}

bool
qmp_client_has_command (QmpClient *client, const char *command, GError **error)
{
  return load_schema (client, error) && find_entity (client->schema, "command", command) != NULL;
}

bool
qmp_client_has_argument (QmpClient *client, const char *command, const char *argument, GError **error)
{
  json_object *entity, *type, *members;

  if (!load_schema (client, error))
    return false;
  entity = find_entity (client->schema, "command", command);
  type = entity ? find_entity (client->schema, "object", member_string (entity, "arg-type")) : NULL;
  if (!type || !json_object_object_get_ex (type, "members", &members)
      || !json_object_is_type (members, json_type_array))
    return false;
  for (size_t i = 0; i < json_object_array_length (members); i++)
    if (g_str_equal (member_string (json_object_array_get_idx (members, i), "name"), argument))
      return true;
  return false;
}
