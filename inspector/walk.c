/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "jail.h"
#include "text.h"
#include "walk-private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A guest can make any number of files: guardd keeps the list, a person reads its difference. */
#define FILES_MAX 5000000u
#define DEPTH_MAX 256
/* The number of every subvolume's root (BTRFS_FIRST_FREE_OBJECTID): each is listed by itself. */
#define BTRFS_SUBVOLUME 256u
#define PROBLEMS_MAX 10

/* What is not in the list must not count as gone. */
static void
left_out (struct walk_state *state, const char *why)
{
  if (state->unread++ < PROBLEMS_MAX)
    state->failed |= !inventory_put_problem (state->out, why);
}

static void
problem (struct walk_state *state)
{
  const char *words = guestfs_last_error (state->g);
  left_out (state, words ? words : "not readable");
}

/* --- files --- */

static char
type_letter (int64_t mode)
{
  switch (mode & S_IFMT) {
  case S_IFREG:
    return 'f';
  case S_IFDIR:
    return 'd';
  case S_IFLNK:
    return 'l';
  case S_IFCHR:
    return 'c';
  case S_IFBLK:
    return 'b';
  case S_IFIFO:
    return 'p';
  case S_IFSOCK:
    return 's';
  default:
    return '?';
  }
}

static int
compare_names (const void *a, const void *b)
{
  return strcmp (*(char *const *)a, *(char *const *)b);
}

static void walk_directory (struct walk_state *state, char *path, size_t length, int depth);

static void
walk_entry (struct walk_state *state, char *path, size_t length, const char *name,
            const struct guestfs_statns *stat, int depth)
{
  size_t n = strlen (name);
  if (stat->st_ino < 0 || length + n + 2 > INVENTORY_NAME_MAX) {
    left_out (state, "a file without a number, or whose path is too long");
    return;
  }
  struct inventory_file file = { .type = type_letter (stat->st_mode),
                                 .size = (uint64_t)stat->st_size,
                                 .inode = (uint64_t)stat->st_ino,
                                 .mtime = stat->st_mtime_sec,
                                 .ctime = stat->st_ctime_sec,
                                 .uid = (uint32_t)stat->st_uid };
  path[length] = '/';
  memcpy (path + length + 1, name, n + 1);
  state->files++;
  state->failed |= !inventory_put_file (state->out, path, &file);
  if (state->modified)
    modified_meet (state->modified, path, &file);
  if (file.type == 'd' && !(state->btrfs && file.inode == BTRFS_SUBVOLUME))
    walk_directory (state, path, length + 1 + n, depth + 1);
  path[length] = '\0';
}

static bool
is_entry (const char *name)
{
  return strcmp (name, ".") != 0 && strcmp (name, "..") != 0;
}

/* In one answer of the appliance where it fits into one (4 MiB), which takes a quarter of the time that
 * guestfs_ls() does. */
static char **
read_directory (guestfs_h *g, const char *directory)
{
  struct guestfs_dirent_list *entries = guestfs_readdir (g, directory);
  if (entries == NULL)
    return guestfs_ls (g, directory);
  char **names = calloc (entries->len + 1, sizeof *names);
  bool whole = names != NULL; /* gcc 12's analyzer takes what is put into it for lost */
  for (size_t i = 0, n = 0; whole && i < entries->len; i++)
    if (is_entry (entries->val[i].name))
      whole = (names[n++] = strdup (entries->val[i].name)) != NULL;
  guestfs_free_dirent_list (entries);
  if (whole)
    return names;
  walk_strings_free (names); /* what is left out would count as gone */
  return NULL;
}

/* path: room for INVENTORY_NAME_MAX bytes; "" is the root. */
static void
walk_directory (struct walk_state *state, char *path, size_t length, int depth)
{
  if (state->failed)
    return;
  if (depth > DEPTH_MAX || state->files > FILES_MAX) {
    left_out (state, depth > DEPTH_MAX ? "directories that lie deeper than 256 others are not listed"
                                       : "there are more than 5000000 files; the rest is not listed");
    return;
  }
  const char *directory = length ? path : "/";
  char **names = read_directory (state->g, directory);
  size_t n = walk_strings_length (names);
  struct guestfs_statns_list *stats = NULL;
  if (names != NULL && n > 0) {
    qsort (names, n, sizeof *names, compare_names);
    stats = guestfs_lstatnslist (state->g, directory, names);
  }
  if (names == NULL || (n > 0 && (stats == NULL || stats->len != n)))
    problem (state);
  else
    for (size_t i = 0; i < n && !state->failed; i++)
      walk_entry (state, path, length, names[i], &stats->val[i], depth);
  if (stats)
    guestfs_free_statns_list (stats);
  walk_strings_free (names);
}

/* --- filesystems --- */

static bool
has_files (const char *type)
{
  static const char *const without[]
      = { "unknown", "swap", "crypto_LUKS", "BitLocker", "LVM2_member", "linux_raid_member" };
  for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
    if (strcmp (type, without[i]) == 0)
      return false;
  return type[0] != '\0';
}

