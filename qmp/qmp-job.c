/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs and NBD exports: things that take a while to go away. */
#include "base/json.h"
#include "qmp-block.h"

#define POLL_FIRST_US 200
#define POLL_MAX_US 20000

static void
job_free (gpointer data)
{
  QmpJob *job = data;

  g_free (job->id);
  g_free (job->type);
  g_free (job->status);
  g_free (job->error);
  g_free (job);
}

static bool
read_job (json_object *entry, QmpJob *job, GError **error)
{
  const char *id = NULL, *type = NULL, *status = NULL, *failure = NULL;

  if (!json_get_string (entry, "id", &id, error) || !json_get_string (entry, "type", &type, error)
      || !json_get_string (entry, "status", &status, error)
      || !json_opt_string (entry, "error", &failure, error))
    return false;
  job->id = g_strdup (id);
  job->type = g_strdup (type);
  job->status = g_strdup (status);
  job->error = g_strdup (failure);
  return true;
}

GPtrArray *
qmp_query_jobs (QmpClient *client, GError **error)
{
  g_autoptr (json_object) reply = qmp_client_call (client, "query-jobs", NULL, NULL, 0, 0, error);
  g_autoptr (GPtrArray) jobs = g_ptr_array_new_with_free_func (job_free);

  if (!reply)
    return NULL;
  for (size_t i = 0; json_object_is_type (reply, json_type_array) && i < json_object_array_length (reply);
       i++) {
    QmpJob *job = g_new0 (QmpJob, 1);
    GError *cause = NULL;

    g_ptr_array_add (jobs, job);
    if (!read_job (json_object_array_get_idx (reply, i), job, &cause)) {
      g_set_error (error, QMP_ERROR, QMP_ERROR_REPLY, "query-jobs: %s", cause->message);
      g_error_free (cause);
      return NULL;
    }
  }
  return g_steal_pointer (&jobs);
}

/* -1: the query failed; 0: no such job; 1: it is there. */
static int
find_job (QmpClient *client, const char *id, bool *concluded, GError **error)
{
  g_autoptr (GPtrArray) jobs = qmp_query_jobs (client, error);

  if (!jobs)
    return -1;
  for (guint i = 0; i < jobs->len; i++) {
    const QmpJob *job = g_ptr_array_index (jobs, i);

    if (!g_str_equal (job->id, id))
      continue;
    *concluded = g_str_equal (job->status, "concluded");
    return 1;
  }
  return 0;
}

static bool
call_job (QmpClient *client, const char *command, const char *key, const char *id, GError **error)
{
  json_object *arguments = json_object_new_object ();
  g_autoptr (json_object) reply = NULL;

  json_add_string (arguments, key, id);
  reply = qmp_client_call (client, command, arguments, NULL, 0, 0, error);
  return reply != NULL;
}

bool
qmp_job_cancel (QmpClient *client, const char *id, GError **error)
{
  g_autoptr (GError) cause = NULL;
  bool concluded;

  if (call_job (client, "job-cancel", "id", id, &cause))
    return true;
  /* gone, or already on its way out: QEMU's error text is no ground to decide on */
  if (g_error_matches (cause, QMP_ERROR, QMP_ERROR_COMMAND) && find_job (client, id, &concluded, NULL) == 0)
    return true;
  if (g_error_matches (cause, QMP_ERROR, QMP_ERROR_COMMAND) && find_job (client, id, &concluded, NULL) == 1
      && concluded)
    return true;
  g_propagate_error (error, g_steal_pointer (&cause));
  return false;
}

bool
qmp_job_wait_gone (QmpClient *client, const char *id, guint timeout_ms, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + (gint64)timeout_ms * 1000;
  gulong pause = POLL_FIRST_US;
  bool concluded = false;
  int found;

  while ((found = find_job (client, id, &concluded, error)) == 1) {
    if (concluded)
      call_job (client, "job-dismiss", "id", id, NULL); /* may dismiss itself meanwhile, ignoring */
    if (g_get_monotonic_time () > deadline) {
      g_set_error (error, QMP_ERROR, QMP_ERROR_TIMEOUT, "job %s does not end", id);
      return false;
    }
    g_usleep (pause);
    pause = MIN (pause * 2, POLL_MAX_US);
  }
  return found == 0;
}

