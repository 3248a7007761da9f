/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine.h"

#include <lvm2cmd.h>
#include <string.h>

#define LINES_MAX 200000u
#define COMPLAINTS_MAX 2000u /* bytes */

static void *handle;
static GPtrArray *printed;  /* while a command runs */
static GString *complaints; /* likewise */

/* Every debug message comes here whatever lvm2_log_level() was told; warnings come as prints. */
static void
engine_log (int level, const char *file, int line, int dm_errno, const char *message)
{
  if (printed == NULL)
    return;
  if (level == LVM2_LOG_PRINT && printed->len < LINES_MAX)
    g_ptr_array_add (printed, g_strdup (message));
  if ((level == LVM2_LOG_ERROR || level == LVM2_LOG_FATAL) && complaints->len < COMPLAINTS_MAX)
    g_string_append_printf (complaints, "%s%s", complaints->len ? "; " : "", message);
}

bool
engine_start (GError **error)
{
  lvm2_log_fn (engine_log);
  handle = lvm2_init_threaded ();
  if (handle != NULL)
    return true;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "liblvm2cmd does not start: is lvm.conf readable?");
  return false;
}

bool
engine_run (GPtrArray **lines, GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *command = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_autoptr (GPtrArray) output = printed = g_ptr_array_new_with_free_func (g_free);
  complaints = g_string_new (NULL);
  int result = lvm2_run (handle, command);
  printed = NULL;
  g_autofree char *said = g_string_free (complaints, FALSE);
  complaints = NULL;
  if (result != LVM2_COMMAND_SUCCEEDED) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "lvm %s: %s", command,
                 said[0] ? said : "failed and did not say why");
    return false;
  }
  if (lines != NULL)
    *lines = g_steal_pointer (&output);
  return true;
}
