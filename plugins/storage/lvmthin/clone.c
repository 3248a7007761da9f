/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clone.h"

#include "pool-private.h"
#include "source.h"
#include "writer.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

int
clone_probe (void *opaque, const struct guardd_call *call, const char *path, const char *format,
             struct guardd_source_info *info)
{
  ThinPool *pool = ((ThinInstance *)opaque)->pool;
  if (strcmp (format, "raw") != 0)
    return fail (call, EINVAL, "%s: is of format %s, and only raw volumes can be cloned", path, format);
  g_autoptr (json_object) report = source_report (pool, call);
  json_object *volume = report ? source_find (pool, call, report, path) : NULL;
  if (volume == NULL)
    return -1;
  info->size = answer_number (volume, "size");
  info->consistent_alone = 1; /* device-mapper suspends it */
  /* "/dev/dm-3" stays with the volume that is renamed */
  g_autofree char *name = source_name (pool, path);
  info->stays = name == NULL || strcmp (name, answer_text (volume, "name")) != 0;
  return 0;
}

/* --- cloning --- */

/* The guest may be standing still: LVM is asked only where what the probe has found holds no more.  report:
 * NULL until then.  g_free(). */
static char *
name_of_source (ThinPool *pool, const struct guardd_call *call, json_object **report, const char *path)
{
  char *name = source_recall (pool, path);
  if (name != NULL)
    return name;
  if (*report == NULL)
    *report = source_report (pool, call);
  json_object *volume = *report ? source_find (pool, call, *report, path) : NULL;
  return volume ? g_strdup (answer_text (volume, "name")) : NULL;
}

static int
clone_all (ThinInstance *instance, const struct guardd_call *call, const char *const *paths, size_t n,
           void *const *writers)
{
  ThinPool *pool = instance->pool;
  g_autoptr (json_object) report = NULL;
  g_autoptr (json_object) request = ask_new ("snapshot", NULL);
  thin_pool_add_tags (pool, request);
  for (size_t i = 0; i < n; i++) {
    g_autofree char *name = name_of_source (pool, call, &report, paths[i]);
    if (name == NULL)
      return -1;
    ask_add_snapshot (request, name, writer_record (writers[i])->lv);
  }
  return ask (pool->client, call, g_steal_pointer (&request), NULL);
}

int
clone_sources (void *opaque, const struct guardd_call *call, const struct guardd_image_spec *specs,
               const char *const *paths, size_t n, void **writers)
{
  ThinInstance *instance = opaque;
  size_t made = 0;
  int result = 0;
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
  g_autoptr (json_object) report = source_report (record->instance->pool, call);
  json_object *now = report ? source_by_name (report, record->lv) : NULL;
  if (now == NULL)
    return report ? fail (call, ENOENT, "%s: the clone %s is gone", record->name->path, record->lv) : -1;
  identity_of (now, record->facts.identity);
  json_object *before = record->parent ? source_by_name (report, record->parent) : NULL;
  g_autoptr (GArray) entries = before ? find_changes (record, before, now) : NULL;
  if (entries == NULL && record->base == NULL && record_make_base (record, call) < 0)
    return -1;
  bool unread = entries == NULL;
  if (unread)
    entries = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  return record_write (record, call, NULL, entries, unread, info);
}
