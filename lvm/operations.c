/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operations.h"

#include "base/json.h"
#include "delta.h"
#include "engine.h"
#include "mapper.h"
#include "names.h"
#include "report.h"
#include "settle.h"

#include <gio/gio.h>
#include <string.h>

#define LIST_MAX 256u
#define SECTOR 512u
/* lvm2_run() takes 64 in a command. */
#define WORDS_MAX 32u
/* -A n: or every snapshot would leave a copy of the group's metadata in /etc/lvm/archive. */
#define QUIETLY "-A n -y"

/* --- arguments: nothing that was not checked gets into a command line --- */

static bool
refuse (GError **error, const char *key)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "\"%s\" is no name that LVM would take", key);
  return false;
}

static bool
get_name (json_object *request, const char *key, const char **name, GError **error)
{
  return json_get_string (request, key, name, error) && (lvm_name_is_valid (*name) || refuse (error, key));
}

static bool
get_volume (json_object *request, const char **vg, const char *key, const char **lv, GError **error)
{
  if (!get_name (request, "vg", vg, error) || !get_name (request, key, lv, error))
    return false;
  return lvm_names_fit (*vg, *lv) || refuse (error, key);
}

/* "vg/a vg/b"; g_free().  NULL: one is none. */
static char *
get_volumes (json_object *request, const char **vg, GError **error)
{
  json_object *list = NULL;
  g_autoptr (GString) words = g_string_new (NULL);
  if (!get_name (request, "vg", vg, error) || !json_get_array (request, "lvs", &list, error))
    return NULL;
  size_t n = json_object_array_length (list);
  for (size_t i = 0; i < n && i < LIST_MAX; i++) {
    const char *lv = json_object_get_string (json_object_array_get_idx (list, i));
    if (!lvm_name_is_valid (lv) || !lvm_names_fit (*vg, lv)) {
      refuse (error, "lvs");
      return NULL;
    }
    g_string_append_printf (words, "%s%s/%s", i ? " " : "", *vg, lv);
  }
  if (n > 0 && n <= LIST_MAX)
    return g_string_free (g_steal_pointer (&words), FALSE);
  refuse (error, "lvs");
  return NULL;
}

/* Adds a word for each of a list of tags, "--addtag=a". */
static bool
get_tags (json_object *request, const char *key, const char *option, GPtrArray *words, GError **error)
{
  json_object *list = NULL;
  if (!json_get_array (request, key, &list, error))
    return false;
  for (size_t i = 0; i < json_object_array_length (list) && i < LIST_MAX; i++) {
    const char *tag = json_object_get_string (json_object_array_get_idx (list, i));
    if (!lvm_tag_is_valid (tag))
      return refuse (error, key);
    g_ptr_array_add (words, g_strdup_printf ("--%s=%s", option, tag));
  }
  return true;
}

/* " first second" of at most `count` words from `from` on; g_free() */
static char *
words_join (const GPtrArray *words, guint from, guint count)
{
  GString *text = g_string_new (NULL);
  for (guint i = from; i < words->len && i - from < count; i++)
    g_string_append_printf (text, " %s", (const char *)words->pdata[i]);
  return g_string_free (text, FALSE);
}

/* " --addtag=a --addtag=b"; g_free() */
static char *
get_new_tags (json_object *request, GError **error)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  return get_tags (request, "tags", "addtag", words, error) ? words_join (words, 0, WORDS_MAX) : NULL;
}

/* Bytes, in whole sectors: LVM takes no other size, and rounds it up to whole extents. */
static bool
get_size (json_object *request, guint64 *size, GError **error)
{
  if (!json_get_u64 (request, "size", size, error))
    return false;
  *size = (*size + SECTOR - 1) / SECTOR * SECTOR;
  return *size > 0 || refuse (error, "size");
}

/* --- looking --- */

static bool
op_report (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL;
  return get_name (request, "vg", &vg, error) && report_group (vg, answer, error);
}

