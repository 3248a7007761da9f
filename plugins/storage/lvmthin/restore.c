/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore.h"

#include "pool-private.h"
#include "source.h"

#include <errno.h>
#include <string.h>

#define RESTORE_ATTEMPTS 3u

static char *
kept_name (const ThinPool *pool, const struct guardd_call *call, const ImageName *evidence)
{
  g_autofree char *lv = thin_pool_volume_name (pool, call, evidence);
  return lv ? g_strconcat (lv, THIN_POOL_KEPT, NULL) : NULL;
}

typedef struct {
  ThinPool *pool;
  const struct guardd_call *call;
  char *source, *image, *kept, *fresh; /* names of volumes; fresh: the clone until it has its name */
} Restore;

static int
restore_ask (const Restore *restore, json_object *request)
{
  return ask (restore->pool->client, restore->call, request, NULL);
}

/* The tags that a volume has and guardd has not given it. */
static json_object *
own_tags (const ThinPool *pool, json_object *volume)
{
  json_object *list = json_object_new_array ();
  g_autofree char *tag = g_strconcat ("guardd-", pool->id, NULL);
  g_auto (GStrv) tags = g_strsplit (answer_text (volume, "tags"), ",", -1);
  for (char **own = tags; *own; own++)
    if (**own && strcmp (*own, "guardd") != 0 && strcmp (*own, tag) != 0)
      json_object_array_add (list, json_object_new_string (*own));
  return list;
}

/* The volume under the disk's name gets what tells that it is the operator's, and only then the one that was
 * there loses it.  was: that one, in the report. */
static int
restore_owner (const Restore *restore, json_object *was)
{
  json_object *adopt = ask_new ("adopt", "lv", restore->source, NULL);
  thin_pool_add_tags (restore->pool, adopt);
  json_object_object_add (adopt, "own", own_tags (restore->pool, was));
  if (restore_ask (restore, adopt) < 0)
    return -1;
  json_object *keep = ask_new ("keep", "lv", restore->kept, NULL);
  thin_pool_add_tags (restore->pool, keep);
  json_object_object_add (keep, "own", own_tags (restore->pool, was));
  return restore_ask (restore, keep);
}

/* In this order every crash leaves either the disk under its name, or both it and the clone under theirs. */
static int
restore_names (const Restore *restore, json_object *report)
{
  bool kept = source_by_name (report, restore->kept) != NULL,
       there = source_by_name (report, restore->source) != NULL;
  bool fresh = source_by_name (report, restore->fresh) != NULL;
  if (!there && !kept)
    return fail (restore->call, ENOENT, "%s/%s: is not there", restore->pool->vg, restore->source);
  if (!fresh && !(kept && there)) {
    json_object *request = ask_new ("snapshot", NULL);
    thin_pool_add_tags (restore->pool, request);
    ask_add_snapshot (request, restore->image, restore->fresh);
    json_object_object_add (request, "writable", json_object_new_boolean (1));
    if (restore_ask (restore, request) < 0)
      return -1;
    fresh = true;
  }
  if (!kept) {
    if (restore_ask (restore, ask_new ("rename", "lv", restore->source, "to", restore->kept, NULL)) < 0)
      return -1;
    there = false;
  }
  if (there || !fresh)
    return 0;
  return restore_ask (restore, ask_new ("rename", "lv", restore->fresh, "to", restore->source, NULL));
}

static int
restore_run (const Restore *restore, json_object *report)
{
  if (restore_names (restore, report) < 0)
    return -1;
  json_object *already = source_by_name (report, restore->kept);
  if (restore_owner (restore, already ? already : source_by_name (report, restore->source)) < 0)
    return -1;
  json_object *idle = ask_new ("deactivate", NULL);
  ask_add_to (idle, "lvs", json_object_new_string (restore->kept));
  if (restore_ask (restore, idle) < 0)
    return -1;
  /* LVM refuses to do what is done. */
  if (already && answer_text (already, "attr")[1] == 'r')
    return 0;
  return restore_ask (restore, ask_new ("protect", "lv", restore->kept, NULL));
}

/* The guest is off meanwhile: a helper that dies, or an LVM that somebody keeps busy, does not leave it so.
 */
static int
restore_repeat (Restore *restore, const struct guardd_call *call)
{
  int result = -1;
  for (guint attempt = 1; result < 0 && attempt <= RESTORE_ATTEMPTS; attempt++) {
    restore->call = attempt < RESTORE_ATTEMPTS ? &fail_quietly : call;
    g_autoptr (json_object) report = source_report (restore->pool, restore->call);
    result = report ? restore_run (restore, report) : -1;
  }
  return result;
}

int
restore_source (void *opaque, const struct guardd_call *call, const char *path, const char *directory,
                const char *disk, const char *evidence)
{
  ThinInstance *instance = opaque;
  g_autoptr (ImageName) from = image_name_new (&instance->files, call, directory, disk);
  g_autoptr (ImageName) keep = image_name_new (&instance->files, call, evidence, disk);
  if (from == NULL || keep == NULL)
    return -1;
  Restore restore = { .pool = instance->pool,
                      .source = source_name (instance->pool, path),
                      .image = thin_pool_volume_name (instance->pool, call, from),
                      .kept = kept_name (instance->pool, call, keep) };
  restore.fresh = restore.kept ? g_strconcat (restore.kept, THIN_POOL_FRESH, NULL) : NULL;
  int result = -1;
  if (restore.source == NULL)
    fail (call, EINVAL, "%s: does not lead to a name in /dev/%s", path, instance->pool->vg);
  else if (restore.image && restore.kept)
    result = restore_repeat (&restore, call);
  g_free (restore.source);
  g_free (restore.image);
  g_free (restore.kept);
  g_free (restore.fresh);
  return result;
}

int
restore_remove_kept (ThinInstance *instance, const struct guardd_call *call, const ImageName *name)
{
  g_autofree char *kept = kept_name (instance->pool, call, name);
  return kept ? thin_pool_remove (instance->pool, call, kept) : -1;
}
