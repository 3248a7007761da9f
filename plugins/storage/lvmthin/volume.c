/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* How many stay active at most that nobody uses. */
#define IDLE_MAX 16u
/* How often the time between two attempts to deactivate one is doubled. */
#define IDLE_DOUBLED_MAX 6u

#define UUID_PREFIX "LVM-"
#define UUID_HALF 32u /* VG's and LV's, without dashes */

struct Volume {
  ThinPool *pool;
  ActiveVolume *active;
};

static void
active_free (gpointer data)
{
  ActiveVolume *active = data;
  g_free (active->lv);
  g_free (active->path);
  g_free (active);
}

/* Device-mapper's name has dashes doubled: dm_build_dm_name(). */
char *
volume_device_path (const ThinPool *pool, const char *lv)
{
  g_auto (GStrv) vg_parts = g_strsplit (pool->vg, "-", -1), lv_parts = g_strsplit (lv, "-", -1);
  g_autofree char *vg_name = g_strjoinv ("--", vg_parts), *lv_name = g_strjoinv ("--", lv_parts);
  return g_strdup_printf ("/dev/mapper/%s-%s", vg_name, lv_name);
}

static json_object *
request_about (const char *op, const char *lv)
{
  json_object *request = ask_new (op, NULL);
  ask_add_to (request, "lvs", json_object_new_string (lv));
  return request;
}

/* --- what is active and not used --- */

static gint64
idle_due (const ThinPool *pool, const ActiveVolume *active)
{
  return active->idle_since + (pool->idle_us << MIN (active->failures, IDLE_DOUBLED_MAX));
}

/* With lock held: all that nobody uses.  due: when the first of them is to go, at once if there are too many.
 */
static GPtrArray *
idle_list (const ThinPool *pool, gint64 *due)
{
  GPtrArray *idle = g_ptr_array_new ();
  GHashTableIter iter;
  ActiveVolume *active;
  guint spare = 0;
  *due = G_MAXINT64;
  g_hash_table_iter_init (&iter, pool->volumes);
  while (g_hash_table_iter_next (&iter, NULL, (void **)&active))
    if (active->users == 0) {
      g_ptr_array_add (idle, active);
      *due = MIN (*due, idle_due (pool, active));
      spare += active->failures == 0;
    }
  if (spare > IDLE_MAX)
    *due = 0;
  return idle;
}

/* With lock held.  What could not be deactivated (somebody has it open, guardd-lvm died) is tried again,
 * later each time. */
static void
idle_deactivate (ThinPool *pool, ActiveVolume **some, guint n)
{
  json_object *request = request_about ("deactivate", some[0]->lv);
  for (guint i = 1; i < n; i++)
    ask_add_to (request, "lvs", json_object_new_string (some[i]->lv));
  int result = ask (pool->client, &fail_quietly, request, NULL);
  for (guint i = 0; i < n; i++)
    if (result == 0)
      g_hash_table_remove (pool->volumes, some[i]->lv);
    else {
      some[i]->failures++;
      some[i]->idle_since = g_get_monotonic_time ();
    }
}

/* With lock held.  all: or only what is due. */
static void
idle_reap (ThinPool *pool, bool all)
{
  gint64 due, now = g_get_monotonic_time ();
  g_autoptr (GPtrArray) idle = idle_list (pool, &due), sure = g_ptr_array_new ();
  all = all || due == 0;
  for (guint i = 0; i < idle->len; i++) {
    ActiveVolume *active = idle->pdata[i];
    if (active->failures == 0 && (all || idle_due (pool, active) <= now))
      g_ptr_array_add (sure, active);
    else if (all || idle_due (pool, active) <= now)
      idle_deactivate (pool, &active, 1); /* alone: it must not keep the others */
  }
  if (sure->len > 0)
    idle_deactivate (pool, (ActiveVolume **)sure->pdata, sure->len);
}

static gpointer
reaper_run (gpointer data)
{
  ThinPool *pool = data;
  gint64 due;
  g_mutex_lock (&pool->lock);
  while (!pool->closing) {
    g_autoptr (GPtrArray) idle = idle_list (pool, &due);
    if (idle->len == 0)
      g_cond_wait (&pool->changed, &pool->lock);
    else if (due == 0 || !g_cond_wait_until (&pool->changed, &pool->lock, due))
      idle_reap (pool, false);
  }
  g_mutex_unlock (&pool->lock);
  return NULL;
}

