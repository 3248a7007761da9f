/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lvm/names.h"
#include "pool-private.h"

#include <errno.h>
#include <string.h>

#define PRUNE_AT 80u
#define REFUSE_AT 90u
#define IDLE_SECONDS 5u

/* --- parameters --- */

typedef struct {
  const char *vg, *lv, *id, *libexec;
  guint prune_at, refuse_at, idle_seconds;
} Parameters;

static int
read_number (const struct guardd_call *call, const struct guardd_param *param, guint *out)
{
  guint64 number = 0;
  if (!g_ascii_string_to_unsigned (param->value, 10, 1, 99, &number, NULL))
    return fail (call, EINVAL, "storage plugin lvmthin: %s = %s: wants a number from 1 to 99", param->key,
                 param->value);
  *out = (guint)number;
  return 0;
}

static int
read_one (const struct guardd_call *call, const struct guardd_param *param, Parameters *out)
{
  if (strcmp (param->key, "volume_group") == 0)
    out->vg = param->value;
  else if (strcmp (param->key, "thin_pool") == 0)
    out->lv = param->value;
  else if (strcmp (param->key, "pool_id") == 0)
    out->id = param->value;
  else if (strcmp (param->key, "libexec_dir") == 0)
    out->libexec = param->value;
  else if (strcmp (param->key, "prune_at") == 0)
    return read_number (call, param, &out->prune_at);
  else if (strcmp (param->key, "refuse_at") == 0)
    return read_number (call, param, &out->refuse_at);
  else if (strcmp (param->key, "idle_seconds") == 0)
    return read_number (call, param, &out->idle_seconds);
  else
    return fail (
        call, EINVAL,
        "storage lvmthin has no parameter \"%s\"; accepted: volume_group, thin_pool, prune_at, refuse_at, "
        "idle_seconds, pool_id, libexec_dir",
        param->key);
  return 0;
}

static int
parameters_read (const struct guardd_call *call, const struct guardd_param *params, size_t n, Parameters *out)
{
  *out = (Parameters){
    .libexec = GUARDD_LIBEXEC_DIR, .prune_at = PRUNE_AT, .refuse_at = REFUSE_AT, .idle_seconds = IDLE_SECONDS
  };
  for (size_t i = 0; i < n; i++)
    if (read_one (call, &params[i], out) < 0)
      return -1;
  if (!lvm_name_is_valid (out->vg) || !lvm_name_is_valid (out->lv))
    return fail (
        call, EINVAL,
        "storage plugin lvmthin: volume_group and thin_pool must name a thin pool of LVM (`lvs` shows "
        "them)");
  if (out->id == NULL || strspn (out->id, "0123456789abcdef") < 8)
    return fail (call, EINVAL, "storage plugin lvmthin: pool_id must begin with eight hexadecimal digits");
  if (out->prune_at >= out->refuse_at)
    return fail (call, EINVAL, "storage plugin lvmthin: prune_at = %u must be less than refuse_at = %u",
                 out->prune_at, out->refuse_at);
  return 0;
}

/* --- opening --- */

static int
pool_check_is_thin (ThinPool *pool, const struct guardd_call *call)
{
  g_autoptr (json_object) answer = NULL;
  json_object *list = NULL;
  if (ask (pool->client, call, ask_new ("report", NULL), &answer) < 0)
    return -1;
  json_object_object_get_ex (answer, "lvs", &list);
  for (size_t i = 0; list && i < json_object_array_length (list); i++) {
    json_object *volume = json_object_array_get_idx (list, i);
    /* Active, or nobody could be told how full it is. */
    if (strcmp (answer_text (volume, "name"), pool->lv) == 0 && answer_text (volume, "attr")[0] == 't')
      return ask (pool->client, call, ask_new ("activate", "lv", pool->lv, NULL), NULL);
  }
  return fail (call, ENODEV,
               "%s/%s: is no thin pool; make one with `lvcreate --type thin-pool -L SIZE -n %s %s`", pool->vg,
               pool->lv, pool->lv, pool->vg);
}