/* Read-only for the kernel of the appliance, which replays the journal into the overlay all the same: what is
 * seen is what the guest would see after a crash.  XFS refuses a second filesystem of one UUID.
 * Each is mounted over the one before, and none is unmounted, which would take seconds, and the appliance
 * goes anyway; but those of a btrfs, which is refused if it is there already. */
static bool
mount_filesystem (const struct walk_state *state, const struct walk_filesystem *filesystem)
{
  const char *options = strcmp (filesystem->type, "xfs") == 0 ? "ro,nouuid" : "ro";
  return guestfs_mount_options (state->g, options, filesystem->device, "/") == 0;
}

static void
walk_mounted (struct walk_state *state, const char *mountpoint)
{
  char path[INVENTORY_NAME_MAX + 1] = "";
  walk_directory (state, path, 0, 0);
  if (state->modified)
    walk_look_into_modified (state, mountpoint);
}

static void
add_to_summary (const struct walk_state *state, const struct walk_filesystem *filesystem, uint64_t files)
{
  const char *at = walk_mount_point (state, filesystem->device);
  json_object *one = json_object_new_object ();
  json_object_object_add (one, "device", text_to_json (filesystem->device));
  json_object_object_add (one, "type", text_to_json (filesystem->type));
  json_object_object_add (one, "uuid", text_to_json (filesystem->uuid));
  if (at)
    json_object_object_add (one, "mountpoint", text_to_json (at));
  json_object_object_add (one, "files", json_object_new_int64 ((int64_t)files));
  json_object_object_add (one, "unread", json_object_new_int64 ((int64_t)state->unread));
  json_object_array_add (state->filesystems, one);
}

/* left: filesystems from this one on, which share what is left of the sample. */
static void
walk_filesystem (struct walk_state *state, const struct walk_filesystem *filesystem, size_t left)
{
  const char *at = walk_mount_point (state, filesystem->device);
  uint64_t before = state->files;
  bool mounted = has_files (filesystem->type) && mount_filesystem (state, filesystem);
  state->unread = 0;
  state->btrfs = strcmp (filesystem->type, "btrfs") == 0;
  if (!mounted || !state->btrfs || !walk_is_snapshot (state, filesystem)) {
    state->failed |= !inventory_put_filesystem (state->out, filesystem->device, filesystem->type, at);
    if (state->modified)
      modified_begin (state->modified, filesystem->device, (MODIFIED_MAX - state->sampled) / left);
    if (mounted)
      walk_mounted (state, at);
    else if (has_files (filesystem->type))
      problem (state);
    add_to_summary (state, filesystem, state->files - before);
  }
  if (mounted && state->btrfs)
    guestfs_umount (state->g, "/");
}

static void
summarize (const struct walk_state *state, FILE *summary)
{
  json_object *all = json_object_new_object ();
  json_object_object_add (all, "files", json_object_new_int64 ((int64_t)state->files));
  json_object_object_add (all, "filesystems", json_object_get (state->filesystems));
  if (state->os)
    json_object_object_add (all, "os", json_object_get (state->os));
  if (state->modified)
    json_object_object_add (all, "content", walk_content_to_json (state));
  fputs (json_object_to_json_string_ext (all, JSON_C_TO_STRING_PLAIN), summary);
  json_object_put (all);
}

static void
state_clear (struct walk_state *state)
{
  walk_found_free (state);
  walk_strings_free (state->mounts);
  modified_free (state->modified);
  json_object_put (state->filesystems);
  json_object_put (state->os);
  json_object_put (state->others);
  /* The appliance has nothing that must be kept: it goes with this process. */
}

static bool
walk_all (struct walk_state *state, const struct walk_request *request, FILE *summary)
{
  if (!walk_launch (state->g, request) || !jail_limit_memory () || !walk_find_filesystems (state)) {
    const char *words = guestfs_last_error (state->g);
    fprintf (stderr, "libguestfs: %s\n", words ? words : "no reason was given");
    return false;
  }
  walk_find_system (state, request->known);
  state->failed = !inventory_begin (state->out);
  for (size_t i = 0; i < state->n_found; i++)
    walk_filesystem (state, &state->found[i], state->n_found - i);
  if (state->failed || !inventory_end (state->out, state->files)) {
    fputs ("the list of files could not be written\n", stderr);
    return false;
  }
  summarize (state, summary);
  return true;
}

bool
walk (const struct walk_request *request, gzFile out, FILE *summary)
{
  struct walk_state state = { .g = guestfs_create (), .out = out };
  if (state.g == NULL)
    return false;
  state.filesystems = json_object_new_array ();
  state.others = json_object_new_array ();
  state.modified = request->older ? modified_new (request->older) : NULL;
  bool ok = walk_all (&state, request, summary);
  state_clear (&state);
  return ok;
}