void
volumes_start (ThinPool *pool)
{
  g_mutex_init (&pool->lock);
  g_cond_init (&pool->changed);
  pool->volumes = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, active_free);
  pool->reaper = g_thread_new ("lvm-idle", reaper_run, pool);
}

void
volumes_stop (ThinPool *pool)
{
  g_mutex_lock (&pool->lock);
  pool->closing = true;
  g_cond_signal (&pool->changed);
  g_mutex_unlock (&pool->lock);
  g_thread_join (pool->reaper);
  g_mutex_lock (&pool->lock);
  idle_reap (pool, true);
  g_mutex_unlock (&pool->lock);
  g_hash_table_unref (pool->volumes);
  g_cond_clear (&pool->changed);
  g_mutex_clear (&pool->lock);
}

bool
volumes_forget (ThinPool *pool, const char *lv)
{
  ActiveVolume *active = g_hash_table_lookup (pool->volumes, lv);
  if (active == NULL)
    return true;
  if (active->users > 0) {
    active->doomed = true;
    return false;
  }
  g_hash_table_remove (pool->volumes, lv);
  return true;
}

/* --- one in use --- */

/* With lock held: it is active, or may be. */
static ActiveVolume *
volume_note (ThinPool *pool, const char *lv)
{
  ActiveVolume *active = g_hash_table_lookup (pool->volumes, lv);
  if (active == NULL) {
    active = g_new0 (ActiveVolume, 1);
    active->lv = g_strdup (lv);
    active->path = volume_device_path (pool, lv);
    g_hash_table_insert (pool->volumes, active->lv, active);
  }
  return active;
}

/* With lock held; it is active. */
static Volume *
volume_use (ThinPool *pool, const char *lv)
{
  ActiveVolume *active = volume_note (pool, lv);
  active->users++;
  active->failures = 0;
  Volume *volume = g_new0 (Volume, 1);
  *volume = (Volume){ pool, active };
  return volume;
}

/* With lock held.  Makes room for a new one where one of that name is left of a draft that died. */
static Volume *
volume_make (ThinPool *pool, const struct guardd_call *call, const char *lv, json_object *request)
{
  thin_pool_add_tags (pool, request);
  json_object *again = json_object_get (request);
  int result = ask (pool->client, &fail_quietly, request, NULL);
  if (result < 0 && volumes_forget (pool, lv)
      && ask (pool->client, call, request_about ("remove", lv), NULL) == 0)
    result = ask (pool->client, call, json_object_get (again), NULL);
  json_object_put (again);
  return result == 0 ? volume_use (pool, lv) : NULL;
}

Volume *
volume_create (ThinPool *pool, const struct guardd_call *call, const char *lv, guint64 size)
{
  json_object *request = ask_new ("create", "pool", pool->lv, "lv", lv, NULL);
  ask_add_number (request, "size", size);
  g_mutex_lock (&pool->lock);
  Volume *volume = volume_make (pool, call, lv, request);
  g_mutex_unlock (&pool->lock);
  return volume;
}

Volume *
volume_copy (ThinPool *pool, const struct guardd_call *call, const char *lv, const char *origin)
{
  json_object *request = ask_new ("snapshot", NULL);
  ask_add_snapshot (request, origin, lv);
  json_object_object_add (request, "active", json_object_new_boolean (1));
  json_object_object_add (request, "writable", json_object_new_boolean (1));
  g_mutex_lock (&pool->lock);
  Volume *volume = volume_make (pool, call, lv, request);
  g_mutex_unlock (&pool->lock);
  return volume;
}

/* With lock held.  One that guardd-lvm died over may be active, or half so: the reaper sees to it. */
static int
volume_activate (ThinPool *pool, const struct guardd_call *call, const char *lv)
{
  const ActiveVolume *known = g_hash_table_lookup (pool->volumes, lv);
  if (known != NULL && known->failures == 0)
    return 0;
  if (ask (pool->client, call, ask_new ("activate", "lv", lv, NULL), NULL) == 0)
    return 0;
  ActiveVolume *unsure = volume_note (pool, lv);
  unsure->failures++;
  unsure->idle_since = g_get_monotonic_time ();
  g_cond_signal (&pool->changed);
  return -1;
}

