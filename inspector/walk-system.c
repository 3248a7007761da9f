/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "walk-private.h"

#include "text.h"
#include "volume.h"

#include <stdlib.h>
#include <string.h>

void
walk_strings_free (char **strings)
{
  for (char **at = strings; at && *at; at++)
    free (*at);
  free (strings);
}

size_t
walk_strings_length (char *const *strings)
{
  size_t n = 0;
  while (strings && strings[n])
    n++;
  return n;
}

/* --- the operating system --- */

static void
add_words (json_object *to, const char *key, char *words)
{
  if (words && strcmp (words, "unknown") != 0)
    json_object_object_add (to, key, text_to_json (words));
  free (words);
}

/* Subvolumes are mounted by the names that they are listed by. */
static void
name_mounts (struct walk_state *state)
{
  for (char **at = state->mounts; at && at[0] && at[1]; at += 2)
    for (size_t i = 0; i < state->n_found; i++)
      if (strcmp (at[1], state->found[i].listed) == 0) {
        char *device = strdup (state->found[i].device);
        if (device) {
          free (at[1]);
          at[1] = device; /* freed with the mounts, which gcc 12's analyzer does not see */
        }
        break;
      }
}

static void
inspect (struct walk_state *state)
{
  char **roots = guestfs_inspect_os (state->g);
  if (roots && roots[0]) {
    state->os = json_object_new_object ();
    add_words (state->os, "type", guestfs_inspect_get_type (state->g, roots[0]));
    add_words (state->os, "distribution", guestfs_inspect_get_distro (state->g, roots[0]));
    add_words (state->os, "product", guestfs_inspect_get_product_name (state->g, roots[0]));
    add_words (state->os, "hostname", guestfs_inspect_get_hostname (state->g, roots[0]));
    state->mounts = guestfs_inspect_get_mountpoints (state->g, roots[0]);
    name_mounts (state);
  }
  walk_strings_free (roots);
  guestfs_umount_all (state->g);
}

static const char *
member (json_object *object, const char *key)
{
  json_object *value = NULL;
  return json_object_object_get_ex (object, key, &value) && json_object_is_type (value, json_type_string)
             ? json_object_get_string (value)
             : NULL;
}

static bool
is_same (const char *found, const char *known)
{
  json_object *text = text_to_json (found); /* as it was told then */
  bool same = known && strcmp (json_object_get_string (text), known) == 0;
  json_object_put (text);
  return same;
}

/* The filesystems that an earlier summary lists, when they are these; else NULL. */
static json_object *
same_filesystems (const struct walk_state *state, json_object *known)
{
  json_object *list = NULL;
  if (!json_object_object_get_ex (known, "filesystems", &list) || !json_object_is_type (list, json_type_array)
      || json_object_array_length (list) != state->n_found)
    return NULL;
  for (size_t i = 0; i < state->n_found; i++) {
    json_object *one = json_object_array_get_idx (list, i);
    const struct walk_filesystem *found = &state->found[i];
    if (!json_object_is_type (one, json_type_object) || !is_same (found->device, member (one, "device"))
        || !is_same (found->type, member (one, "type")) || !is_same (found->uuid, member (one, "uuid")))
      return NULL;
  }
  return list;
}

static void
take_mounts (struct walk_state *state, json_object *list)
{
  size_t n = 0;
  state->mounts = calloc (2 * state->n_found + 1, sizeof *state->mounts);
  for (size_t i = 0; state->mounts && i < state->n_found; i++) {
    const char *at = member (json_object_array_get_idx (list, i), "mountpoint");
    if (at == NULL)
      continue;
    /* Theirs: walk_strings_free().  gcc 12's analyzer takes them for lost. */
    state->mounts[n++] = strdup (at);
    state->mounts[n++] = strdup (state->found[i].device);
  }
}

void
walk_find_system (struct walk_state *state, json_object *known)
{
  json_object *os = NULL, *list = known ? same_filesystems (state, known) : NULL;
  if (list == NULL) {
    inspect (state);
    return;
  }
  if (json_object_object_get_ex (known, "os", &os) && json_object_is_type (os, json_type_object))
    state->os = json_object_get (os);
  take_mounts (state, list);
}

const char *
walk_mount_point (const struct walk_state *state, const char *device)
{
  for (char **at = state->mounts; at && at[0] && at[1]; at += 2)
    if (strcmp (at[1], device) == 0)
      return at[0];
  return NULL;
}

/* "UUID", "…", "Parent UUID", "…" or "": as "btrfs subvolume show" has it. */
static bool
has_parent (char *const *properties)
{
  for (char *const *at = properties; at && at[0] && at[1]; at += 2)
    if (strcmp (at[0], "Parent UUID") == 0)
      return at[1][0] != '\0';
  return false;
}

bool
walk_is_snapshot (const struct walk_state *state, const struct walk_filesystem *filesystem)
{
  if (!volume_is (filesystem->device) || walk_mount_point (state, filesystem->device) != NULL)
    return false;
  char **properties = guestfs_btrfs_subvolume_show (state->g, "/");
  bool is = has_parent (properties);
  walk_strings_free (properties);
  return is;
}
