/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/json.h"

#include "commands.h"
#include "describe.h"
#include "job.h"
#include "rollback.h"

void
command_snapshot_create (ControlCall *call)
{
  Guest *guest = command_guest (call);
  if (guest == NULL)
    return;
  if (guest->domain == NULL)
    control_call_fail (call, "NotFound", "%s is not defined in libvirt", guest->name);
  else if (guest->pool == NULL)
    control_call_fail (call, "InvalidArgument", "%s: which pool? protect it first", guest->name);
  else
    job_start (job_capture_new (control_call_opaque (call), guest, "manual",
                                control_call_string (call, "description"), call));
}

void
command_snapshot_list (ControlCall *call)
{
  const Guest *guest = command_guest (call);
  if (guest == NULL)
    return;
  json_object *answer = json_object_new_object (), *list = json_object_new_array ();
  g_autoptr (GPtrArray) all = guest->pool ? pool_snapshots (guest->pool, guest->uuid) : NULL;
  for (guint i = 0; all && i < all->len; i++)
    json_object_array_add (list, describe_snapshot (all->pdata[i]));
  json_object_object_add (answer, "snapshots", list);
  control_call_return (call, answer);
}

void
command_snapshot_info (ControlCall *call)
{
  Guest *guest = command_guest (call);
  g_autoptr (Snapshot) snapshot = guest ? command_snapshot (call, guest, "snapshot") : NULL;
  if (snapshot)
    control_call_return (call, describe_snapshot (snapshot));
}

/* --- state --- */

static void
change_state (ControlCall *call, const StateChange *change)
{
  Guest *guest = command_guest (call);
  g_autoptr (Snapshot) snapshot = guest ? command_snapshot (call, guest, "snapshot") : NULL;
  g_autoptr (GError) error = NULL;
  if (snapshot == NULL)
    return;
  if (pool_change_state (guest->pool, guest->uuid, snapshot->manifest->number, change, &error))
    control_call_return (call, NULL);
  else
    control_call_error (call, error);
}

void
command_snapshot_hold (ControlCall *call)
{
  change_state (call, &(StateChange){ .hold = control_call_string (call, "reason") });
}

void
command_snapshot_release (ControlCall *call)
{
  change_state (call, &(StateChange){ .release = true });
}

/* --- delete --- */

typedef struct {
  GArray *numbers; /* guint64 */
  bool force;
} DeleteData;

static void
delete_free (gpointer opaque)
{
  DeleteData *data = opaque;
  g_array_unref (data->numbers);
  g_free (data);
}

static bool
delete_run (Job *job, GError **error)
{
  const DeleteData *data = job->data;
  return pool_delete (job->pool, job->guest->uuid, (const guint64 *)(const void *)data->numbers->data,
                      data->numbers->len, data->force, job->cancellable, error);
}

static json_object *
numbers_to_json (const GArray *numbers)
{
  json_object *list = json_object_new_array ();
  for (guint i = 0; i < numbers->len; i++)
    json_object_array_add (list, json_object_new_int64 ((gint64)g_array_index (numbers, guint64, i)));
  return list;
}

static void
delete_done (Job *job, const GError *error)
{
  const DeleteData *data = job->data;
  if (error)
    return;
  json_object *event = describe_guest_event (job->guest), *answer = json_object_new_object ();
  json_object_object_add (event, "numbers", numbers_to_json (data->numbers));
  control_event (job->daemon->control, "SNAPSHOT_DELETED", event);
  json_object_object_add (answer, "deleted", numbers_to_json (data->numbers));
  control_call_return (g_steal_pointer (&job->call), answer);
}

/* A plain number also names one that is damaged and not listed. */
static bool
delete_resolve (const Guest *guest, const char *which, guint64 *number, GError **error)
{
  if (g_ascii_string_to_unsigned (which, 10, 1, G_MAXINT64, number, NULL))
    return true;
  g_autoptr (Snapshot) snapshot = pool_resolve (guest->pool, guest->uuid, which, g_get_real_time (), error);
  if (snapshot)
    *number = snapshot->manifest->number;
  return snapshot != NULL;
}

