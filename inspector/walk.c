/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory.h"

#include "jail.h"
#include "text.h"
#include "walk.h"

#include <guestfs.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MEMORY_MB 768
/* Even on one processor of the host, the emulated machine starts and answers faster. */
#define PROCESSORS 2
/* A guest can make any number of files: guardd keeps the list, a person reads its difference. */
#define FILES_MAX 5000000u
#define DEPTH_MAX 256

struct walk_state {
  guestfs_h *g;
  gzFile out;
  json_object *filesystems;
  char **mounts; /* mount point, device, ..., NULL; NULL: not known */
  uint64_t files;
  uint64_t unread; /* of this filesystem: directories and names that could not be read */
  bool failed;     /* writing has */
};

static void
strings_free (char **strings)
{
  for (char **at = strings; at && *at; at++)
    free (*at);
  free (strings);
}

static size_t
strings_length (char *const *strings)
{
  size_t n = 0;
  while (strings && strings[n])
    n++;
  return n;
}

static void
problem (struct walk_state *state)
{
  const char *words = guestfs_last_error (state->g);
  if (state->unread++ < 10)
    state->failed |= !inventory_put_problem (state->out, words ? words : "not readable");
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
    state->unread++;
    return;
  }
  struct inventory_file file = { .type = type_letter (stat->st_mode),
                                 .size = (uint64_t)stat->st_size,
                                 .inode = (uint64_t)stat->st_ino,
                                 .mtime = stat->st_mtime_sec,
                                 .uid = (uint32_t)stat->st_uid };
  path[length] = '/';
  memcpy (path + length + 1, name, n + 1);
  state->files++;
  state->failed |= !inventory_put_file (state->out, path, &file);
  if (file.type == 'd')
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
  for (size_t i = 0, n = 0; names && i < entries->len; i++)
    if (is_entry (entries->val[i].name) && (names[n] = strdup (entries->val[i].name)) != NULL)
      n++;
  guestfs_free_dirent_list (entries);
  return names;
}

