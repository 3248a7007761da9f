/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filesystems have the names that libguestfs promises: /dev/sda is the first of the disks that it was given,
 * whichever its kernel has found first.  libguestfs 1.48 does not translate the names of btrfs subvolumes
 * ("btrfsvol:/dev/sdb/home"; later ones do), so they would be others from list to list, and of another disk
 * when they are mounted: they get that of the filesystem that they are listed behind.
 */
#include "walk-private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VOLUME "btrfsvol:"
#define DISK "/dev/sd" /* the only disks that an appliance has */

static bool
begins (const char *text, const char *start)
{
  return strncmp (text, start, strlen (start)) == 0;
}

bool
walk_is_volume (const char *device)
{
  return begins (device, VOLUME);
}

/* whole: the device that the filesystem is on, "" before there is any; NULL: no memory. */
static char *
name_of (const char *listed, const char *whole)
{
  const char *raw = listed + strlen (VOLUME);
  char *name;
  if (!walk_is_volume (listed) || !begins (raw, DISK) || !begins (whole, DISK))
    return strdup (listed);
  const char *path = strchr (raw + strlen (DISK), '/');
  return path && asprintf (&name, VOLUME "%s%s", whole, path) >= 0 ? name : strdup (listed);
}

static int
compare_devices (const void *a, const void *b)
{
  return strcmp (((const struct walk_filesystem *)a)->device, ((const struct walk_filesystem *)b)->device);
}

/* Takes both over. */
static bool
add (struct walk_state *state, char *listed, char *type, const char *whole)
{
  char *device = name_of (listed, whole), *uuid = device ? guestfs_vfs_uuid (state->g, device) : NULL;
  struct walk_filesystem *filesystem = &state->found[state->n_found++];
  *filesystem = (struct walk_filesystem){ device, type, uuid ? uuid : strdup (""), listed };
  return filesystem->device && filesystem->uuid;
}

bool
walk_find_filesystems (struct walk_state *state)
{
  char **found = guestfs_list_filesystems (state->g); /* device, type, ... */
  if (found == NULL)
    return false;
  size_t n = walk_strings_length (found) / 2;
  const char *whole = "";
  bool ok = (state->found = calloc (n + 1, sizeof *state->found)) != NULL;
  for (size_t i = 0; state->found && i < n; i++) {
    ok = add (state, found[2 * i], found[2 * i + 1], whole) && ok;
    if (!walk_is_volume (found[2 * i]))
      whole = found[2 * i];
  }
  free (found); /* its strings are kept */
  if (ok)
    qsort (state->found, n, sizeof *state->found, compare_devices);
  return ok;
}

void
walk_found_free (struct walk_state *state)
{
  for (size_t i = 0; i < state->n_found; i++) {
    free (state->found[i].device);
    free (state->found[i].type);
    free (state->found[i].uuid);
    free (state->found[i].listed);
  }
  free (state->found);
}
