/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "capture-libvirt-place.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LIBVIRT_STATE "/var/lib/libvirt/qemu"

struct LibvirtPlace {
  char *directory; /* of the guest */
  char *scratch_dir;
  char *prefix;     /* of every name: pool and guest */
  guint64 limit;    /* bytes that all scratch files together may take up */
  guint64 free_min; /* bytes that stay free where they are */
};

/* libvirt shortens and changes the guest's name in it; the number is enough. */
static char *
find_directory (virDomainPtr domain, GError **error)
{
  g_autofree char *start = g_strdup_printf ("domain-%u-", virDomainGetID (domain));
  g_autoptr (GDir) directory = g_dir_open (LIBVIRT_STATE, 0, error);
  const char *name;
  while (directory && (name = g_dir_read_name (directory)) != NULL)
    if (g_str_has_prefix (name, start))
      return g_build_filename (LIBVIRT_STATE, name, NULL);
  if (directory)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "%s/%s*: libvirt has no directory for the guest (has it just been powered off?)",
                 LIBVIRT_STATE, start);
  return NULL;
}

static guint64
free_bytes (const char *directory)
{
  struct statvfs fs;
  return statvfs (directory, &fs) == 0 ? (guint64)fs.f_bavail * fs.f_frsize : 0;
}

LibvirtPlace *
libvirt_place_new (const Config *config, Pool *pool, virDomainPtr domain, const char *domain_uuid,
                   GError **error)
{
  g_autoptr (LibvirtPlace) place = g_new0 (LibvirtPlace, 1);
  place->directory = find_directory (domain, error);
  if (place->directory == NULL)
    return NULL;
  place->scratch_dir = g_strdup (config->scratch_dir ? config->scratch_dir : place->directory);
  place->prefix = g_strdup_printf ("guardd-%.8s-%.8s-", pool_id (pool), domain_uuid);
  place->limit = (config->scratch_dir ? config->scratch_disk : config->scratch_memory) / 5 * 4;
  place->free_min = free_bytes (place->scratch_dir) / 5;
  return g_steal_pointer (&place);
}

void
libvirt_place_free (LibvirtPlace *place)
{
  if (place == NULL)
    return;
  g_free (place->directory);
  g_free (place->scratch_dir);
  g_free (place->prefix);
  g_free (place);
}

char *
libvirt_place_socket (const LibvirtPlace *place, const char *id)
{
  return g_strdup_printf ("%s/%s%.8s", place->directory, place->prefix, id);
}

char *
libvirt_place_scratch (const LibvirtPlace *place, const char *id, const char *target)
{
  return g_strdup_printf ("%s/%s%.8s-%s", place->scratch_dir, place->prefix, id, target);
}

bool
libvirt_place_check (const LibvirtPlace *place, char **files, GError **error)
{
  guint64 used = 0;
  struct stat st;
  for (guint i = 0; files[i]; i++)
    if (stat (files[i], &st) == 0)
      used += (guint64)st.st_blocks * 512;
  if (used <= place->limit && free_bytes (place->scratch_dir) >= place->free_min)
    return true;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
               "the guest has overwritten %" G_GUINT64_FORMAT
               " MiB while it was read, and %s has no more room for it: set scratch_dir, or raise "
               "scratch_memory or scratch_disk",
               used >> 20, place->scratch_dir);
  return false;
}

static void
sweep_directory (const char *path, const char *prefix)
{
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  const char *name;
  while (directory && (name = g_dir_read_name (directory)) != NULL) {
    g_autofree char *file = g_build_filename (path, name, NULL);
    if (g_str_has_prefix (name, prefix) && unlink (file) < 0 && errno != ENOENT)
      g_warning ("%s: left by a capture that died, and cannot be removed: %s, ignoring", file,
                 g_strerror (errno));
  }
}

void
libvirt_place_sweep (const LibvirtPlace *place)
{
  sweep_directory (place->directory, place->prefix);
  if (strcmp (place->directory, place->scratch_dir) != 0)
    sweep_directory (place->scratch_dir, place->prefix);
}