bool
qmp_nbd_server_start_fd (QmpClient *client, const char *fd_name, GError **error)
{
  json_object *arguments = json_object_new_object (), *address = json_object_new_object ();
  json_object *data = json_object_new_object ();
  g_autoptr (json_object) reply = NULL;

  json_add_string (data, "str", fd_name);
  json_add_string (address, "type", "fd");
  json_object_object_add (address, "data", data);
  json_object_object_add (arguments, "addr", address);
  reply = qmp_client_call (client, "nbd-server-start", arguments, NULL, 0, 0, error);
  return reply != NULL;
}

bool
qmp_nbd_server_stop (QmpClient *client, GError **error)
{
  g_autoptr (json_object) reply = qmp_client_call (client, "nbd-server-stop", NULL, NULL, 0, 0, error);

  return reply != NULL;
}

bool
qmp_export_add (QmpClient *client, const char *id, const char *node, const char *bitmap, GError **error)
{
  json_object *arguments = json_object_new_object ();
  g_autoptr (json_object) reply = NULL;

  json_add_string (arguments, "type", "nbd");
  json_add_string (arguments, "id", id);
  json_add_string (arguments, "node-name", node);
  if (bitmap) {
    json_object *bitmaps = json_object_new_array ();

    json_add_bool (arguments, "writable", true);

    json_object_array_add (bitmaps, json_object_new_string (bitmap));
    json_object_object_add (arguments, "bitmaps", bitmaps);
  }
  reply = qmp_client_call (client, "block-export-add", arguments, NULL, 0, 0, error);
  return reply != NULL;
}

char **
qmp_query_exports (QmpClient *client, GError **error)
{
  g_autoptr (json_object) reply = qmp_client_call (client, "query-block-exports", NULL, NULL, 0, 0, error);
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();

  if (!reply)
    return NULL;
  for (size_t i = 0; json_object_is_type (reply, json_type_array) && i < json_object_array_length (reply);
       i++) {
    const char *id = NULL;
    GError *cause = NULL;

    if (!json_get_string (json_object_array_get_idx (reply, i), "id", &id, &cause)) {
      g_set_error (error, QMP_ERROR, QMP_ERROR_REPLY, "query-block-exports: %s", cause->message);
      g_error_free (cause);
      return NULL;
    }
    g_strv_builder_add (ids, id);
  }
  return g_strv_builder_end (ids);
}

/* -1: the query failed; 0: no such export; 1: it is there. */
static int
find_export (QmpClient *client, const char *id, GError **error)
{
  g_auto (GStrv) ids = qmp_query_exports (client, error);

  return ids ? g_strv_contains ((const char *const *)ids, id) : -1;
}

bool
qmp_export_del (QmpClient *client, const char *id, GError **error)
{
  json_object *arguments = json_object_new_object ();
  g_autoptr (GError) cause = NULL;
  g_autoptr (json_object) reply = NULL;

  json_add_string (arguments, "id", id);
  json_add_string (arguments, "mode", "hard");
  reply = qmp_client_call (client, "block-export-del", arguments, NULL, 0, 0, &cause);
  if (reply)
    return true;
  if (g_error_matches (cause, QMP_ERROR, QMP_ERROR_COMMAND) && find_export (client, id, NULL) == 0)
    return true;
  g_propagate_error (error, g_steal_pointer (&cause));
  return false;
}

bool
qmp_export_wait_gone (QmpClient *client, const char *id, guint timeout_ms, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + (gint64)timeout_ms * 1000;
  gulong pause = POLL_FIRST_US;
  int found;

  while ((found = find_export (client, id, error)) == 1) {
    if (g_get_monotonic_time () > deadline) {
      g_set_error (error, QMP_ERROR, QMP_ERROR_TIMEOUT, "export %s does not go away", id);
      return false;
    }
    g_usleep (pause);
    pause = MIN (pause * 2, POLL_MAX_US);
  }
  return found == 0;
}
