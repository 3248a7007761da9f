/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "settle.h"

#include "base/json.h"
#include "mapper.h"
#include "report.h"

#include <string.h>

#define PREFIX "guardd-"
#define TAG "guardd"

static const char *
text_of (json_object *volume, const char *key)
{
  const char *text = "";
  json_get_string (volume, key, &text, NULL);
  return text;
}

static guint64
number_of (json_object *volume, const char *key)
{
  guint64 number = 0;
  json_get_u64 (volume, key, &number, NULL);
  return number;
}

static json_object *
find_pool (json_object *lvs, const char *name)
{
  for (size_t i = 0; i < json_object_array_length (lvs); i++) {
    json_object *volume = json_object_array_get_idx (lvs, i);
    if (text_of (volume, "attr")[0] == 't' && strcmp (text_of (volume, "name"), name) == 0)
      return volume;
  }
  return NULL;
}

/* Name and tag: neither alone makes it ours; and nobody has it active. */
static bool
is_ours (json_object *volume)
{
  const char *attr = text_of (volume, "attr");
  g_auto (GStrv) tags = g_strsplit (text_of (volume, "tags"), ",", -1);
  return attr[0] == 'V' && strlen (attr) > 4 && attr[4] == '-'
         && g_str_has_prefix (text_of (volume, "name"), PREFIX)
         && g_strv_contains ((const char *const *)tags, TAG);
}

/*
 * LVM writes down that a thin volume is to be made, with the pool's transaction one higher, has the kernel
 * make it, and then has the kernel count the transaction.  Whoever dies between the last two leaves a pool
 * that LVM refuses to change from then on, for the volume is there already: for everybody, until it is gone.
 * What LVM then makes again under that name is a copy of another instant; but who asked for it was told
 * nothing.
 *
 * A volume has the number that its pool had before it: where that is the kernel's, and the pool has the next
 * one, it is the one that is to be made.
 */
static bool
settle_volume (const char *vg, json_object *lvs, json_object *volume, GError **error)
{
  PoolUsage usage;
  const char *pool = text_of (volume, "pool");
  json_object *row = find_pool (lvs, pool);
  guint64 begun = number_of (volume, "transaction_id");
  if (row == NULL || number_of (row, "transaction_id") != begun + 1)
    return true;
  /* A pool that is not active takes no message. */
  if (!mapper_usage (vg, pool, &usage, NULL) || usage.transaction_id != begun)
    return true;
  return mapper_forget_volume (vg, pool, number_of (volume, "thin_id"), error);
}

static bool
settle_volumes (const char *vg, GError **error)
{
  json_object *lvs = NULL;
  g_autoptr (json_object) report = json_object_new_object ();
  if (!report_group (vg, report, error) || !json_get_array (report, "lvs", &lvs, error))
    return false;
  for (size_t i = 0; i < json_object_array_length (lvs); i++) {
    json_object *volume = json_object_array_get_idx (lvs, i);
    if (is_ours (volume) && !settle_volume (vg, lvs, volume, error))
      return false;
  }
  return true;
}

GPtrArray *
settle_group (const char *vg, GError **error)
{
  /* An operator's command suspends devices too, for a moment and with the group's lock, for which asking
   * waits: what is half done while that is free is nobody's. */
  g_autofree char *uuid = report_uuid (vg, error);
  /* First: LVM's report would wait for a device that is suspended, for ever. */
  g_autoptr (GPtrArray) resumed = uuid ? mapper_settle (vg, uuid, error) : NULL;
  return resumed && settle_volumes (vg, error) ? g_steal_pointer (&resumed) : NULL;
}
