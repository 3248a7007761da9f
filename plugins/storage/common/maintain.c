/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "maintain.h"

#include "maintain-disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Every disk that any member has. */
static GPtrArray *
members_disks (const struct guardd_member *members, size_t n)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  GPtrArray *disks = g_ptr_array_new ();
  for (size_t i = 0; i < n; i++)
    for (const char *const *disk = members[i].disks; *disk; disk++)
      if (g_hash_table_add (seen, (gpointer)*disk))
        g_ptr_array_add (disks, (gpointer)*disk);
  return disks;
}

static int
aside_open (const Instance *instance, const struct guardd_call *call, const char *domain)
{
  g_autofree char *directory = g_strdup_printf ("%s/" MAINTAIN_DIRECTORY, domain);
  if (maintain_abort ((void *)instance, call, domain) < 0)
    return -1;
  if (mkdirat (instance->fd, directory, 0700) < 0) {
    fail (call, errno, "%s/%s: cannot make it", instance->path, directory);
    return -1;
  }
  return image_directory_open (instance, call, directory);
}

static int
prepare_disks (const Instance *instance, const struct guardd_call *call, GPtrArray *disks, const char *domain,
               GArray *changes)
{
  auto_fd aside = aside_open (instance, call, domain);
  g_autofree char *path = g_strdup_printf ("%s/%s/" MAINTAIN_DIRECTORY, instance->path, domain);
  if (aside < 0)
    return -1;
  for (guint i = 0; i < disks->len; i++) {
    MaintainDisk *disk = disks->pdata[i];
    disk->aside_fd = aside;
    disk->aside_path = path;
    disk->changes = changes;
    if (maintain_disk_build (disk, call) < 0)
      return -1;
  }
  return file_sync (call, aside, path);
}

int
maintain_prepare (void *opaque, const struct guardd_call *call, const char *domain,
                  const struct guardd_member *members, size_t n_members, struct guardd_change **changes,
                  size_t *n_changes)
{
  const Instance *instance = opaque;
  g_autoptr (GPtrArray) names = members_disks (members, n_members);
  g_autoptr (GPtrArray) disks = g_ptr_array_new_with_free_func ((GDestroyNotify)maintain_disk_free);
  g_autoptr (GArray) list = g_array_new (FALSE, FALSE, sizeof (struct guardd_change));
  for (guint i = 0; i < names->len; i++) {
    g_autoptr (MaintainDisk) disk
        = maintain_disk_new (instance, call, domain, members, n_members, names->pdata[i]);
    if (disk == NULL)
      return -1;
    if (maintain_disk_plan (disk))
      g_ptr_array_add (disks, g_steal_pointer (&disk));
  }
  *changes = NULL;
  *n_changes = 0;
  if (disks->len == 0)
    return maintain_abort (opaque, call, domain);
  if (prepare_disks (instance, call, disks, domain, list) < 0) {
    struct guardd_call again = *call;
    again.size = sizeof again;
    maintain_abort (opaque, &again, domain);
    return -1;
  }
  /* The caller frees it with free(): not GLib's to promise. */
  *changes = malloc (list->len * sizeof **changes);
  if (*changes == NULL)
    return fail (call, ENOMEM, "maintenance of %s", domain);
  memcpy (*changes, list->data, list->len * sizeof **changes);
  *n_changes = list->len;
  return 0;
}

int
maintain_abort (void *opaque, const struct guardd_call *call, const char *domain)
{
  const Instance *instance = opaque;
  g_autofree char *directory = g_strdup_printf ("%s/" MAINTAIN_DIRECTORY, domain);
  g_autofree char *path = g_strdup_printf ("%s/%s", instance->path, directory);
  int fd = openat (instance->fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    return errno == ENOENT ? 0 : fail (call, errno, "%s: cannot open", path);
  g_autoptr (GPtrArray) names = directory_list (call, fd, path);
  int result = names ? 0 : -1;
  for (guint i = 0; result == 0 && i < names->len; i++)
    result = file_remove (call, fd, path, names->pdata[i]);
  close (fd);
  if (result == 0 && unlinkat (instance->fd, directory, AT_REMOVEDIR) < 0 && errno != ENOENT)
    return fail (call, errno, "%s: cannot remove it", path);
  return result;
}
