/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "killpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef enum { WRITTEN, CREATED, RENAMED } What;

/* Newest first. */
typedef struct Step {
  struct Step *next;
  What what;
  dev_t device; /* of the file, or of the directory that has the name */
  ino_t inode;
  char path[PATH_MAX], from[PATH_MAX];
  off_t offset, size; /* size: before */
  size_t length;
  char *before;
} Step;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Step *steps;

static int
is_ours (const char *path)
{
  const char *root = getenv ("KILLPOINT_ROOT");

  return root && strncmp (path, root, strlen (root)) == 0;
}

static int
path_of_fd (int fd, char *path)
{
  char link[64];
  ssize_t n;

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink (link, path, PATH_MAX - 1);
  if (n <= 0)
    return 0;
  path[n] = '\0';
  return is_ours (path);
}

static int
path_at (int dir_fd, const char *name, char *path)
{
  char directory[PATH_MAX];

  if (name[0] == '/' || dir_fd == AT_FDCWD)
    return snprintf (path, PATH_MAX, "%s", name) < PATH_MAX && is_ours (path);
  return path_of_fd (dir_fd, directory) && snprintf (path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX;
}

static void
parent_of (const char *path, char *parent)
{
  char *slash;

  snprintf (parent, PATH_MAX, "%s", path);
  slash = strrchr (parent, '/');
  if (slash)
    *slash = '\0';
}

static void
push (Step *step, const struct stat *st)
{
  step->device = st->st_dev;
  step->inode = st->st_ino;
  pthread_mutex_lock (&lock);
  step->next = steps;
  steps = step;
  pthread_mutex_unlock (&lock);
}

static void
push_name (What what, const char *path, const char *from)
{
  Step *step = calloc (1, sizeof *step);
  char parent[PATH_MAX];
  struct stat st;

  parent_of (path, parent);
  if (!step || stat (parent, &st) < 0) {
    free (step);
    return;
  }
  step->what = what;
  snprintf (step->path, sizeof step->path, "%s", path);
  snprintf (step->from, sizeof step->from, "%s", from);
  push (step, &st);
}

void
undo_note_write (int fd, off_t offset, size_t length)
{
  Step *step = calloc (1, sizeof *step);
  struct stat st;
  int reader;

  if (!step || !path_of_fd (fd, step->path) || fstat (fd, &st) < 0 || !S_ISREG (st.st_mode)) {
    free (step);
    return;
  }
  step->what = WRITTEN;
  step->offset = offset;
  step->size = st.st_size;
  /* a descriptor of our own: theirs may be write-only, or past the page cache */
  reader = offset < st.st_size ? open (step->path, O_RDONLY | O_CLOEXEC) : -1;
  if (reader >= 0) {
    step->before = malloc (length);
    ssize_t n = step->before ? pread (reader, step->before, length, offset) : 0;
    step->length = n > 0 ? (size_t)n : 0;
    close (reader);
  }
  push (step, &st);
}

void
undo_note_truncate (int fd)
{
  struct stat st;

  /* what is cut off is gone; what is grown is cut off again */
  if (fstat (fd, &st) == 0)
    undo_note_write (fd, st.st_size, 0);
}

void
undo_note_created (int dir_fd, const char *name)
{
  char path[PATH_MAX];

  if (path_at (dir_fd, name, path))
    push_name (CREATED, path, "");
}

void
undo_note_renamed (int from_fd, const char *from, int to_fd, const char *to)
{
  char old[PATH_MAX], new[PATH_MAX];

  if (path_at (from_fd, from, old) && path_at (to_fd, to, new))
    push_name (RENAMED, new, old);
}

/* A file's own name becomes durable with it, as ext4, XFS and btrfs do it. */
void
undo_note_synced (int fd)
{
  char path[PATH_MAX];
  struct stat st;

  if (!path_of_fd (fd, path) || fstat (fd, &st) < 0)
    return;
  pthread_mutex_lock (&lock);
  for (Step **at = &steps; *at;) {
    Step *step = *at;
    int same = step->device == st.st_dev && step->inode == st.st_ino;

    if (same || (step->what == CREATED && strcmp (step->path, path) == 0)) {
      *at = step->next;
      free (step->before);
      free (step);
    } else
      at = &step->next;
  }
  pthread_mutex_unlock (&lock);
}

static void
undo_write (const Step *step)
{
  int fd = open (step->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

  if (fd < 0)
    return;
  if (step->length > 0)
    syscall (SYS_pwrite64, fd, step->before, step->length, step->offset);
  syscall (SYS_ftruncate, fd, step->size);
  close (fd);
}

void
undo_all (void)
{
  pthread_mutex_lock (&lock); /* for good: the process ends here */
  for (const Step *step = steps; step; step = step->next) {
    if (step->what == WRITTEN)
      undo_write (step);
    else if (step->what == RENAMED)
      syscall (SYS_rename, step->path, step->from);
    else if (syscall (SYS_unlink, step->path) < 0 && errno == EISDIR)
      syscall (SYS_rmdir, step->path);
  }
}
