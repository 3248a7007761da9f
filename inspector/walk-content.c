/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "walk-private.h"

#include "kind.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OTHERS_TOLD 20u

static void
add_other (struct walk_state *state, const char *mountpoint, const char *path)
{
  char full[INVENTORY_NAME_MAX + 256];
  bool plain = mountpoint == NULL || strcmp (mountpoint, "/") == 0;
  state->other++;
  if (json_object_array_length (state->others) >= OTHERS_TOLD)
    return;
  snprintf (full, sizeof full, "%s%s", plain ? "" : mountpoint, path);
  json_object *one = json_object_new_object ();
  json_object_object_add (one, "path", text_to_json (full));
  json_object_array_add (state->others, one);
}

void
walk_look_into_modified (struct walk_state *state, const char *mountpoint)
{
  size_t n = 0;
  char *const *paths = modified_paths (state->modified, &n);
  for (size_t i = 0; i < n; i++) {
    size_t length = 0;
    char *head = paths[i] ? guestfs_pread (state->g, paths[i], KIND_HEAD, 0, &length) : NULL;
    if (head == NULL)
      continue;
    state->sampled++;
    if (!kind_is_kept (paths[i], (const unsigned char *)head, length))
      add_other (state, mountpoint, paths[i]);
    free (head);
  }
}

json_object *
walk_content_to_json (const struct walk_state *state)
{
  json_object *content = json_object_new_object ();
  json_object_object_add (content, "sampled", json_object_new_int64 ((int64_t)state->sampled));
  json_object_object_add (content, "other", json_object_new_int64 ((int64_t)state->other));
  json_object_object_add (content, "samples", json_object_get (state->others));
  return content;
}
