/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source.h"

#include "pool-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REMEMBERED_MAX 4096u
#define LINKS_MAX 40u /* as the kernel's */

json_object *
source_report (ThinPool *pool, const struct guardd_call *call)
{
  json_object *report = NULL;
  return ask (pool->client, call, ask_new ("report", NULL), &report) == 0 ? report : NULL;
}

json_object *
source_by_name (json_object *report, const char *name)
{
  json_object *list = NULL;
  json_object_object_get_ex (report, "lvs", &list);
  for (size_t i = 0; list && i < json_object_array_length (list); i++) {
    json_object *volume = json_object_array_get_idx (list, i);
    if (strcmp (answer_text (volume, "name"), name) == 0)
      return volume;
  }
  return NULL;
}

static bool
is_device (const ThinPool *pool, const char *name, dev_t device)
{
  struct stat st;
  g_autofree char *path = volume_device_path (pool, name);
  return stat (path, &st) == 0 && S_ISBLK (st.st_mode) && st.st_rdev == device;
}

static json_object *
find_by_device (const ThinPool *pool, json_object *report, dev_t device)
{
  json_object *list = NULL;
  json_object_object_get_ex (report, "lvs", &list);
  for (size_t i = 0; list && i < json_object_array_length (list); i++) {
    json_object *volume = json_object_array_get_idx (list, i);
    if (answer_text (volume, "attr")[0] == 'V' && is_device (pool, answer_text (volume, "name"), device))
      return volume;
  }
  return NULL;
}

static void
remember (ThinPool *pool, const char *path, const char *name)
{
  g_mutex_lock (&pool->sources_lock);
  if (g_hash_table_size (pool->sources) >= REMEMBERED_MAX)
    g_hash_table_remove_all (pool->sources);
  g_hash_table_insert (pool->sources, g_strdup (path), g_strdup (name));
  g_mutex_unlock (&pool->sources_lock);
}

json_object *
source_find (ThinPool *pool, const struct guardd_call *call, json_object *report, const char *path)
{
  struct stat st;
  if (stat (path, &st) < 0) {
    fail (call, errno, "%s: cannot look at it", path);
    return NULL;
  }
  json_object *volume = S_ISBLK (st.st_mode) ? find_by_device (pool, report, st.st_rdev) : NULL;
  const char *name = volume ? answer_text (volume, "name") : "";
  if (volume == NULL) {
    fail (call, ENODEV, "%s: is no thin volume of volume group %s", path, pool->vg);
  } else if (strcmp (answer_text (volume, "pool"), pool->lv) != 0) {
    fail (call, EXDEV, "%s: is in thin pool %s/%s, and guardd's pool is in %s/%s", path, pool->vg,
          answer_text (volume, "pool"), pool->vg, pool->lv);
  } else if (g_str_has_prefix (name, "guardd-")) {
    fail (call, EINVAL, "%s: is guardd's own", path);
  } else {
    remember (pool, path, name);
    return volume;
  }
  return NULL;
}

static char *
name_in_path (const ThinPool *pool, const char *path)
{
  g_autofree char *directory = g_strdup_printf ("/dev/%s/", pool->vg),
                  *mapped = volume_device_path (pool, "");
  if (g_str_has_prefix (path, directory))
    return g_strdup (path + strlen (directory));
  if (!g_str_has_prefix (path, mapped))
    return NULL;
  g_auto (GStrv) parts = g_strsplit (path + strlen (mapped), "--", -1);
  return g_strjoinv ("-", parts);
}

/* One link further, or the same without links in its directories; g_free(); NULL: neither. */
static char *
follow (const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path), *target = g_file_read_link (path, NULL);
  if (target)
    return g_path_is_absolute (target) ? g_steal_pointer (&target)
                                       : g_build_filename (directory, target, NULL);
  g_autofree char *name = g_path_get_basename (path);
  char *real = realpath (directory, NULL);
  char *further = real && strcmp (real, directory) != 0 ? g_build_filename (real, name, NULL) : NULL;
  free (real);
  return further;
}

char *
source_name (const ThinPool *pool, const char *path)
{
  g_autofree char *at = g_strdup (path);
  char *name = name_in_path (pool, at);
  for (guint i = 0; name == NULL && at && i < LINKS_MAX; i++) {
    char *further = follow (at);
    g_free (at);
    at = further;
    name = at ? name_in_path (pool, at) : NULL;
  }
  return name;
}

char *
source_recall (ThinPool *pool, const char *path)
{
  struct stat st;
  g_mutex_lock (&pool->sources_lock);
  g_autofree char *name = g_strdup (g_hash_table_lookup (pool->sources, path));
  g_mutex_unlock (&pool->sources_lock);
  bool holds = name && stat (path, &st) == 0 && S_ISBLK (st.st_mode) && is_device (pool, name, st.st_rdev);
  return holds ? g_steal_pointer (&name) : NULL;
}
