/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd-control"
#include "control.h"

#include "base/json.h"

#include "control-private.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Atomic references: an event under way from another thread holds one. */
struct Control {
  GMainContext *context;
  const ControlCommand *commands;
  void *opaque;
  char *run_dir;
  ControlListener *listeners[2];
  GPtrArray *peers; /* ControlPeer; emptied by control_free(); main context only */
  bool closed;
};

/* --- threads --- */

/* Not g_main_context_invoke(): that runs the function in the calling thread when the main loop is not
 * running yet. */
void
control_invoke (GMainContext *context, GSourceFunc function, gpointer data, GDestroyNotify destroy)
{
  if (g_main_context_is_owner (context)) {
    function (data);
    destroy (data);
    return;
  }
  g_autoptr (GSource) source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, function, data, destroy);
  g_source_attach (source, context);
}

static void
control_clear (gpointer data)
{
  Control *control = data;
  g_ptr_array_unref (control->peers);
  g_main_context_unref (control->context);
  g_free (control->run_dir);
}

static void
control_unref (Control *control)
{
  g_atomic_rc_box_release_full (control, control_clear);
}

static void
peer_clear (gpointer data)
{
  ControlPeer *peer = data;
  g_object_unref (peer->gone);
}

void
control_peer_unref (ControlPeer *peer)
{
  g_atomic_rc_box_release_full (peer, peer_clear);
}

/* --- the commands that control itself answers --- */

static json_object *
version_describe (void)
{
  unsigned major = 0, minor = 0, micro = 0;
  sscanf (GUARDD_VERSION, "%u.%u.%u", &major, &minor, &micro);
  json_object *version = json_object_new_object (), *guardd = json_object_new_object ();
  json_add_u64 (guardd, "major", major);
  json_add_u64 (guardd, "minor", minor);
  json_add_u64 (guardd, "micro", micro);
  json_object_object_add (version, "guardd", guardd);
  json_add_string (version, "package", "");
  return version;
}

static void
run_query_version (ControlCall *call)
{
  json_object *version = version_describe ();
  json_add_string (version, "version", GUARDD_VERSION);
  control_call_return (call, version);
}

static void run_query_commands (ControlCall *call);

static const ControlCommand own_commands[] = {
  { "query-commands", false, NULL, run_query_commands, "what this daemon can be told" },
  { "query-version", false, NULL, run_query_version, "which guardd this is" },
  { NULL },
};

static void
commands_describe (const ControlCommand *commands, json_object *list)
{
  for (const ControlCommand *command = commands; command->name; command++) {
    json_object *entry = json_object_new_object ();
    json_add_string (entry, "name", command->name);
    json_add_bool (entry, "writes", command->writes);
    json_add_string (entry, "help", command->help);
    json_object_object_add (entry, "arguments", control_arguments_describe (command));
    json_object_array_add (list, entry);
  }
}

static void
run_query_commands (ControlCall *call)
{
  const Control *control = control_call_opaque (call);
  json_object *list = json_object_new_array ();
  commands_describe (own_commands, list);
  commands_describe (control->commands, list);
  control_call_return (call, list);
}

/* --- peers --- */

static const ControlCommand *
command_find (const ControlCommand *commands, const char *name)
{
  for (const ControlCommand *command = commands; command->name; command++)
    if (strcmp (command->name, name) == 0)
      return command;
  return NULL;
}

