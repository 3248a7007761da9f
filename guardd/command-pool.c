/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/json.h"

#include "commands.h"
#include "describe.h"
#include "job.h"

static Pool *
command_pool (ControlCall *call)
{
  const Daemon *daemon = control_call_opaque (call);
  const char *name = control_call_string (call, "pool");
  Pool *pool = g_hash_table_lookup (daemon->pools, name);
  if (pool == NULL)
    control_call_fail (call, "NotFound", "there is no pool \"%s\" in guardd.conf", name);
  return pool;
}

void
command_pool_list (ControlCall *call)
{
  const Daemon *daemon = control_call_opaque (call);
  g_autoptr (json_object) answer = json_object_new_object ();
  json_object *list = json_object_new_array ();
  json_object_object_add (answer, "pools", list);
  for (guint i = 0; i < daemon->config->pools->len; i++) {
    const ConfigPool *entry = daemon->config->pools->pdata[i];
    g_autoptr (GError) error = NULL;
    json_object *pool = describe_pool (g_hash_table_lookup (daemon->pools, entry->name), &error);
    if (pool == NULL) {
      control_call_error (call, error);
      return;
    }
    json_object_array_add (list, pool);
  }
  control_call_return (call, json_object_get (answer));
}

void
command_pool_info (ControlCall *call)
{
  Pool *pool = command_pool (call);
  g_autoptr (GError) error = NULL;
  json_object *answer = pool ? describe_pool (pool, &error) : NULL;
  if (answer == NULL) {
    if (error)
      control_call_error (call, error);
    return;
  }
  json_object *problems = json_object_new_array ();
  g_auto (GStrv) list = pool_problems (pool);
  for (char **problem = list; *problem; problem++)
    json_object_array_add (problems, json_object_new_string (*problem));
  json_object_object_add (answer, "problems", problems);
  control_call_return (call, answer);
}

static bool
scan_run (Job *job, GError **error)
{
  return pool_scan (job->pool, job->data, error);
}

static void
scan_done (Job *job, const GError *error)
{
  if (error)
    return;
  json_object *answer = json_object_new_object ();
  json_add_u64 (answer, "snapshots", *(const guint64 *)job->data);
  daemon_load_guests (job->daemon);
  control_call_return (g_steal_pointer (&job->call), answer);
}

void
command_pool_scan (ControlCall *call)
{
  Pool *pool = command_pool (call);
  if (pool == NULL)
    return;
  Job *job = job_new (control_call_opaque (call), NULL, call);
  job->pool = pool;
  job->data = g_new0 (guint64, 1);
  job->data_free = g_free;
  job->run = scan_run;
  job->done = scan_done;
  job_start_beside (job);
}
