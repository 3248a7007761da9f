/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "chain.h"
#include "copy.h"
#include "maintain.h"
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define WINDOW 1024u

typedef struct {
  const Instance *instance;
  const struct guardd_call *call;
  const char *domain;
  int aside;
  char *path; /* of aside */
} Commit;

/* A file aside: "00000042.vda.idx" -> the image it is for. */
static ImageName *
commit_name (const Commit *commit, const char *file)
{
  g_auto (GStrv) parts = g_strsplit (file, ".", 4);
  if (g_strv_length (parts) != 3) {
    fail (commit->call, 0, "%s/%s: does not belong there; remove it", commit->path, file);
    return NULL;
  }
  g_autofree char *directory = g_strdup_printf ("%s/%s", commit->domain, parts[0]);
  return image_name_new (commit->instance, commit->call, directory, parts[1]);
}

static int
protect_again (int dir_fd, const char *name)
{
  auto_fd fd = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd >= 0)
    file_protect (fd);
  return 0;
}

/* Renames a file aside over the image's. */
static int
commit_rename (const Commit *commit, const char *file)
{
  g_autoptr (ImageName) name = commit_name (commit, file);
  if (name == NULL)
    return -1;
  auto_fd dir = image_directory_open (commit->instance, commit->call, name->directory);
  if (dir < 0)
    return -1;
  const char *to = g_str_has_suffix (file, ".idx") ? name->index : name->data;
  file_unprotect (dir, to);
  if (renameat (commit->aside, file, dir, to) < 0)
    return fail (commit->call, errno, "%s/%s: cannot rename %s over it", name->path, to, file);
  protect_again (dir, to);
  return file_sync (commit->call, dir, name->path);
}

static int
file_open_writable (const Commit *commit, int dir, const char *path, const char *name)
{
  file_unprotect (dir, name);
  int fd = openat (dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    fail (commit->call, errno, "%s/%s: cannot open for writing", path, name);
  return fd;
}

/* A new first page; the index that goes with it is renamed afterwards. */
static int
commit_head (const Commit *commit, const char *file)
{
  guint8 page[OVERLAY_PAGE];
  g_autoptr (ImageName) name = commit_name (commit, file);
  auto_fd from = openat (commit->aside, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (name == NULL)
    return -1;
  if (from < 0 || pread (from, page, sizeof page, 0) != (ssize_t)sizeof page)
    return fail (commit->call, errno, "%s/%s: cannot read", commit->path, file);
  auto_fd dir = image_directory_open (commit->instance, commit->call, name->directory);
  auto_fd to = dir < 0 ? -1 : file_open_writable (commit, dir, name->path, name->data);
  if (to < 0)
    return -1;
  if (pwrite (to, page, sizeof page, 0) != (ssize_t)sizeof page || fsync (to) < 0)
    return fail (commit->call, errno, "%s/%s: cannot write", name->path, name->data);
  file_protect (to);
  return 0;
}

/* --- folding --- */

static int
fold_copy (const Commit *commit, Chain *chain, int to, const char *path)
{
  g_autofree Slot *slots = g_new (Slot, WINDOW);
  g_autofree bool *overlays = g_new (bool, chain->n_levels);
  CopyRun run = { .to = to, .to_path = path };
  for (guint i = 0; i < chain->n_levels; i++)
    overlays[i] = !index_facts (chain->levels[i].index)->base;
  for (guint64 at = 0;; at += WINDOW) {
    if (chain_next (chain, commit->call, overlays, at, &at) < 0)
      return -1;
    if (at == G_MAXUINT64)
      return copy_run_flush (&run, commit->call);
    if (chain_lookup (chain, commit->call, at, WINDOW, slots) < 0)
      return -1;
    for (guint i = 0; i < WINDOW; i++) {
      guint64 offset = (at + i) * GUARDD_BLOCK_SIZE;
      int result = 0;
      if (slots[i].level == NULL || index_facts (slots[i].level->index)->base)
        continue;
      if (slot_is_zero (&slots[i]))
        result = copy_zero (commit->call, to, path, offset, GUARDD_BLOCK_SIZE);
      else
        result = copy_run_add (&run, commit->call, slots[i].level->fd, slots[i].entry.offset, offset);
      if (result < 0)
        return -1;
    }
  }
}

/* "base-00000001.vda.fold" names the snapshot whose view goes into the base. */
static int
commit_fold (const Commit *commit, const char *file)
{
  char text[65] = "";
  g_autoptr (ImageName) base = commit_name (commit, file);
  auto_fd from = openat (commit->aside, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (base == NULL)
    return -1;
  if (from < 0 || pread (from, text, sizeof text - 1, 0) <= 0)
    return fail (commit->call, errno, "%s/%s: cannot read", commit->path, file);
  g_autofree char *directory = g_strdup_printf ("%s/%s", commit->domain, text);
  g_autofree char *path = g_strdup_printf ("%s/%s", base->path, base->data);
  g_autoptr (Chain) chain = chain_open (commit->instance, commit->call, directory, base->disk);
  if (chain == NULL)
    return -1;
  auto_fd dir = image_directory_open (commit->instance, commit->call, base->directory);
  auto_fd to = dir < 0 ? -1 : file_open_writable (commit, dir, base->path, base->data);
  if (to < 0 || fold_copy (commit, chain, to, path) < 0)
    return -1;
  if (ftruncate (to, (off_t)((chain->size + 511) / 512 * 512)) < 0 || fsync (to) < 0)
    return fail (commit->call, errno, "%s: cannot write", path);
  file_protect (to);
  return 0;
}

/* --- all of it --- */

static const struct {
  const char *suffix;
  int (*step) (const Commit *commit, const char *file);
} steps[] = {
  { ".fold", commit_fold },
  { ".head", commit_head },
  { ".qcow2", commit_rename },
  { ".idx", commit_rename },
};

/* Bases first, indexes last: an index is in place only when what it speaks of is. */
static int
commit_steps (const Commit *commit)
{
  g_autoptr (GPtrArray) names = directory_list (commit->call, commit->aside, commit->path);
  if (names == NULL)
    return -1;
  for (guint s = 0; s < G_N_ELEMENTS (steps); s++)
    for (guint i = 0; i < names->len; i++)
      if (g_str_has_suffix (names->pdata[i], steps[s].suffix) && steps[s].step (commit, names->pdata[i]) < 0)
        return -1;
  return 0;
}

int
maintain_commit (void *opaque, const struct guardd_call *call, const char *domain,
                 const struct guardd_member *members, size_t n_members)
{
  const Instance *instance = opaque;
  g_autofree char *directory = g_strdup_printf ("%s/" MAINTAIN_DIRECTORY, domain);
  Commit commit = { instance, call, domain, -1, NULL };
  int result = 0;
  commit.aside = openat (instance->fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  commit.path = g_strdup_printf ("%s/%s", instance->path, directory);
  if (commit.aside >= 0)
    result = commit_steps (&commit);
  else if (errno != ENOENT)
    result = fail (call, errno, "%s: cannot open", commit.path);
  fd_close (&commit.aside);
  g_free (commit.path);
  if (result == 0)
    result = maintain_abort (opaque, call, domain); /* what is left there has done its work */
  return result == 0 ? maintain_remove_bases (instance, call, domain, members, n_members, false) : result;
}
