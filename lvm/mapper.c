/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mapper.h"

#include <errno.h>
#include <gio/gio.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define SECTOR 512u
#define METADATA_BLOCK 4096u
#define DEVICES_MAX 20000u

typedef struct dm_task dm_task;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (dm_task, dm_task_destroy)

G_GNUC_PRINTF (5, 6)
static void
log_nothing (int level, const char *file, int line, int dm_errno_or_class, const char *format, ...)
{
}

void
mapper_start (void)
{
  dm_log_with_errno_init (log_nothing);
}

static char *
device_name (const char *vg, const char *lv, const char *layer)
{
  struct dm_pool *memory = dm_pool_create ("names", 1024);
  char *name = memory ? g_strdup (dm_build_dm_name (memory, vg, lv, layer)) : NULL;
  if (memory)
    dm_pool_destroy (memory);
  return name;
}

/* A pool that no volume has ever used has no layer of its own. */
static char *
pool_device (const char *vg, const char *pool)
{
  struct dm_info info = { 0 };
  char *layered = device_name (vg, pool, "tpool");
  struct dm_task *task = dm_task_create (DM_DEVICE_INFO);
  bool there = task && dm_task_set_name (task, layered) && dm_task_run (task)
               && dm_task_get_info (task, &info) && info.exists;
  if (task)
    dm_task_destroy (task);
  if (there)
    return layered;
  g_free (layered);
  return device_name (vg, pool, NULL);
}

static bool
mapper_fail (GError **error, const char *device, const char *what)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: device-mapper cannot %s: %s", device, what,
               g_strerror (errno));
  return false;
}

/* The parameters of the only target of a device; valid as long as the task. */
static const char *
target_ask (dm_task *task, const char *device, const char *wanted)
{
  uint64_t start, length;
  char *type = NULL, *parameters = NULL;
  if (!dm_task_set_name (task, device) || !dm_task_no_flush (task) || !dm_task_run (task))
    return NULL;
  dm_get_next_target (task, NULL, &start, &length, &type, &parameters);
  if (type == NULL || strcmp (type, wanted) != 0) {
    errno = ENODEV;
    return NULL;
  }
  return parameters;
}

static bool
usage_chunk (const char *device, PoolUsage *usage, GError **error)
{
  g_autoptr (dm_task) task = dm_task_create (DM_DEVICE_TABLE);
  const char *table = task ? target_ask (task, device, "thin-pool") : NULL;
  guint64 sectors = 0;
  /* metadata device, data device, chunk, low water mark */
  if (table == NULL || sscanf (table, "%*s %*s %" SCNu64, &sectors) != 1 || sectors == 0)
    return mapper_fail (error, device, "say the thin pool's table (is it active?)");
  usage->chunk_bytes = sectors * SECTOR;
  return true;
}

bool
mapper_usage (const char *vg, const char *pool, PoolUsage *usage, GError **error)
{
  g_autofree char *device = pool_device (vg, pool);
  if (!usage_chunk (device, usage, error))
    return false;
  g_autoptr (dm_task) task = dm_task_create (DM_DEVICE_STATUS);
  const char *text = task ? target_ask (task, device, "thin-pool") : NULL;
  struct dm_pool *memory = dm_pool_create ("status", 1024);
  struct dm_status_thin_pool *status = NULL;
  bool ok = text && memory && dm_get_status_thin_pool (memory, text, &status);
  if (ok) {
    usage->data_bytes = status->total_data_blocks * usage->chunk_bytes;
    usage->data_used_bytes = status->used_data_blocks * usage->chunk_bytes;
    usage->metadata_bytes = status->total_metadata_blocks * METADATA_BLOCK;
    usage->metadata_used_bytes = status->used_metadata_blocks * METADATA_BLOCK;
    usage->held_root = status->held_metadata_root;
    usage->transaction_id = status->transaction_id;
    usage->discards = status->discards != DM_THIN_DISCARDS_IGNORE;
    usage->writable = !status->read_only && !status->fail && !status->out_of_data_space
                      && !status->needs_check && !status->error;
  }
  if (memory)
    dm_pool_destroy (memory);
  return ok || mapper_fail (error, device, "say the thin pool's status");
}

/* accepted: the errno that is success too; 0: none. */
static bool
pool_message (const char *vg, const char *pool, const char *message, int accepted, GError **error)
{
  g_autofree char *device = pool_device (vg, pool);
  g_autoptr (dm_task) task = dm_task_create (DM_DEVICE_TARGET_MSG);
  if (task && dm_task_set_name (task, device) && dm_task_set_sector (task, 0)
      && dm_task_set_message (task, message) && dm_task_run (task))
    return true;
  if (task && accepted && dm_task_get_errno (task) == accepted)
    return true;
  return mapper_fail (error, device, message);
}

bool
mapper_reserve_metadata (const char *vg, const char *pool, GError **error)
{
  return pool_message (vg, pool, "reserve_metadata_snap", 0, error);
}

bool
mapper_release_metadata (const char *vg, const char *pool, GError **error)
{
  return pool_message (vg, pool, "release_metadata_snap", 0, error);
}

