/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "chain.h"
#include "maintain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* "base-00000001/vda" of every image that counts; NULL without a word when one cannot be read: then nobody
 * knows what is needed, and everything stays. */
static GHashTable *
bases_needed (const Instance *instance, const char *domain, const struct guardd_member *members, size_t n,
              bool removing)
{
  g_autoptr (GHashTable) needed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (size_t i = 0; i < n; i++)
    for (const char *const *disk = members[i].disks; *disk && (removing || !members[i].remove); disk++) {
      g_autoptr (ImageName) name = image_name_new (instance, &fail_quietly, members[i].directory, *disk);
      auto_fd dir = name ? image_directory_open (instance, &fail_quietly, name->directory) : -1;
      g_autoptr (Index) index = dir < 0 ? NULL : index_open (&fail_quietly, dir, name->path, name->index);
      g_autoptr (ImageName) below
          = index ? image_name_backing (instance, &fail_quietly, name, index_facts (index)->backing) : NULL;
      if (below == NULL)
        return NULL;
      if (image_name_is_base (below))
        g_hash_table_add (needed, g_strdup_printf ("%s/%s", below->snapshot, below->disk));
    }
  return g_steal_pointer (&needed);
}

static int
base_clean (const Instance *instance, const struct guardd_call *call, const char *domain, const char *base,
            GHashTable *needed)
{
  g_autofree char *directory = g_strdup_printf ("%s/%s", domain, base);
  g_autofree char *path = g_strdup_printf ("%s/%s", instance->path, directory);
  auto_fd dir = image_directory_open (instance, call, directory);
  if (dir < 0)
    return -1;
  g_autoptr (GPtrArray) files = directory_list (call, dir, path);
  guint kept = 0;
  for (guint i = 0; files && i < files->len; i++) {
    const char *file = files->pdata[i];
    const char *dot = strchr (file, '.');
    g_autofree char *key = g_strdup_printf ("%s/%.*s", base, dot ? (int)(dot - file) : 0, file);
    if (dot && !g_str_has_suffix (file, ".part") && g_hash_table_contains (needed, key))
      kept++;
    else if (file_remove (call, dir, path, file) < 0)
      return -1;
  }
  if (files && kept == 0 && unlinkat (instance->fd, directory, AT_REMOVEDIR) < 0 && errno != ENOENT)
    return fail (call, errno, "%s: cannot remove it", path);
  return files ? 0 : -1;
}

static guint64
base_number (const char *name)
{
  return g_ascii_strtoull (name + strlen ("base-"), NULL, 10);
}

static guint64
member_number (const struct guardd_member *member)
{
  const char *slash = strrchr (member->directory, '/');
  return g_ascii_strtoull (slash ? slash + 1 : member->directory, NULL, 10);
}

int
maintain_remove_bases (const Instance *instance, const struct guardd_call *call, const char *domain,
                       const struct guardd_member *members, size_t n_members, bool removing)
{
  auto_fd dir = image_directory_open (instance, call, domain);
  if (dir < 0)
    return -1;
  g_autofree char *path = g_strdup_printf ("%s/%s", instance->path, domain);
  g_autoptr (GPtrArray) names = directory_list (call, dir, path);
  if (names == NULL)
    return -1;
  g_autoptr (GHashTable) needed = NULL;
  guint64 newest = n_members ? member_number (&members[n_members - 1]) : 0;
  for (guint i = 0; i < names->len; i++) {
    if (!g_str_has_prefix (names->pdata[i], "base-") || (!removing && base_number (names->pdata[i]) > newest))
      continue; /* a capture that is running may be writing it */
    if (needed == NULL)
      needed = bases_needed (instance, domain, members, n_members, removing);
    if (needed == NULL)
      return 0;
    if (base_clean (instance, call, domain, names->pdata[i], needed) < 0)
      return -1;
  }
  return 0;
}

int
maintain_recover (void *opaque, const struct guardd_call *call, const char *domain,
                  const struct guardd_member *members, size_t n_members)
{
  return maintain_remove_bases (opaque, call, domain, members, n_members, true);
}

/* A draft's own baseline goes with it: nobody else can stand on it yet. */
static int
draft_remove_base (const Instance *instance, const struct guardd_call *call, const ImageName *draft)
{
  const char *number = strrchr (draft->snapshot, '-');
  if (draft->snapshot[0] != '.' || number == NULL)
    return 0;
  g_autofree char *directory = g_strdup_printf ("%s/base-%s", draft->domain, number + 1);
  g_autoptr (ImageName) base = image_name_new (instance, call, directory, draft->disk);
  if (base == NULL)
    return -1;
  int dir = openat (instance->fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (dir < 0)
    return errno == ENOENT ? 0 : fail (call, errno, "%s: cannot open", base->path);
  int result = file_remove (call, dir, base->path, base->data);
  if (result == 0)
    result = file_remove (call, dir, base->path, base->index);
  close (dir);
  unlinkat (instance->fd, directory, AT_REMOVEDIR); /* fails while it has another disk's */
  return result;
}

int
maintain_remove (void *opaque, const struct guardd_call *call, const char *directory, const char *disk)
{
  const Instance *instance = opaque;
  g_autoptr (ImageName) name = image_name_new (instance, call, directory, disk);
  if (name == NULL)
    return -1;
  auto_fd dir = openat (instance->fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (dir < 0)
    return errno == ENOENT ? 0 : fail (call, errno, "%s: cannot open", name->path);
  if (file_remove (call, dir, name->path, name->index) < 0
      || file_remove (call, dir, name->path, name->data) < 0)
    return -1;
  return draft_remove_base (instance, call, name);
}
