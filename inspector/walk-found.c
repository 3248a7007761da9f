/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filesystems have the names that libguestfs promises, those of btrfs subvolumes, too: see volume.h.  A
 * subvolume is listed behind the filesystem that it belongs to.
 */
#include "volume.h"
#include "walk-private.h"

#include <stdlib.h>
#include <string.h>

static int
compare_devices (const void *a, const void *b)
{
  return strcmp (((const struct walk_filesystem *)a)->device, ((const struct walk_filesystem *)b)->device);
}

/* Takes both over.  What it makes is walk_found_free()'s, which gcc 12's analyzer does not see. */
static bool
add (struct walk_state *state, char *listed, char *type, const char *whole)
{
  char *device = volume_name (listed, whole), *uuid = device ? guestfs_vfs_uuid (state->g, device) : NULL;
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
    if (!volume_is (found[2 * i]))
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