ThinPool *
thin_pool_open (const struct guardd_call *call, const char *path, const struct guardd_param *params,
                size_t n_params)
{
  Parameters read;
  if (parameters_read (call, params, n_params, &read) < 0)
    return NULL;
  ThinPool *pool = g_new0 (ThinPool, 1);
  g_autofree char *helper = g_build_filename (read.libexec, "guardd-lvm", NULL);
  pool->client = lvm_client_new (helper, read.vg, path);
  pool->vg = g_strdup (read.vg);
  pool->lv = g_strdup (read.lv);
  pool->id = g_strndup (read.id, 8);
  pool->prune_at = read.prune_at;
  pool->refuse_at = read.refuse_at;
  pool->idle_us = read.idle_seconds * G_USEC_PER_SEC;
  g_mutex_init (&pool->sources_lock);
  pool->sources = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  volumes_start (pool);
  if (pool_check_is_thin (pool, call) == 0)
    return pool;
  thin_pool_close (pool);
  return NULL;
}

void
thin_pool_close (ThinPool *pool)
{
  if (pool == NULL)
    return;
  volumes_stop (pool);
  lvm_client_free (pool->client);
  g_hash_table_unref (pool->sources);
  g_mutex_clear (&pool->sources_lock);
  g_free (pool->vg);
  g_free (pool->lv);
  g_free (pool->id);
  g_free (pool);
}

/* --- names --- */

char *
thin_pool_prefix (const ThinPool *pool, const char *domain)
{
  g_auto (GStrv) parts = g_strsplit (domain, "-", -1);
  g_autofree char *plain = g_strjoinv ("", parts);
  return g_strdup_printf ("guardd-%s-%s-", pool->id, plain);
}

/* ".new-00000042" will be "00000042". */
char *
thin_pool_volume_name (const ThinPool *pool, const struct guardd_call *call, const ImageName *name)
{
  const char *number = name->snapshot[0] == '.' ? strrchr (name->snapshot, '-') : NULL;
  g_autofree char *prefix = thin_pool_prefix (pool, name->domain);
  g_autofree char *lv = g_strdup_printf ("%s%s-%s", prefix, number ? number + 1 : name->snapshot, name->disk);
  g_autofree char *longest = g_strconcat (lv, THIN_POOL_KEPT THIN_POOL_FRESH, NULL);
  if (lvm_name_is_valid (longest) && lvm_names_fit (pool->vg, longest))
    return g_steal_pointer (&lv);
  fail (call, ENAMETOOLONG, "%s, disk %s: volume group %s and %s are too long a name for a device",
        name->path, name->disk, pool->vg, lv);
  return NULL;
}

char *
thin_pool_full_name (const ThinPool *pool, const char *lv)
{
  return g_strdup_printf ("%s/%s", pool->vg, lv);
}

void
thin_pool_add_tags (const ThinPool *pool, json_object *request)
{
  g_autofree char *tag = g_strconcat ("guardd-", pool->id, NULL);
  ask_add_to (request, "tags", json_object_new_string ("guardd"));
  ask_add_to (request, "tags", json_object_new_string (tag));
}

/* --- room --- */

static guint
percent (guint64 used, guint64 of)
{
  return of ? (guint)((double)used / (double)of * 100) : 100;
}

static int
usage_ask (ThinPool *pool, const struct guardd_call *call, json_object **answer)
{
  return ask (pool->client, call, ask_new ("usage", "pool", pool->lv, NULL), answer);
}

int
thin_pool_check_room (ThinPool *pool, const struct guardd_call *call)
{
  g_autoptr (json_object) usage = NULL;
  json_object *writable = NULL;
  if (usage_ask (pool, call, &usage) < 0)
    return -1;
  guint data = percent (answer_number (usage, "data_used_bytes"), answer_number (usage, "data_bytes"));
  guint metadata
      = percent (answer_number (usage, "metadata_used_bytes"), answer_number (usage, "metadata_bytes"));
  if (data >= pool->refuse_at || metadata >= pool->refuse_at)
    return fail (
        call, ENOSPC,
        "thin pool %s/%s: data %u%%, metadata %u%% full; nothing is stored from %u%% on (refuse_at), so "
        "that the guests in it can still write; remove snapshots or extend it: `lvextend -L +SIZE %s/%s%s`",
        pool->vg, pool->lv, data, metadata, pool->refuse_at, pool->vg, pool->lv,
        metadata >= pool->refuse_at ? "_tmeta" : "");
  json_object_object_get_ex (usage, "writable", &writable);
  if (!json_object_get_boolean (writable))
    return fail (call, ENOSPC, "thin pool %s/%s: the kernel has stopped it (`lvs -o+lv_health_status`)",
                 pool->vg, pool->lv);
  return 0;
}

