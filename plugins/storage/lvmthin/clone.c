/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clone.h"

#include "pool-private.h"
#include "writer.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#define MAPPER "/dev/mapper/"

/* --- which volume a path is --- */

static json_object *
find_by_name (json_object *report, const char *name)
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
is_device (const ThinPool *pool, json_object *volume, dev_t device)
{
  struct stat st;
  g_autofree char *path = volume_device_path (pool, answer_text (volume, "name"));
  return answer_text (volume, "attr")[0] == 'V' && stat (path, &st) == 0 && S_ISBLK (st.st_mode)
         && st.st_rdev == device;
}

static json_object *
find_by_device (const ThinPool *pool, json_object *report, dev_t device)
{
  json_object *list = NULL;
  json_object_object_get_ex (report, "lvs", &list);
  for (size_t i = 0; list && i < json_object_array_length (list); i++) {
    json_object *volume = json_object_array_get_idx (list, i);
    if (is_device (pool, volume, device))
      return volume;
  }
  return NULL;
}

/* The report's. */
static json_object *
find_source (const ThinPool *pool, const struct guardd_call *call, json_object *report, const char *path)
{
  struct stat st;
  if (stat (path, &st) < 0) {
    fail (call, errno, "%s: cannot look at it", path);
    return NULL;
  }
  json_object *volume = S_ISBLK (st.st_mode) ? find_by_device (pool, report, st.st_rdev) : NULL;
  if (volume == NULL)
    fail (call, ENODEV, "%s: is no thin volume of volume group %s", path, pool->vg);
  else if (strcmp (answer_text (volume, "pool"), pool->lv) != 0)
    fail (call, EXDEV, "%s: is in thin pool %s/%s, and guardd's pool is in %s/%s", path, pool->vg,
          answer_text (volume, "pool"), pool->vg, pool->lv);
  else if (g_str_has_prefix (answer_text (volume, "name"), "guardd-"))
    fail (call, EINVAL, "%s: is guardd's own", path);
  else
    return volume;
  return NULL;
}

static json_object *
get_report (ThinPool *pool, const struct guardd_call *call)
{
  json_object *report = NULL;
  return ask (pool->client, call, ask_new ("report", NULL), &report) == 0 ? report : NULL;
}

int
clone_probe (void *opaque, const struct guardd_call *call, const char *path, const char *format,
             struct guardd_source_info *info)
{
  ThinPool *pool = ((ThinInstance *)opaque)->pool;
  if (strcmp (format, "raw") != 0)
    return fail (call, EINVAL, "%s: is of format %s, and only raw volumes can be cloned", path, format);
  g_autoptr (json_object) report = get_report (pool, call);
  json_object *volume = report ? find_source (pool, call, report, path) : NULL;
  if (volume == NULL)
    return -1;
  info->size = answer_number (volume, "size");
  info->consistent_alone = 1; /* device-mapper suspends it */
  return 0;
}

/* --- cloning --- */

static void
add_tags (const ThinPool *pool, json_object *request)
{
  g_autofree char *tag = g_strconcat ("guardd-", pool->id, NULL);
  ask_add_to (request, "tags", json_object_new_string ("guardd"));
  ask_add_to (request, "tags", json_object_new_string (tag));
}

static void
add_snapshot (json_object *request, const char *origin, const char *lv)
{
  json_object *one = json_object_new_object ();
  json_object_object_add (one, "origin", json_object_new_string (origin));
  json_object_object_add (one, "lv", json_object_new_string (lv));
  ask_add_to (request, "snapshots", one);
}

static int
clone_all (ThinInstance *instance, const struct guardd_call *call, const char *const *paths, size_t n,
           void *const *writers)
{
  ThinPool *pool = instance->pool;
  g_autoptr (json_object) report = get_report (pool, call);
  if (report == NULL)
    return -1;
  json_object *request = ask_new ("snapshot", NULL);
  add_tags (pool, request);
  for (size_t i = 0; i < n; i++) {
    json_object *source = find_source (pool, call, report, paths[i]);
    if (source == NULL) {
      json_object_put (request);
      return -1;
    }
    add_snapshot (request, answer_text (source, "name"), writer_record (writers[i])->lv);
  }
  return ask (pool->client, call, request, NULL);
}

int
clone_sources (void *opaque, const struct guardd_call *call, const struct guardd_image_spec *specs,
               const char *const *paths, size_t n, void **writers)
{
  ThinInstance *instance = opaque;
  size_t made = 0;
  int result = thin_pool_check_room (instance->pool, call);
  while (result == 0 && made < n) {
    writers[made] = writer_new_cloned (instance, call, &specs[made]);
    result = writers[made] ? 0 : -1;
    made += result == 0;
  }
  if (result == 0)
    result = clone_all (instance, call, paths, n, writers);
  for (size_t i = 0; result < 0 && i < made; i++)
    writer_abort (writers[i]);
  return result;
}

/* --- what it became --- */

/* As volume_identity() has it, from the UUID that LVM reports. */
static void
identity_of (json_object *volume, guint8 *identity)
{
  guint8 hash[GUARDD_HASH_SIZE];
  g_auto (GStrv) parts = g_strsplit (answer_text (volume, "uuid"), "-", -1);
  g_autofree char *plain = g_strjoinv ("", parts);
  EVP_Digest (plain, strlen (plain), hash, NULL, EVP_sha256 (), NULL);
  memcpy (identity, hash, INDEX_IDENTITY_SIZE);
}

