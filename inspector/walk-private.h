/* SPDX-License-Identifier: GPL-2.0-or-later */
/* walk-private.h: what the files of a walk share. */
#pragma once

#include "modified.h"
#include "walk.h"

#include <guestfs.h>
#include <json-c/json.h>

/* A filesystem that the appliance has found. */
struct walk_filesystem {
  char *device, *type, *uuid; /* uuid: "" for none */
  char *listed;               /* what libguestfs has called the device */
};

struct walk_state {
  guestfs_h *g;
  gzFile out;
  struct walk_filesystem *found; /* in order of their devices */
  size_t n_found;
  json_object *filesystems;  /* the summary's */
  json_object *os;           /* NULL: none was recognized */
  char **mounts;             /* mount point, device, ..., NULL; NULL: not known */
  struct modified *modified; /* NULL: there is no older list */
  size_t sampled, other;     /* files whose beginning was read; those that are not what their names say */
  json_object *others;       /* {"path"} of some of them */
  uint64_t files;
  uint64_t unread; /* of this filesystem: directories and names that could not be read */
  bool btrfs;      /* this filesystem is one */
  bool failed;     /* writing has */
};

/* --- walk-launch.c --- */
bool walk_launch (guestfs_h *g, const struct walk_request *request);

/* --- walk-found.c --- */
/* Fills found; false: see guestfs_last_error(). */
bool walk_find_filesystems (struct walk_state *state);
void walk_found_free (struct walk_state *state);

/* --- walk-system.c --- */
/* Fills os and mounts, from what an earlier summary of this guest says (NULL: none) where the filesystems are
 * the same. */
void walk_find_system (struct walk_state *state, json_object *known);
/* What is mounted is a snapshot of a subvolume, and not what the guest has mounted: its files come and go
 * with it, and are none of the guest's work. */
bool walk_is_snapshot (const struct walk_state *state, const struct walk_filesystem *filesystem);
/* Where it is mounted; NULL: nobody knows. */
const char *walk_mount_point (const struct walk_state *state, const char *device);
void walk_strings_free (char **strings); /* NULL is fine */
size_t walk_strings_length (char *const *strings);

/* --- walk-content.c --- */
/* Looks into the files of the filesystem that is mounted which were modified since the older list. */
void walk_look_into_modified (struct walk_state *state, const char *mountpoint);
/* What was found, for the summary. */
json_object *walk_content_to_json (const struct walk_state *state);