static bool
op_usage (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL, *pool = NULL;
  PoolUsage usage;
  if (!get_volume (request, &vg, "pool", &pool, error) || !mapper_usage (vg, pool, &usage, error))
    return false;
  json_add_u64 (answer, "data_bytes", usage.data_bytes);
  json_add_u64 (answer, "data_used_bytes", usage.data_used_bytes);
  json_add_u64 (answer, "metadata_bytes", usage.metadata_bytes);
  json_add_u64 (answer, "metadata_used_bytes", usage.metadata_used_bytes);
  json_add_u64 (answer, "chunk_bytes", usage.chunk_bytes);
  json_add_bool (answer, "discards", usage.discards);
  json_add_bool (answer, "writable", usage.writable);
  return true;
}

static bool
op_delta (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL, *pool = NULL;
  guint64 from = 0, to = 0;
  PoolUsage usage;
  if (!get_volume (request, &vg, "pool", &pool, error) || !json_get_u64 (request, "from", &from, error)
      || !json_get_u64 (request, "to", &to, error) || !mapper_usage (vg, pool, &usage, error))
    return false;
  g_autoptr (GArray) extents = delta_find (vg, pool, from, to, error);
  if (extents == NULL)
    return false;
  json_object *list = json_object_new_array_ext ((int)extents->len);
  for (guint i = 0; i < extents->len; i++) {
    const DeltaExtent *extent = &g_array_index (extents, DeltaExtent, i);
    json_object *pair = json_object_new_array_ext (2);
    json_object_array_add (pair, json_object_new_int64 ((gint64)(extent->first * usage.chunk_bytes)));
    json_object_array_add (pair, json_object_new_int64 ((gint64)(extent->count * usage.chunk_bytes)));
    json_object_array_add (list, pair);
  }
  json_object_object_add (answer, "extents", list);
  return true;
}

/* --- making --- */

static bool
op_create (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL, *pool = NULL, *lv = NULL;
  guint64 size = 0;
  g_autofree char *tags = get_new_tags (request, error);
  return tags && get_volume (request, &vg, "pool", &pool, error)
         && get_volume (request, &vg, "lv", &lv, error) && get_size (request, &size, error)
         && engine_run (NULL, error,
                        "lvcreate " QUIETLY " -W n -k y -a y -K -V %" G_GUINT64_FORMAT "b -T %s/%s -n %s%s",
                        size, vg, pool, lv, tags);
}

static bool
snapshot_one (json_object *item, const char *vg, const char *options, GError **error)
{
  const char *origin = NULL, *lv = NULL;
  if (!get_name (item, "origin", &origin, error) || !get_name (item, "lv", &lv, error))
    return false;
  if (!lvm_names_fit (vg, lv))
    return refuse (error, "lv");
  return engine_run (NULL, error, "lvcreate " QUIETLY " -s -k y -n %s %s/%s %s", lv, vg, origin, options);
}

static void
snapshots_undo (json_object *list, size_t made, const char *vg)
{
  for (size_t i = 0; i < made; i++) {
    const char *lv = NULL;
    if (json_get_string (json_object_array_get_idx (list, i), "lv", &lv, NULL))
      engine_run (NULL, NULL, "lvremove " QUIETLY " -f %s/%s", vg, lv);
  }
}

static bool
op_snapshot (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL;
  bool active = false, writable = false, ok = true;
  json_object *list = NULL;
  g_autofree char *tags = get_new_tags (request, error);
  if (tags == NULL || !get_name (request, "vg", &vg, error)
      || !json_get_array (request, "snapshots", &list, error)
      || !json_opt_bool (request, "active", &active, error)
      || !json_opt_bool (request, "writable", &writable, error))
    return false;
  g_autofree char *options
      = g_strdup_printf ("-p %s %s%s", writable ? "rw" : "r", active ? "-a y -K" : "-a n", tags);
  size_t n = MIN (json_object_array_length (list), LIST_MAX), made = 0;
  for (; made < n && ok; made += ok)
    ok = snapshot_one (json_object_array_get_idx (list, made), vg, options, error);
  if (!ok)
    snapshots_undo (list, made, vg);
  return ok;
}

static bool
op_extend (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL, *lv = NULL;
  guint64 size = 0;
  return get_volume (request, &vg, "lv", &lv, error) && get_size (request, &size, error)
         && engine_run (NULL, error, "lvextend " QUIETLY " -L %" G_GUINT64_FORMAT "b %s/%s", size, vg, lv);
}

/* --- changing --- */

static bool
op_activate (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL, *lv = NULL;
  return get_volume (request, &vg, "lv", &lv, error)
         && engine_run (NULL, error, "lvchange " QUIETLY " -a y -K %s/%s", vg, lv);
}

