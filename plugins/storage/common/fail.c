/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fail.h"

#include <errno.h>

int
fail (const struct guardd_call *call, int errno_value, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *what = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_autofree char *message
      = errno_value ? g_strdup_printf ("%s: %s", what, g_strerror (errno_value)) : g_steal_pointer (&what);
  call->error (call->opaque, errno_value, message);
  return -1;
}

bool
cancelled (const struct guardd_call *call, uint64_t done, uint64_t total)
{
  if (call->progress == NULL || call->progress (call->opaque, done, total) == 0)
    return false;
  fail (call, ECANCELED, "stopped on request");
  return true;
}

static void
ignore_error (void *opaque, int errno_value, const char *message)
{
}

const struct guardd_call fail_quietly = { .size = sizeof fail_quietly, .error = ignore_error };