static void
peer_command (QmpPeer *qmp, QmpRequest *request, const char *name, json_object *arguments, void *opaque)
{
  ControlPeer *peer = opaque;
  Control *control = peer->control;
  const ControlCommand *own = command_find (own_commands, name);
  const ControlCommand *command = own ? own : command_find (control->commands, name);
  g_autoptr (GError) error = NULL;
  g_autofree char *message = NULL;
  const char *error_class = "InvalidArgument";
  ControlValue *values = NULL;
  if (command == NULL) {
    g_autofree char *start = g_strndup (name, 64), *quoted = g_strescape (start, NULL);
    error_class = "CommandNotFound";
    message = g_strdup_printf ("there is no command \"%s\"; query-commands lists those there are", quoted);
  } else if (command->writes && !peer->writes) {
    error_class = "Forbidden";
    message = g_strdup_printf ("%s: not over the read-only socket; as root, use %s/guardd.sock", name,
                               control->run_dir);
  } else if (g_atomic_int_get (&peer->open_calls) >= CONTROL_CALLS_MAX) {
    error_class = "Busy";
    message
        = g_strdup_printf ("%s: this connection has %d unanswered commands already", name, CONTROL_CALLS_MAX);
  } else if ((values = control_arguments_read (command, arguments, &error)) == NULL)
    message = g_strdup (error->message);
  if (message) {
    qmp_request_fail (request, error_class, message);
    return;
  }
  g_assert (command); /* else there is a message */
  command->run (
      control_call_new (peer, request, command, values, own ? control : control->opaque, control->context));
}

static void
peer_closed (QmpPeer *qmp, void *opaque)
{
  ControlPeer *peer = opaque;
  Control *control = peer->control;
  if (control == NULL)
    return;
  peer->control = NULL;
  qmp_peer_unref (g_steal_pointer (&peer->qmp));
  g_cancellable_cancel (peer->gone);
  g_ptr_array_remove_fast (control->peers, peer); /* may free it */
}

static const QmpPeerCallbacks peer_callbacks = { peer_command, peer_closed };

static bool
connection_uid (GSocketConnection *connection, uid_t *uid)
{
  g_autoptr (GCredentials) credentials
      = g_socket_get_credentials (g_socket_connection_get_socket (connection), NULL);
  if (credentials == NULL)
    return false;
  *uid = g_credentials_get_unix_user (credentials, NULL);
  return *uid != (uid_t)-1;
}

/* Per socket: whoever may only read must not keep root out. */
static bool
peers_are_full (const Control *control, bool writes)
{
  guint n = 0;
  for (guint i = 0; i < control->peers->len; i++)
    n += ((const ControlPeer *)control->peers->pdata[i])->writes == writes;
  return n >= CONTROL_PEERS_MAX;
}

static void
control_accept (Control *control, GSocketConnection *connection, bool writes)
{
  const char *problem = NULL;
  uid_t uid = (uid_t)-1;
  if (!connection_uid (connection, &uid))
    problem = "the kernel does not say who it is";
  else if (writes && uid != 0 && uid != geteuid ())
    problem = "only root may use guardd.sock";
  else if (peers_are_full (control, writes))
    problem = "too many connections";
  if (problem) {
    g_message ("connection of uid %ld refused: %s", (long)uid, problem);
    g_io_stream_close (G_IO_STREAM (connection), NULL, NULL);
    return;
  }
  ControlPeer *peer = g_atomic_rc_box_new0 (ControlPeer);
  peer->control = control;
  peer->writes = writes;
  peer->uid = uid;
  peer->gone = g_cancellable_new ();
  g_ptr_array_add (control->peers, peer);
  peer->qmp = qmp_peer_new (connection, version_describe (), control->context, &peer_callbacks, peer);
}

static void
accepted_read_write (GSocketConnection *connection, void *opaque)
{
  control_accept (opaque, connection, true);
}

static void
accepted_read_only (GSocketConnection *connection, void *opaque)
{
  control_accept (opaque, connection, false);
}

/* --- events --- */

typedef struct {
  Control *control;
  char *name;
  json_object *data;
} Event;

static void
event_free (gpointer data)
{
  Event *event = data;
  control_unref (event->control);
  g_free (event->name);
  json_object_put (event->data);
  g_free (event);
}

