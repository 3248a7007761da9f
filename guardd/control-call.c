/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/json.h"

#include "control-private.h"
#include "pool.h"
#include "storage.h"

#include <string.h>

#define PROGRESS_INTERVAL_US (G_USEC_PER_SEC / 10)

struct ControlCall {
  ControlPeer *peer;
  QmpRequest *request;
  const ControlCommand *command;
  ControlValue *values;
  void *opaque;
  GMainContext *context;
  char *id; /* as JSON text; NULL: the peer gave none */
  gint64 progress_at;
};

ControlCall *
control_call_new (ControlPeer *peer, QmpRequest *request, const ControlCommand *command, ControlValue *values,
                  void *opaque, GMainContext *context)
{
  ControlCall *call = g_new0 (ControlCall, 1);
  json_object *id = qmp_request_id (request);
  call->peer = g_atomic_rc_box_acquire (peer);
  call->request = request;
  call->command = command;
  call->values = values;
  call->opaque = opaque;
  call->context = g_main_context_ref (context);
  call->id = id ? g_strdup (json_object_to_json_string_ext (id, JSON_C_TO_STRING_PLAIN)) : NULL;
  g_atomic_int_inc (&peer->open_calls);
  return call;
}

static void
call_free (ControlCall *call)
{
  g_atomic_int_add (&call->peer->open_calls, -1);
  control_peer_unref (call->peer);
  control_arguments_free (call->command, call->values);
  g_main_context_unref (call->context);
  g_free (call->id);
  g_free (call);
}

/* --- arguments --- */

static const ControlValue *
call_value (const ControlCall *call, const char *name, ControlType type)
{
  static const ControlValue none = { 0 };
  const ControlArgument *argument = call->command->arguments;
  for (size_t i = 0; argument && argument[i].name; i++)
    if (strcmp (argument[i].name, name) == 0 && argument[i].type == type)
      return &call->values[i];
  g_return_val_if_reached (&none);
}

const char *
control_call_string (const ControlCall *call, const char *name)
{
  return call_value (call, name, CONTROL_STRING)->string;
}

bool
control_call_has (const ControlCall *call, const char *name)
{
  const ControlArgument *argument = call->command->arguments;
  for (size_t i = 0; argument && argument[i].name; i++)
    if (strcmp (argument[i].name, name) == 0)
      return call->values[i].given;
  g_return_val_if_reached (false);
}

guint64
control_call_u64 (const ControlCall *call, const char *name)
{
  return call_value (call, name, CONTROL_U64)->number;
}

bool
control_call_bool (const ControlCall *call, const char *name)
{
  return call_value (call, name, CONTROL_BOOL)->flag;
}

const char *const *
control_call_strv (const ControlCall *call, const char *name)
{
  return (const char *const *)call_value (call, name, CONTROL_STRV)->strings;
}

const char *
control_call_name (const ControlCall *call)
{
  return call->command->name;
}

void *
control_call_opaque (const ControlCall *call)
{
  return call->opaque;
}

uid_t
control_call_uid (const ControlCall *call)
{
  return call->peer->uid;
}

GCancellable *
control_call_cancellable (const ControlCall *call)
{
  return call->peer->gone;
}

/* --- progress --- */

typedef struct {
  ControlPeer *peer;
  char *id;
  guint64 done, total;
} Progress;

static void
progress_free (gpointer data)
{
  Progress *progress = data;
  control_peer_unref (progress->peer);
  g_free (progress->id);
  g_free (progress);
}

static gboolean
progress_send (gpointer data)
{
  Progress *progress = data;
  if (progress->peer->qmp == NULL)
    return G_SOURCE_REMOVE;
  json_object *event = json_object_new_object ();
  json_object_object_add (event, "id", progress->id ? json_tokener_parse (progress->id) : NULL);
  json_add_u64 (event, "done", progress->done);
  json_add_u64 (event, "total", progress->total);
  qmp_peer_event (progress->peer->qmp, "PROGRESS", event);
  return G_SOURCE_REMOVE;
}

void
control_call_progress (ControlCall *call, guint64 done, guint64 total)
{
  gint64 now = g_get_monotonic_time ();
  if (now < call->progress_at)
    return;
  call->progress_at = now + PROGRESS_INTERVAL_US;
  Progress *progress = g_new0 (Progress, 1);
  progress->peer = g_atomic_rc_box_acquire (call->peer);
  progress->id = g_strdup (call->id);
  progress->done = MIN (done, G_MAXINT64);
  progress->total = MIN (total, G_MAXINT64);
  control_invoke (call->context, progress_send, progress, progress_free);
}

/* --- answers --- */

void
control_call_return (ControlCall *call, json_object *value)
{
  qmp_request_return (call->request, value);
  call_free (call);
}

void
control_call_fail (ControlCall *call, const char *error_class, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  qmp_request_fail (call->request, error_class, message);
  call_free (call);
}

void
control_call_error (ControlCall *call, const GError *error)
{
  qmp_request_fail (call->request, control_error_class (error), error->message);
  call_free (call);
}

static const char *
pool_error_class (int code)
{
  switch ((PoolErrorCode)code) {
  case POOL_ERROR_NOT_FOUND:
    return "NotFound";
  case POOL_ERROR_BUSY:
    return "Busy";
  case POOL_ERROR_FULL:
    return "NoSpace";
  case POOL_ERROR_DAMAGED:
    return "Damaged";
  case POOL_ERROR_FAILED:
    break;
  }
  return "GenericError";
}

static const char *
storage_error_class (int code)
{
  switch ((StorageErrorCode)code) {
  case STORAGE_ERROR_FULL:
    return "NoSpace";
  case STORAGE_ERROR_CANCELLED:
    return "Cancelled";
  case STORAGE_ERROR_FAILED:
    break;
  }
  return "GenericError";
}

static const char *
io_error_class (int code)
{
  switch (code) {
  case G_IO_ERROR_NOT_FOUND:
    return "NotFound";
  case G_IO_ERROR_BUSY:
    return "Busy";
  case G_IO_ERROR_NO_SPACE:
    return "NoSpace";
  case G_IO_ERROR_INVALID_DATA:
    return "Damaged";
  case G_IO_ERROR_INVALID_ARGUMENT:
    return "InvalidArgument";
  case G_IO_ERROR_CANCELLED:
    return "Cancelled";
  case G_IO_ERROR_NOT_CONNECTED:
  case G_IO_ERROR_HOST_UNREACHABLE:
    return "Unavailable";
  default:
    return "GenericError";
  }
}

static const char *
file_error_class (int code)
{
  switch (code) {
  case G_FILE_ERROR_NOENT:
    return "NotFound";
  case G_FILE_ERROR_NOSPC:
    return "NoSpace";
  default:
    return "GenericError";
  }
}

const char *
control_error_class (const GError *error)
{
  if (error->domain == POOL_ERROR)
    return pool_error_class (error->code);
  if (error->domain == STORAGE_ERROR)
    return storage_error_class (error->code);
  if (error->domain == G_IO_ERROR)
    return io_error_class (error->code);
  if (error->domain == G_FILE_ERROR)
    return file_error_class (error->code);
  return "GenericError";
}