static void
add_blocks (GArray *entries, guint64 offset, guint64 length, guint64 blocks)
{
  guint64 first = offset / GUARDD_BLOCK_SIZE;
  guint64 end = MIN (blocks, (offset + length + GUARDD_BLOCK_SIZE - 1) / GUARDD_BLOCK_SIZE);
  if (entries->len > 0)
    first = MAX (first, g_array_index (entries, IndexEntry, entries->len - 1).block + 1);
  for (guint64 block = first; block < end; block++) {
    IndexEntry entry = { .block = block, .offset = entry_offset (block) };
    g_array_append_val (entries, entry);
  }
}

/* NULL: nobody can say. */
static GArray *
find_changes (const Record *record, json_object *before, json_object *now)
{
  ThinPool *pool = record->instance->pool;
  g_autoptr (json_object) answer = NULL;
  json_object *extents = NULL, *request = ask_new ("delta", "pool", pool->lv, NULL);
  ask_add_number (request, "from", answer_number (before, "thin_id"));
  ask_add_number (request, "to", answer_number (now, "thin_id"));
  if (ask_for (pool->client, &fail_quietly, ASK_DELTA_DEADLINE_MS, request, &answer) < 0
      || !json_object_object_get_ex (answer, "extents", &extents))
    return NULL;
  GArray *entries = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  for (size_t i = 0; i < json_object_array_length (extents); i++) {
    json_object *pair = json_object_array_get_idx (extents, i);
    add_blocks (entries, (guint64)json_object_get_int64 (json_object_array_get_idx (pair, 0)),
                (guint64)json_object_get_int64 (json_object_array_get_idx (pair, 1)),
                index_blocks (record->facts.size));
  }
  return entries;
}

int
clone_seal (Record *record, const struct guardd_call *call, struct guardd_image_info *info)
{
  g_autoptr (json_object) report = get_report (record->instance->pool, call);
  json_object *now = report ? find_by_name (report, record->lv) : NULL;
  if (now == NULL)
    return report ? fail (call, ENOENT, "%s: the clone %s is gone", record->name->path, record->lv) : -1;
  identity_of (now, record->facts.identity);
  json_object *before = record->parent ? find_by_name (report, record->parent) : NULL;
  g_autoptr (GArray) entries = before ? find_changes (record, before, now) : NULL;
  if (entries == NULL && record->base == NULL && record_make_base (record, call) < 0)
    return -1;
  bool unread = entries == NULL;
  if (unread)
    entries = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  return record_write (record, call, NULL, entries, unread, info);
}

/* --- rollback --- */

/* "web" of "/dev/vg0/web" and "/dev/mapper/vg0-web", whether it is there or not; g_free(); NULL: neither. */
static char *
name_of_path (const ThinPool *pool, const char *path)
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

static char *
kept_name (const ThinPool *pool, const struct guardd_call *call, const ImageName *evidence)
{
  g_autofree char *lv = thin_pool_volume_name (pool, call, evidence);
  return lv ? g_strconcat (lv, "-kept", NULL) : NULL;
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

/* In this order every crash leaves either the disk under its name, or both it and the clone under theirs. */
static int
restore_run (const Restore *restore, json_object *report)
{
  bool kept = find_by_name (report, restore->kept) != NULL,
       there = find_by_name (report, restore->source) != NULL;
  bool fresh = find_by_name (report, restore->fresh) != NULL;
  if (!there && !kept)
    return fail (restore->call, ENOENT, "%s/%s: is not there", restore->pool->vg, restore->source);
  if (!fresh && !(kept && there)) {
    json_object *request = ask_new ("snapshot", NULL);
    add_tags (restore->pool, request);
    add_snapshot (request, restore->image, restore->fresh);
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
  if (!there && fresh
      && restore_ask (restore, ask_new ("rename", "lv", restore->fresh, "to", restore->source, NULL)) < 0)
    return -1;
  json_object *adopt = ask_new ("adopt", "lv", restore->source, NULL);
  add_tags (restore->pool, adopt);
  json_object *idle = ask_new ("deactivate", NULL);
  ask_add_to (idle, "lvs", json_object_new_string (restore->kept));
  if (restore_ask (restore, adopt) < 0 || restore_ask (restore, idle) < 0)
    return -1;
  /* LVM refuses to do what is done. */
  json_object *already = find_by_name (report, restore->kept);
  if (already && answer_text (already, "attr")[1] == 'r')
    return 0;
  return restore_ask (restore, ask_new ("protect", "lv", restore->kept, NULL));
}

int
clone_restore (void *opaque, const struct guardd_call *call, const char *path, const char *directory,
               const char *disk, const char *evidence)
{
  ThinInstance *instance = opaque;
  g_autoptr (ImageName) from = image_name_new (&instance->files, call, directory, disk);
  g_autoptr (ImageName) keep = image_name_new (&instance->files, call, evidence, disk);
  g_autoptr (json_object) report = from && keep ? get_report (instance->pool, call) : NULL;
  if (report == NULL)
    return -1;
  Restore restore = { .pool = instance->pool,
                      .call = call,
                      .source = name_of_path (instance->pool, path),
                      .image = thin_pool_volume_name (instance->pool, call, from),
                      .kept = kept_name (instance->pool, call, keep) };
  restore.fresh = restore.kept ? g_strconcat (restore.kept, "-new", NULL) : NULL;
  int result = -1;
  if (restore.source == NULL)
    fail (call, EINVAL, "%s: is not below /dev/%s", path, instance->pool->vg);
  else if (restore.image && restore.kept)
    result = restore_run (&restore, report);
  g_free (restore.source);
  g_free (restore.image);
  g_free (restore.kept);
  g_free (restore.fresh);
  return result;
}

int
clone_remove_kept (ThinInstance *instance, const struct guardd_call *call, const ImageName *name)
{
  g_autofree char *kept = kept_name (instance->pool, call, name);
  return kept ? thin_pool_remove (instance->pool, call, kept) : -1;
}
