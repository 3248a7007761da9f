/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image-size.h"

#include "base/json.h"

#include <gio/gio.h>
#include <string.h>

bool
image_size (const char *path, const char *format, guint64 *bytes, GError **error)
{
  const char *argv[] = { "timeout",       "-k", "5",    "60", "qemu-img", "info", "--output=json",
                         "--force-share", "-f", format, "--", path,       NULL };
  g_autofree char *out = NULL, *words = NULL;
  g_auto (GStrv) environment = g_environ_setenv (g_get_environ (), "LC_ALL", "C", TRUE);
  int status = 0;
  if (!g_spawn_sync (NULL, (char **)argv, environment, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &words, &status,
                     error))
    return false;
  if (status != 0) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "qemu-img info: %s",
                 g_strstrip (words)[0] ? words : "no answer within a minute");
    return false;
  }
  g_autoptr (json_object) info = json_parse ("qemu-img info", out, strlen (out), error);
  return info && json_get_u64 (info, "virtual-size", bytes, error);
}