static bool
op_protect (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL, *lv = NULL;
  return get_volume (request, &vg, "lv", &lv, error)
         && engine_run (NULL, error, "lvchange " QUIETLY " -p r %s/%s", vg, lv);
}

/* The tags of one list go and those of another come; skip: "y" or "n", to be passed over by `vgchange -ay`.
 */
static bool
change_owner (json_object *request, const char *add, const char *remove, const char *skip, GError **error)
{
  const char *vg = NULL, *lv = NULL;
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  bool ok = get_volume (request, &vg, "lv", &lv, error) && get_tags (request, add, "addtag", words, error)
            && get_tags (request, remove, "deltag", words, error);
  for (guint done = 0; ok && done < words->len; done += WORDS_MAX) {
    g_autofree char *some = words_join (words, done, WORDS_MAX);
    ok = engine_run (NULL, error, "lvchange " QUIETLY " -k %s%s %s/%s", skip, some, vg, lv);
  }
  return ok;
}

/* A clone becomes an operator's own, and active. */
static bool
op_adopt (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL, *lv = NULL;
  return change_owner (request, "own", "tags", "n", error) && get_volume (request, &vg, "lv", &lv, error)
         && engine_run (NULL, error, "lvchange " QUIETLY " -a y %s/%s", vg, lv);
}

/* An operator's own becomes one of ours. */
static bool
op_keep (json_object *request, json_object *answer, GError **error)
{
  return change_owner (request, "tags", "own", "y", error);
}

static bool
op_rename (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL, *lv = NULL, *to = NULL;
  return get_volume (request, &vg, "lv", &lv, error) && get_volume (request, &vg, "to", &to, error)
         && engine_run (NULL, error, "lvrename " QUIETLY " %s %s %s", vg, lv, to);
}

/* What one command does to a list of volumes; that none of them is there is done too, whoever did it. */
static bool
change_all (json_object *request, const char *command, GError **error)
{
  const char *vg = NULL;
  g_autofree char *words = get_volumes (request, &vg, error);
  if (words == NULL)
    return false;
  g_autoptr (GError) failure = NULL;
  if (engine_run (NULL, &failure, "%s %s", command, words))
    return true;
  json_object *list = NULL;
  bool any = true;
  if (json_get_array (request, "lvs", &list, error) && report_has_any (vg, list, &any, error) && !any)
    return true;
  if (error == NULL || *error == NULL)
    g_propagate_error (error, g_steal_pointer (&failure));
  return false;
}

static bool
op_deactivate (json_object *request, json_object *answer, GError **error)
{
  return change_all (request, "lvchange " QUIETLY " -a n", error);
}

static bool
op_remove (json_object *request, json_object *answer, GError **error)
{
  return change_all (request, "lvremove " QUIETLY " -f", error);
}

static bool
op_settle (json_object *request, json_object *answer, GError **error)
{
  const char *vg = NULL;
  if (!get_name (request, "vg", &vg, error))
    return false;
  g_autoptr (GPtrArray) resumed = settle_group (vg, error);
  if (resumed == NULL)
    return false;
  json_object *list = json_object_new_array ();
  for (guint i = 0; i < resumed->len; i++)
    json_object_array_add (list, json_object_new_string (resumed->pdata[i]));
  json_object_object_add (answer, "resumed", list);
  return true;
}

/* --- */

static const struct {
  const char *name;
  bool (*run) (json_object *request, json_object *answer, GError **error);
} operations[] = {
  { "report", op_report },         { "usage", op_usage },     { "create", op_create },
  { "snapshot", op_snapshot },     { "extend", op_extend },   { "activate", op_activate },
  { "deactivate", op_deactivate }, { "protect", op_protect }, { "rename", op_rename },
  { "adopt", op_adopt },           { "remove", op_remove },   { "delta", op_delta },
  { "settle", op_settle },         { "keep", op_keep },
};

bool
operation_run (json_object *request, json_object *answer, GError **error)
{
  const char *op = NULL;
  if (!json_get_string (request, "op", &op, error))
    return false;
  for (guint i = 0; i < G_N_ELEMENTS (operations); i++)
    if (strcmp (op, operations[i].name) == 0)
      return operations[i].run (request, answer, error);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "no such operation");
  return false;
}