static gboolean
event_send (gpointer data)
{
  Event *event = data;
  GPtrArray *peers = event->control->peers;
  /* Backwards: sending may close a peer that does not read. */
  for (guint i = peers->len; i > 0; i--) {
    ControlPeer *peer = i <= peers->len ? peers->pdata[i - 1] : NULL;
    json_object *copy = NULL; /* each peer's own: what was dropped for it is entered there */
    if (peer && peer->qmp && json_object_deep_copy (event->data, &copy, NULL) == 0)
      qmp_peer_event (peer->qmp, event->name, copy);
  }
  return G_SOURCE_REMOVE;
}

void
control_event (Control *control, const char *name, json_object *data)
{
  if (control == NULL) {
    json_object_put (data);
    return;
  }
  Event *event = g_new0 (Event, 1);
  event->control = g_atomic_rc_box_acquire (control);
  event->name = g_strdup (name);
  event->data = data ? data : json_object_new_object ();
  control_invoke (control->context, event_send, event, event_free);
}

/* --- beginning and end --- */

static bool
group_find (const char *name, gid_t *gid, GError **error)
{
  char buffer[16384];
  struct group group, *found = NULL;
  int errno_value = getgrnam_r (name, &group, buffer, sizeof buffer, &found);
  if (found == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "control_group = %s: %s; make it with \"groupadd --system %s\" or name another", name,
                 errno_value ? g_strerror (errno_value) : "there is no such group", name);
    return false;
  }
  *gid = group.gr_gid;
  return true;
}

static bool
control_listen (Control *control, const char *group, GError **error)
{
  gid_t gid = (gid_t)-1;
  if (group && !group_find (group, &gid, error))
    return false;
  if (g_mkdir_with_parents (control->run_dir, 0755) < 0) {
    int errno_value = errno;
    g_set_error (error, G_IO_ERROR, (gint)g_io_error_from_errno (errno_value), "%s: cannot make it: %s",
                 control->run_dir, g_strerror (errno_value));
    return false;
  }
  g_autofree char *writes = g_build_filename (control->run_dir, "guardd.sock", NULL);
  g_autofree char *reads = g_build_filename (control->run_dir, "guardd-ro.sock", NULL);
  control->listeners[0]
      = control_listener_new (writes, 0600, (gid_t)-1, control->context, accepted_read_write, control, error);
  if (control->listeners[0] == NULL)
    return false;
  control->listeners[1] = control_listener_new (reads, group ? 0660 : 0600, gid, control->context,
                                                accepted_read_only, control, error);
  return control->listeners[1] != NULL;
}

static void
peer_drop (gpointer data)
{
  control_peer_unref (data);
}

Control *
control_new (const char *run_dir, const char *group, const ControlCommand *commands, void *opaque,
             GError **error)
{
  Control *control = g_atomic_rc_box_new0 (Control);
  control->context = g_main_context_ref_thread_default ();
  control->commands = commands;
  control->opaque = opaque;
  control->run_dir = g_strdup (run_dir);
  control->peers = g_ptr_array_new_with_free_func (peer_drop);
  if (control_listen (control, group, error))
    return control;
  control_free (control);
  return NULL;
}

void
control_free (Control *control)
{
  if (control == NULL)
    return;
  for (guint i = 0; i < G_N_ELEMENTS (control->listeners); i++)
    control_listener_free (g_steal_pointer (&control->listeners[i]));
  while (control->peers->len > 0) {
    ControlPeer *peer = control->peers->pdata[0];
    g_autoptr (GCancellable) gone = g_object_ref (peer->gone);
    QmpPeer *qmp = qmp_peer_ref (peer->qmp);
    peer->control = NULL; /* so that peer_closed() has nothing left to do */
    qmp_peer_unref (g_steal_pointer (&peer->qmp));
    qmp_peer_close (qmp);
    qmp_peer_unref (qmp);
    g_cancellable_cancel (gone);
    g_ptr_array_remove_index_fast (control->peers, 0);
  }
  control_unref (control);
}
