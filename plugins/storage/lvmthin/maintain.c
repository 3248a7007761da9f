/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "maintain.h"

#include "restore.h"

#include "../common/maintain.h"

int
thin_remove (void *opaque, const struct guardd_call *call, const char *directory, const char *disk)
{
  ThinInstance *instance = opaque;
  g_autoptr (ImageName) name = image_name_new (&instance->files, call, directory, disk);
  g_autofree char *lv = name ? thin_pool_volume_name (instance->pool, call, name) : NULL;
  if (lv == NULL || thin_pool_remove (instance->pool, call, lv) < 0
      || restore_remove_kept (instance, call, name) < 0)
    return -1;
  return maintain_remove (opaque, call, directory, disk);
}

static int
keep_member (const ThinInstance *instance, const struct guardd_call *call, const struct guardd_member *member,
             GHashTable *keep)
{
  for (const char *const *disk = member->disks; *disk; disk++) {
    g_autoptr (ImageName) name = image_name_new (&instance->files, call, member->directory, *disk);
    char *lv = name ? thin_pool_volume_name (instance->pool, call, name) : NULL;
    if (lv == NULL)
      return -1;
    g_hash_table_add (keep, g_strconcat (lv, THIN_POOL_KEPT, NULL));
    g_hash_table_add (keep, lv);
  }
  return 0;
}

int
thin_recover (void *opaque, const struct guardd_call *call, const char *domain,
              const struct guardd_member *members, size_t n_members)
{
  ThinInstance *instance = opaque;
  g_autoptr (GHashTable) keep = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (size_t i = 0; i < n_members; i++)
    if (keep_member (instance, call, &members[i], keep) < 0)
      return -1;
  g_autofree char *prefix = thin_pool_prefix (instance->pool, domain);
  if (thin_pool_sweep (instance->pool, call, prefix, keep) < 0)
    return -1;
  return maintain_recover (opaque, call, domain, members, n_members);
}
