/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage-call.h"

#include <errno.h>
#include <string.h>

void
storage_calls_init (StorageCalls *calls)
{
  g_mutex_init (&calls->lock);
  calls->first = NULL;
}

void
storage_calls_clear (StorageCalls *calls)
{
  g_mutex_clear (&calls->lock);
}

guint64
storage_calls_silence_us (StorageCalls *calls, const char *domain, const char **operation)
{
  gint64 longest = 0, now = g_get_monotonic_time ();
  g_mutex_lock (&calls->lock);
  for (const StorageCall *call = calls->first; call; call = call->next)
    if (now - call->heard > longest && (domain == NULL || strcmp (call->domain, domain) == 0)) {
      longest = now - call->heard;
      *operation = call->operation;
    }
  g_mutex_unlock (&calls->lock);
  return (guint64)longest;
}

void
storage_call_heard (StorageCall *call)
{
  g_mutex_lock (&call->calls->lock);
  call->heard = g_get_monotonic_time ();
  g_mutex_unlock (&call->calls->lock);
}

/* --- what the plugin calls --- */

static void
call_error (void *opaque, int errno_value, const char *message)
{
  StorageCall *call = opaque;
  StorageErrorCode code = STORAGE_ERROR_FAILED;
  if (errno_value == ENOSPC || errno_value == EDQUOT)
    code = STORAGE_ERROR_FULL;
  else if (errno_value == ECANCELED)
    code = STORAGE_ERROR_CANCELLED;
  if (!call->told)
    g_set_error_literal (call->error, STORAGE_ERROR, (gint)code, message);
  call->told = true;
}

static int
call_progress (void *opaque, uint64_t done, uint64_t total)
{
  StorageCall *call = opaque;
  storage_call_heard (call);
  return g_cancellable_is_cancelled (call->cancellable);
}

/* --- begin and end --- */

void
storage_call_begin (StorageCall *call, StorageCalls *calls, const char *operation, const char *subject,
                    GError **error)
{
  *call = (StorageCall){ .call = { sizeof call->call, call, call_error, call_progress },
                         .error = error,
                         .operation = operation,
                         .calls = calls,
                         .heard = g_get_monotonic_time () };
  if (subject)
    g_strlcpy (call->domain, subject, sizeof call->domain);
  g_mutex_lock (&calls->lock);
  call->next = calls->first;
  if (call->next)
    call->next->previous = call;
  calls->first = call;
  g_mutex_unlock (&calls->lock);
}

bool
storage_call_end (StorageCall *call, const char *what, int result)
{
  g_mutex_lock (&call->calls->lock);
  if (call->previous)
    call->previous->next = call->next;
  else
    call->calls->first = call->next;
  if (call->next)
    call->next->previous = call->previous;
  g_mutex_unlock (&call->calls->lock);
  if (result != 0 && !call->told)
    g_set_error (call->error, STORAGE_ERROR, STORAGE_ERROR_FAILED, "%s: the storage plugin gave no reason",
                 what);
  return result == 0;
}