/* What lies below refuse_at, in data or, if less is left of that, metadata. */
int
thin_pool_space (ThinPool *pool, const struct guardd_call *call, struct guardd_space *space)
{
  g_autoptr (json_object) usage = NULL;
  json_object *writable = NULL;
  if (usage_ask (pool, call, &usage) < 0)
    return -1;
  guint64 data = answer_number (usage, "data_bytes"), used = answer_number (usage, "data_used_bytes");
  guint metadata
      = percent (answer_number (usage, "metadata_used_bytes"), answer_number (usage, "metadata_bytes"));
  json_object_object_get_ex (usage, "writable", &writable);
  bool takes = metadata < pool->refuse_at && json_object_get_boolean (writable);
  space->size_bytes = data / 100 * pool->refuse_at;
  space->free_bytes = takes && used < space->size_bytes ? space->size_bytes - used : 0;
  space->prune = percent (used, data) >= pool->prune_at || metadata >= pool->prune_at;
  return 0;
}

guint64
thin_pool_discard_bytes (ThinPool *pool)
{
  g_autoptr (json_object) usage = NULL;
  json_object *discards = NULL;
  if (usage_ask (pool, &fail_quietly, &usage) < 0)
    return 0;
  json_object_object_get_ex (usage, "discards", &discards);
  return json_object_get_boolean (discards) ? answer_number (usage, "chunk_bytes") : 0;
}

/* --- removing --- */

int
thin_pool_remove (ThinPool *pool, const struct guardd_call *call, const char *lv)
{
  g_mutex_lock (&pool->lock);
  bool free = volumes_forget (pool, lv);
  int result = 0;
  if (free) {
    json_object *request = ask_new ("remove", NULL);
    ask_add_to (request, "lvs", json_object_new_string (lv));
    result = ask (pool->client, call, request, NULL);
  }
  g_mutex_unlock (&pool->lock);
  return result;
}

/* lvremove takes some, and a request is bounded. */
#define BATCH 50u

static int
sweep_ask (ThinPool *pool, const struct guardd_call *call, const char *op, GPtrArray *names)
{
  for (guint done = 0; done < names->len; done += BATCH) {
    json_object *request = ask_new (op, NULL);
    for (guint i = done; i < MIN (names->len, done + BATCH); i++)
      ask_add_to (request, "lvs", json_object_new_string (names->pdata[i]));
    if (ask (pool->client, call, request, NULL) < 0)
      return -1;
  }
  return 0;
}

static bool
has_tag (json_object *volume, const char *tag)
{
  g_auto (GStrv) tags = g_strsplit (answer_text (volume, "tags"), ",", -1);
  return g_strv_contains ((const char *const *)tags, tag);
}

int
thin_pool_sweep (ThinPool *pool, const struct guardd_call *call, const char *prefix, GHashTable *keep)
{
  g_autoptr (json_object) answer = NULL;
  g_autoptr (GPtrArray) orphans = g_ptr_array_new (), idle = g_ptr_array_new ();
  g_autofree char *tag = g_strconcat ("guardd-", pool->id, NULL);
  json_object *list = NULL;
  if (ask (pool->client, call, ask_new ("report", NULL), &answer) < 0)
    return -1;
  g_mutex_lock (&pool->lock);
  json_object_object_get_ex (answer, "lvs", &list);
  for (size_t i = 0; list && i < json_object_array_length (list); i++) {
    json_object *volume = json_object_array_get_idx (list, i);
    const char *name = answer_text (volume, "name"), *attr = answer_text (volume, "attr");
    /* The tag and the name: neither alone makes it ours. */
    if (!g_str_has_prefix (name, prefix) || !has_tag (volume, tag) || !volumes_forget (pool, name))
      continue;
    if (!g_hash_table_contains (keep, name))
      g_ptr_array_add (orphans, (char *)name);
    else if (strlen (attr) > 4 && attr[4] == 'a')
      g_ptr_array_add (idle, (char *)name);
  }
  int result = sweep_ask (pool, call, "remove", orphans);
  if (result == 0)
    result = sweep_ask (pool, call, "deactivate", idle);
  g_mutex_unlock (&pool->lock);
  return result;
}