void
command_snapshot_delete (ControlCall *call)
{
  Guest *guest = command_guest (call);
  if (guest == NULL)
    return;
  if (guest->pool == NULL) {
    control_call_fail (call, "NotFound", "%s has no snapshot", guest->name);
    return;
  }
  DeleteData *data = g_new0 (DeleteData, 1);
  data->numbers = g_array_new (FALSE, FALSE, sizeof (guint64));
  data->force = control_call_bool (call, "force");
  for (const char *const *which = control_call_strv (call, "snapshots"); *which; which++) {
    g_autoptr (GError) error = NULL;
    guint64 number = 0;
    if (!delete_resolve (guest, *which, &number, &error)) {
      control_call_error (call, error);
      delete_free (data);
      return;
    }
    g_array_append_val (data->numbers, number);
  }
  Job *job = job_new (control_call_opaque (call), guest, call);
  job->data = data;
  job->data_free = delete_free;
  job->run = delete_run;
  job->done = delete_done;
  job_start_beside (job);
}

/* --- verify --- */

typedef struct {
  GArray *numbers; /* to check */
  GArray *verified;
  bool deep;
} VerifyData;

static void
verify_free (gpointer opaque)
{
  VerifyData *data = opaque;
  g_array_unref (data->numbers);
  g_array_unref (data->verified);
  g_free (data);
}

static bool
verify_run (Job *job, GError **error)
{
  const VerifyData *data = job->data;
  /* The peer's: it works for its eyes only. */
  g_autoptr (GCancellable) gone = g_object_ref (control_call_cancellable (job->call));
  g_autoptr (PoolVerified) verified = pool_verified_new ();
  if (!pool_verify_history (job->pool, job->guest->uuid, error))
    return false;
  for (guint i = 0; i < data->numbers->len; i++) {
    guint64 number = g_array_index (data->numbers, guint64, i);
    g_autoptr (GError) failure = NULL;
    if (g_cancellable_set_error_if_cancelled (job->cancellable, error))
      return false;
    if (pool_verify (job->pool, job->guest->uuid, number, data->deep, verified, gone, &failure))
      g_array_append_val (data->verified, number);
    /* Pruned while the others were looked at: nothing to say about it. */
    else if (!g_error_matches (failure, POOL_ERROR, POOL_ERROR_NOT_FOUND) || data->numbers->len == 1) {
      g_propagate_error (error, g_steal_pointer (&failure));
      return false;
    }
    control_call_progress (job->call, i + 1, data->numbers->len);
  }
  return true;
}

static void
verify_done (Job *job, const GError *error)
{
  const VerifyData *data = job->data;
  if (error)
    return;
  json_object *answer = json_object_new_object ();
  json_object_object_add (answer, "verified", numbers_to_json (data->verified));
  json_add_u64 (answer, "duration_ms", (guint64)(g_get_monotonic_time () - job->started) / 1000);
  control_call_return (g_steal_pointer (&job->call), answer);
}

static bool
verify_choose (ControlCall *call, Guest *guest, VerifyData *data)
{
  if (control_call_has (call, "snapshot")) {
    g_autoptr (Snapshot) snapshot = command_snapshot (call, guest, "snapshot");
    if (snapshot)
      g_array_append_val (data->numbers, snapshot->manifest->number);
    return snapshot != NULL;
  }
  if (guest->pool) {
    g_array_unref (data->numbers);
    data->numbers = pool_numbers (guest->pool, guest->uuid);
  }
  if (data->numbers->len == 0)
    control_call_fail (call, "NotFound", "%s has no snapshot", guest->name);
  return data->numbers->len > 0;
}

void
command_snapshot_verify (ControlCall *call)
{
  Guest *guest = command_guest (call);
  if (guest == NULL)
    return;
  VerifyData *data = g_new0 (VerifyData, 1);
  data->numbers = g_array_new (FALSE, FALSE, sizeof (guint64));
  data->verified = g_array_new (FALSE, FALSE, sizeof (guint64));
  data->deep = control_call_bool (call, "deep");
  if (!verify_choose (call, guest, data)) {
    verify_free (data);
    return;
  }
  Job *job = job_new (control_call_opaque (call), guest, call);
  job->data = data;
  job->data_free = verify_free;
  job->run = verify_run;
  job->done = verify_done;
  job_start_beside (job);
}

/* --- rollback --- */

void
command_rollback (ControlCall *call)
{
  Guest *guest = command_guest (call);
  if (guest == NULL)
    return;
  RollbackOptions *options = g_new0 (RollbackOptions, 1);
  options->snapshot
      = g_strdup (control_call_has (call, "snapshot") ? control_call_string (call, "snapshot") : "last-good");
  options->disks = g_strdupv ((char **)control_call_strv (call, "disks"));
  options->dry_run = control_call_bool (call, "dry-run");
  options->no_start = control_call_bool (call, "no-start");
  rollback_start (control_call_opaque (call), guest, options, call);
}