bool
mapper_forget_volume (const char *vg, const char *pool, guint64 thin_id, GError **error)
{
  g_autofree char *message = g_strdup_printf ("delete %" G_GUINT64_FORMAT, thin_id);
  return pool_message (vg, pool, message, ENODATA, error);
}

char *
mapper_metadata_path (const char *vg, const char *pool)
{
  g_autofree char *lv = g_strconcat (pool, "_tmeta", NULL), *name = device_name (vg, lv, NULL);
  return g_strconcat (dm_dir (), "/", name, NULL);
}

/* --- what was left half done --- */

typedef enum { LEFT_NOTHING, LEFT_SUSPENDED, LEFT_UNBORN } Left;

/* Of whom the devices are that are settled. */
typedef struct {
  char *group; /* how the UUIDs of all begin */
  char *ours;  /* and the names of those of our volumes */
} Owner;

/* Unborn: made, and never given a table that counts; nobody can have opened it, but what its other table
 * names is in use.  Of ours only: one of an operator's may be about to get it. */
static Left
left_find (const char *device, const Owner *owner)
{
  struct dm_info info;
  g_autoptr (dm_task) task = dm_task_create (DM_DEVICE_INFO);
  if (task == NULL || !dm_task_set_name (task, device) || !dm_task_run (task)
      || !dm_task_get_info (task, &info) || !info.exists)
    return LEFT_NOTHING;
  const char *uuid = dm_task_get_uuid (task);
  if (uuid == NULL || !g_str_has_prefix (uuid, owner->group))
    return LEFT_NOTHING;
  if (info.suspended)
    return LEFT_SUSPENDED;
  return info.live_table || !g_str_has_prefix (device, owner->ours) ? LEFT_NOTHING : LEFT_UNBORN;
}

static bool
left_settle (const char *device, Left left, GError **error)
{
  g_autoptr (dm_task) task = dm_task_create (left == LEFT_SUSPENDED ? DM_DEVICE_RESUME : DM_DEVICE_REMOVE);
  if (task && dm_task_set_name (task, device) && dm_task_run (task))
    return true;
  return mapper_fail (error, device, left == LEFT_SUSPENDED ? "resume it" : "remove it, which has no table");
}

/* Of the devices that its table names, one is suspended.  Resuming a thin volume before its pool, or a pool
 * before what it lies on, would wait for that, in the kernel and for ever. */
static bool
left_waits (const char *device)
{
  g_autoptr (dm_task) task = dm_task_create (DM_DEVICE_DEPS);
  struct dm_deps *deps
      = task && dm_task_set_name (task, device) && dm_task_run (task) ? dm_task_get_deps (task) : NULL;
  for (uint32_t i = 0; deps != NULL && i < deps->count; i++) {
    struct dm_info info = { 0 };
    g_autoptr (dm_task) below = dm_task_create (DM_DEVICE_INFO);
    if (below && dm_task_set_major (below, (int)major (deps->device[i]))
        && dm_task_set_minor (below, (int)minor (deps->device[i])) && dm_task_run (below)
        && dm_task_get_info (below, &info) && info.exists && info.suspended)
      return true;
  }
  return false;
}

/* Once through all devices.  *waiting: one that is left waits for another. */
static bool
settle_pass (const Owner *owner, GPtrArray *resumed, bool *waiting, guint *settled, GError **error)
{
  g_autoptr (dm_task) task = dm_task_create (DM_DEVICE_LIST);
  const struct dm_names *names = task && dm_task_run (task) ? dm_task_get_names (task) : NULL;
  if (names == NULL)
    return mapper_fail (error, "its devices", "list them");
  *waiting = false;
  for (guint n = 0; names->dev != 0 && n < DEVICES_MAX; n++) {
    Left left = left_find (names->name, owner);
    bool waits = left == LEFT_SUSPENDED && left_waits (names->name);
    *waiting |= waits;
    if (left != LEFT_NOTHING && !waits) {
      if (!left_settle (names->name, left, error))
        return false;
      ++*settled;
      if (left == LEFT_SUSPENDED)
        g_ptr_array_add (resumed, g_strdup (names->name));
    }
    if (names->next == 0)
      break;
    names = (const struct dm_names *)(const void *)((const char *)names + names->next);
  }
  return true;
}

GPtrArray *
mapper_settle (const char *vg, const char *vg_uuid, GError **error)
{
  g_autofree char *group = g_strconcat ("LVM-", vg_uuid, NULL), *ours = device_name (vg, "guardd-", NULL);
  const Owner owner = { group, ours };
  g_autoptr (GPtrArray) resumed = g_ptr_array_new_with_free_func (g_free);
  bool waiting = true;
  while (waiting) {
    guint settled = 0;
    if (!settle_pass (&owner, resumed, &waiting, &settled, error))
      return NULL;
    if (waiting && settled == 0) {
      errno = EBUSY;
      mapper_fail (error, "its devices", "resume one that lies on another's, which is suspended");
      return NULL;
    }
  }
  return g_steal_pointer (&resumed);
}