/* path: room for INVENTORY_NAME_MAX bytes; "" is the root. */
static void
walk_directory (struct walk_state *state, char *path, size_t length, int depth)
{
  if (state->failed)
    return;
  if (depth > DEPTH_MAX || state->files > FILES_MAX) {
    state->unread++;
    return;
  }
  const char *directory = length ? path : "/";
  char **names = read_directory (state->g, directory);
  size_t n = strings_length (names);
  struct guestfs_statns_list *stats = NULL;
  if (n > 0) {
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
  strings_free (names);
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

static const char *
mount_point (const struct walk_state *state, const char *device)
{
  for (char **at = state->mounts; at && at[0] && at[1]; at += 2)
    if (strcmp (at[1], device) == 0)
      return at[0];
  return NULL;
}

static void
walk_filesystem (struct walk_state *state, const char *device, const char *type)
{
  char path[INVENTORY_NAME_MAX + 1] = "";
  const char *at = mount_point (state, device);
  uint64_t before = state->files;
  state->unread = 0;
  state->failed |= !inventory_put_filesystem (state->out, device, type, at);
  /* Read-only for the kernel of the appliance, which replays the journal into the overlay all the same: what
   * is seen is what the guest would see after a crash.  XFS refuses a second filesystem of one UUID. */
  const char *options = strcmp (type, "xfs") == 0 ? "ro,nouuid" : "ro";
  if (has_files (type)) {
    if (guestfs_mount_options (state->g, options, device, "/") == 0)
      walk_directory (state, path, 0, 0);
    else
      problem (state);
    guestfs_umount_all (state->g);
  }
  json_object *one = json_object_new_object ();
  json_object_object_add (one, "device", text_to_json (device));
  json_object_object_add (one, "type", text_to_json (type));
  if (at)
    json_object_object_add (one, "mountpoint", text_to_json (at));
  json_object_object_add (one, "files", json_object_new_int64 ((int64_t)(state->files - before)));
  json_object_object_add (one, "unread", json_object_new_int64 ((int64_t)state->unread));
  json_object_array_add (state->filesystems, one);
}

static int
compare_pairs (const void *a, const void *b)
{
  return compare_names (a, b);
}

static bool
walk_filesystems (struct walk_state *state)
{
  char **found = guestfs_list_filesystems (state->g); /* device, type, ... */
  if (found == NULL)
    return false;
  qsort (found, strings_length (found) / 2, 2 * sizeof *found, compare_pairs);
  for (char **at = found; at[0] && at[1]; at += 2)
    walk_filesystem (state, at[0], at[1]);
  strings_free (found);
  return true;
}

/* --- the operating system --- */

static void
add_words (json_object *to, const char *key, char *words)
{
  if (words && strcmp (words, "unknown") != 0)
    json_object_object_add (to, key, text_to_json (words));
  free (words);
}

static json_object *
inspect (struct walk_state *state)
{
  char **roots = guestfs_inspect_os (state->g);
  json_object *os = NULL;
  if (roots && roots[0]) {
    os = json_object_new_object ();
    add_words (os, "type", guestfs_inspect_get_type (state->g, roots[0]));
    add_words (os, "distribution", guestfs_inspect_get_distro (state->g, roots[0]));
    add_words (os, "product", guestfs_inspect_get_product_name (state->g, roots[0]));
    add_words (os, "hostname", guestfs_inspect_get_hostname (state->g, roots[0]));
    state->mounts = guestfs_inspect_get_mountpoints (state->g, roots[0]);
  }
  strings_free (roots);
  guestfs_umount_all (state->g);
  return os;
}

/* --- the appliance --- */

static bool
launch (guestfs_h *g, const struct walk_request *request)
{
  guestfs_set_error_handler (g, NULL, NULL);
  if (guestfs_set_backend (g, "direct") < 0 || guestfs_set_path (g, request->appliance) < 0
      || guestfs_set_tmpdir (g, request->tmp) < 0 || guestfs_set_cachedir (g, request->tmp) < 0
      || guestfs_set_memsize (g, MEMORY_MB) < 0 || guestfs_set_smp (g, PROCESSORS) < 0
      || guestfs_set_autosync (g, 0) < 0
      || guestfs_set_backend_setting (g, request->kvm ? "force_kvm" : "force_tcg", "1") < 0)
    return false;
  for (int i = 0; i < request->n_servers; i++) {
    char *server[] = { (char *)request->servers[i], NULL };
    struct guestfs_add_drive_opts_argv options
        = { .bitmask = GUESTFS_ADD_DRIVE_OPTS_READONLY_BITMASK | GUESTFS_ADD_DRIVE_OPTS_FORMAT_BITMASK
                       | GUESTFS_ADD_DRIVE_OPTS_PROTOCOL_BITMASK | GUESTFS_ADD_DRIVE_OPTS_SERVER_BITMASK,
            .readonly = 1,
            .format = "raw",
            .protocol = "nbd",
            .server = server };
    /* Without a name of an export libguestfs 1.48 crashes; guardd serves whatever is asked for. */
    if (guestfs_add_drive_opts_argv (g, "disk", &options) < 0)
      return false;
  }
  return guestfs_launch (g) == 0;
}

static void
summarize (const struct walk_state *state, json_object *os, FILE *summary)
{
  json_object *all = json_object_new_object ();
  json_object_object_add (all, "files", json_object_new_int64 ((int64_t)state->files));
  json_object_object_add (all, "filesystems", json_object_get (state->filesystems));
  if (os)
    json_object_object_add (all, "os", os);
  fputs (json_object_to_json_string_ext (all, JSON_C_TO_STRING_PLAIN), summary);
  json_object_put (all);
}

bool
walk (const struct walk_request *request, gzFile out, FILE *summary)
{
  struct walk_state state = { .g = guestfs_create (), .out = out };
  if (state.g == NULL)
    return false;
  state.filesystems = json_object_new_array ();
  json_object *os = NULL;
  bool ok = launch (state.g, request) && jail_limit_memory ();
  if (ok && request->inspect)
    os = inspect (&state);
  state.failed = !inventory_begin (out);
  ok = ok && walk_filesystems (&state);
  if (!ok) {
    const char *words = guestfs_last_error (state.g);
    fprintf (stderr, "libguestfs: %s\n", words ? words : "no reason was given");
  }
  state.failed |= ok && !inventory_end (out, state.files);
  if (ok && state.failed)
    fputs ("the list of files could not be written\n", stderr);
  if (ok && !state.failed)
    summarize (&state, os, summary);
  else
    json_object_put (os);
  strings_free (state.mounts);
  json_object_put (state.filesystems);
  /* The appliance has nothing that must be kept: it goes with this process. */
  return ok && !state.failed;
}
