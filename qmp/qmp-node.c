/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors and block nodes. */
#include "base/json.h"
#include "qmp-block.h"

static bool
call_done (QmpClient *client, const char *command, json_object *arguments, const int *fds, size_t n_fds,
           GError **error)
{
  g_autoptr (json_object) reply = qmp_client_call (client, command, arguments, fds, n_fds, 0, error);

  return reply != NULL;
}

bool
qmp_add_fd (QmpClient *client, int fd, const char *opaque, gint64 *set_id, GError **error)
{
  json_object *arguments = json_object_new_object ();
  g_autoptr (json_object) reply = NULL;
  GError *cause = NULL;

  json_add_string (arguments, "opaque", opaque);
  reply = qmp_client_call (client, "add-fd", arguments, &fd, 1, 0, error);
  if (!reply)
    return false;
  if (json_get_i64 (reply, "fdset-id", set_id, &cause))
    return true;
  g_set_error (error, QMP_ERROR, QMP_ERROR_REPLY, "add-fd: %s", cause->message);
  g_error_free (cause);
  return false;
}

bool
qmp_remove_fd (QmpClient *client, gint64 set_id, GError **error)
{
  json_object *arguments = json_object_new_object ();

  json_object_object_add (arguments, "fdset-id", json_object_new_int64 (set_id));
  return call_done (client, "remove-fd", arguments, NULL, 0, error);
}

static void
fdset_free (gpointer data)
{
  QmpFdset *set = data;

  g_free (set->opaque);
  g_free (set);
}

static bool
read_fdset (json_object *entry, QmpFdset *set, GError **error)
{
  json_object *fds;
  const char *opaque = NULL;

  if (!json_get_i64 (entry, "fdset-id", &set->set_id, error) || !json_get_array (entry, "fds", &fds, error))
    return false;
  if (json_object_array_length (fds) > 0
      && !json_opt_string (json_object_array_get_idx (fds, 0), "opaque", &opaque, error))
    return false;
  set->opaque = g_strdup (opaque);
  return true;
}

GPtrArray *
qmp_query_fdsets (QmpClient *client, GError **error)
{
  g_autoptr (json_object) reply = qmp_client_call (client, "query-fdsets", NULL, NULL, 0, 0, error);
  g_autoptr (GPtrArray) sets = g_ptr_array_new_with_free_func (fdset_free);

  if (!reply)
    return NULL;
  for (size_t i = 0; json_object_is_type (reply, json_type_array) && i < json_object_array_length (reply);
       i++) {
    QmpFdset *set = g_new0 (QmpFdset, 1);
    GError *cause = NULL;

    g_ptr_array_add (sets, set);
    if (!read_fdset (json_object_array_get_idx (reply, i), set, &cause)) {
      g_set_error (error, QMP_ERROR, QMP_ERROR_REPLY, "query-fdsets: %s", cause->message);
      g_error_free (cause);
      return NULL;
    }
  }
  return g_steal_pointer (&sets);
}

bool
qmp_getfd (QmpClient *client, int fd, const char *name, GError **error)
{
  json_object *arguments = json_object_new_object ();

  json_add_string (arguments, "fdname", name);
  return call_done (client, "getfd", arguments, &fd, 1, error);
}

bool
qmp_closefd (QmpClient *client, const char *name, GError **error)
{
  json_object *arguments = json_object_new_object ();

  json_add_string (arguments, "fdname", name);
  return call_done (client, "closefd", arguments, NULL, 0, error);
}

bool
qmp_blockdev_add_scratch (QmpClient *client, const char *node, gint64 set_id, bool in_memory,
                          const char *backing, GError **error)
{
  json_object *arguments = json_object_new_object (), *file = json_object_new_object ();
  g_autofree char *path = g_strdup_printf ("/dev/fdset/%" G_GINT64_FORMAT, set_id);

  json_add_string (file, "driver", "file");
  json_add_string (file, "filename", path);
  /* nobody else can open it, and not every filesystem can lock */
  if (!in_memory)
    json_add_string (file, "locking", "off");
  json_add_string (arguments, "driver", "qcow2");
  json_add_string (arguments, "node-name", node);
  json_object_object_add (arguments, "file", file);
  json_add_string (arguments, "backing", backing);
  return call_done (client, "blockdev-add", arguments, NULL, 0, error);
}

bool
qmp_blockdev_del (QmpClient *client, const char *node, GError **error)
{
  json_object *arguments = json_object_new_object ();

  json_add_string (arguments, "node-name", node);
  return call_done (client, "blockdev-del", arguments, NULL, 0, error);
}
