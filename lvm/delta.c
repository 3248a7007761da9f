/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "delta.h"

#include "mapper.h"
#include "protocol.h"

#include <errno.h>
#include <gio/gio.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static bool
delta_fail (GError **error, const char *what)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "thin_delta: %s", what);
  return false;
}

static void
extent_add (GArray *extents, guint64 first, guint64 count)
{
  DeltaExtent *last = extents->len ? &g_array_index (extents, DeltaExtent, extents->len - 1) : NULL;
  if (last != NULL && last->first + last->count == first)
    last->count += count;
  else {
    DeltaExtent extent = { first, count };
    g_array_append_val (extents, extent);
  }
}

/* <different begin="0" length="16"/>; also left_only and right_only.  What is the same is passed over. */
static bool
delta_line (GArray *extents, const char *line, GError **error)
{
  static const char *const kinds[] = { "different", "left_only", "right_only" };
  char kind[16];
  guint64 first = 0, count = 0;
  if (sscanf (line, " <%15[a-z_] begin=\"%" SCNu64 "\" length=\"%" SCNu64 "\"", kind, &first, &count) != 3)
    return true;
  bool differs = false;
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    differs = differs || strcmp (kind, kinds[i]) == 0;
  if (!differs)
    return true;
  if (count == 0 || first > G_MAXUINT64 / 2 || count > G_MAXUINT64 / 2)
    return delta_fail (error, "says an extent that cannot be");
  if (extents->len >= LVM_EXTENTS_MAX)
    return delta_fail (error, "says more extents than can be used");
  extent_add (extents, first, count);
  return true;
}

static bool
delta_read (FILE *output, GArray *extents, GError **error)
{
  char line[512];
  bool whole = false;
  while (fgets (line, sizeof line, output) != NULL) {
    whole = whole || strstr (line, "</diff>") != NULL;
    if (!delta_line (extents, line, error))
      return false;
  }
  return whole || delta_fail (error, "did not say all (is thin-provisioning-tools whole?)");
}

static GArray *
delta_run (const char *device, guint64 from, guint64 to, GError **error)
{
  g_autofree char *one = g_strdup_printf ("%" G_GUINT64_FORMAT, from),
                  *two = g_strdup_printf ("%" G_GUINT64_FORMAT, to);
  g_autoptr (GArray) extents = g_array_new (FALSE, FALSE, sizeof (DeltaExtent));
  const char *argv[] = { "thin_delta", "-m", "--thin1", one, "--thin2", two, device, NULL };
  pid_t pid = -1;
  int fd = -1, status = 0;
  if (!g_spawn_async_with_pipes (NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
                                 NULL, NULL, &pid, NULL, &fd, NULL, error))
    return NULL;
  FILE *output = fdopen (fd, "r");
  bool ok = output != NULL && delta_read (output, extents, error);
  if (output != NULL)
    fclose (output); /* what it still wants to say ends it */
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    ;
  if (!ok || !g_spawn_check_wait_status (status, error))
    return NULL;
  return g_steal_pointer (&extents);
}

GArray *
delta_find (const char *vg, const char *pool, guint64 from, guint64 to, GError **error)
{
  PoolUsage usage;
  g_autofree char *device = mapper_metadata_path (vg, pool);
  if (!mapper_usage (vg, pool, &usage, error))
    return NULL;
  /* One that died has left it held; whoever else would use one waits for us no longer than for another. */
  if (usage.held_root != 0 && !mapper_release_metadata (vg, pool, error))
    return NULL;
  if (!mapper_reserve_metadata (vg, pool, error))
    return NULL;
  g_autoptr (GArray) extents = delta_run (device, from, to, error);
  if (!mapper_release_metadata (vg, pool, extents ? error : NULL))
    return NULL;
  return g_steal_pointer (&extents);
}