static int
identity_check (const Volume *volume, const struct guardd_call *call, const guint8 *identity)
{
  guint8 found[INDEX_IDENTITY_SIZE];
  if (volume_identity (volume, call, found) < 0)
    return -1;
  if (memcmp (found, identity, sizeof found) == 0)
    return 0;
  return fail (call, 0, "%s/%s: damaged or exchanged: it is not the volume that was sealed", volume->pool->vg,
               volume->active->lv);
}

Volume *
volume_acquire (ThinPool *pool, const struct guardd_call *call, const char *lv, const guint8 *identity)
{
  g_mutex_lock (&pool->lock);
  g_autoptr (Volume) volume = volume_activate (pool, call, lv) == 0 ? volume_use (pool, lv) : NULL;
  g_mutex_unlock (&pool->lock);
  if (volume == NULL || (identity != NULL && identity_check (volume, call, identity) < 0))
    return NULL;
  return g_steal_pointer (&volume);
}

void
volume_release (Volume *volume)
{
  if (volume == NULL)
    return;
  ThinPool *pool = volume->pool;
  ActiveVolume *active = volume->active;
  g_mutex_lock (&pool->lock);
  if (--active->users == 0) {
    active->idle_since = g_get_monotonic_time ();
    if (active->doomed) {
      json_object *request = request_about ("remove", active->lv);
      g_hash_table_remove (pool->volumes, active->lv);
      ask (pool->client, &fail_quietly, request, NULL); /* else at the next start */
    }
    g_cond_signal (&pool->changed);
  }
  g_mutex_unlock (&pool->lock);
  g_free (volume);
}

const char *
volume_path (const Volume *volume)
{
  return volume->active->path;
}

int
volume_identity (const Volume *volume, const struct guardd_call *call, guint8 *identity)
{
  struct stat st;
  guint8 hash[GUARDD_HASH_SIZE];
  g_autofree char *text = NULL;
  if (stat (volume_path (volume), &st) < 0 || !S_ISBLK (st.st_mode))
    return fail (call, errno, "%s: is no device although LVM has activated it (is udev running?)",
                 volume_path (volume));
  g_autofree char *file
      = g_strdup_printf ("/sys/dev/block/%u:%u/dm/uuid", major (st.st_rdev), minor (st.st_rdev));
  if (!g_file_get_contents (file, &text, NULL, NULL))
    return fail (call, 0, "%s: cannot read it", file);
  g_strchomp (text);
  if (strlen (text) != strlen (UUID_PREFIX) + 2 * (gsize)UUID_HALF || !g_str_has_prefix (text, UUID_PREFIX))
    return fail (call, 0, "%s: is no logical volume", volume_path (volume));
  /* The volume's own half: a group that was carried elsewhere may have been given another UUID. */
  EVP_Digest (text + strlen (UUID_PREFIX) + UUID_HALF, UUID_HALF, hash, NULL, EVP_sha256 (), NULL);
  memcpy (identity, hash, INDEX_IDENTITY_SIZE);
  return 0;
}

int
volume_extend (Volume *volume, const struct guardd_call *call, guint64 size)
{
  guint64 has = 0;
  int fd = open (volume_path (volume), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || ioctl (fd, BLKGETSIZE64, &has) < 0) {
    int errno_value = errno;
    fd_close (&fd);
    return fail (call, errno_value, "%s: cannot ask its size", volume_path (volume));
  }
  fd_close (&fd);
  if (has >= size)
    return 0;
  json_object *request = ask_new ("extend", "lv", volume->active->lv, NULL);
  ask_add_number (request, "size", size);
  return ask (volume->pool->client, call, request, NULL);
}

int
volume_protect (Volume *volume, const struct guardd_call *call)
{
  return ask (volume->pool->client, call, ask_new ("protect", "lv", volume->active->lv, NULL), NULL);
}
