/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "modified.h"

#include "kind.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SIZE_MIN 64u /* bytes; less says nothing */

struct modified {
  struct inventory_reader older;
  bool readable, inside; /* inside: `older` has read a file of the filesystem that is met */
  size_t n, most;
  uint64_t seen;   /* that could have been chosen */
  uint64_t random; /* xorshift64 */
  char *paths[MODIFIED_MAX];
};

static void
forget (struct modified *modified)
{
  for (size_t i = 0; i < modified->n; i++)
    free (modified->paths[i]);
  modified->n = 0;
  modified->seen = 0;
}

struct modified *
modified_new (gzFile older)
{
  struct modified *modified = calloc (1, sizeof *modified);
  if (modified == NULL || !inventory_read_begin (&modified->older, older)
      || !inventory_read_next (&modified->older)
      || getrandom (&modified->random, sizeof modified->random, 0) != sizeof modified->random) {
    free (modified);
    return NULL;
  }
  modified->random |= 1;
  modified->readable = true;
  return modified;
}

void
modified_free (struct modified *modified)
{
  if (modified)
    forget (modified);
  free (modified);
}

/* What cannot be read from here on has not been modified. */
static void
advance (struct modified *modified)
{
  modified->readable = inventory_read_next (&modified->older) && modified->older.kind != INVENTORY_END;
}

void
modified_begin (struct modified *modified, const char *device, size_t most)
{
  struct inventory_reader *older = &modified->older;
  forget (modified);
  modified->most = most < MODIFIED_MAX ? most : MODIFIED_MAX;
  while (modified->readable && (older->kind != INVENTORY_FILESYSTEM || strcmp (older->device, device) < 0))
    advance (modified);
  modified->inside = modified->readable && strcmp (older->device, device) == 0;
  if (modified->inside)
    advance (modified);
}

static uint64_t
below (struct modified *modified, uint64_t limit)
{
  modified->random ^= modified->random << 13;
  modified->random ^= modified->random >> 7;
  modified->random ^= modified->random << 17;
  return modified->random % limit;
}

/* Each of those seen is in with the same chance. */
static void
choose (struct modified *modified, const char *path)
{
  size_t at = modified->n;
  modified->seen++;
  if (modified->n == modified->most) {
    at = modified->most ? (size_t)below (modified, modified->seen) : 0;
    if (at >= modified->most)
      return;
    free (modified->paths[at]);
  } else {
    modified->n++;
  }
  modified->paths[at] = strdup (path);
}

void
modified_meet (struct modified *modified, const char *path, const struct inventory_file *file)
{
  const struct inventory_reader *older = &modified->older;
  while (modified->inside && modified->readable && older->kind == INVENTORY_FILE
         && inventory_compare_paths (older->path, path) < 0)
    advance (modified);
  modified->inside = modified->inside && modified->readable && older->kind == INVENTORY_FILE;
  if (!modified->inside || strcmp (older->path, path) != 0)
    return;
  const struct inventory_file *was = &older->file;
  /* Who encrypts may set mtime back, but not ctime. */
  bool touched = was->ctime != 0 && was->ctime != file->ctime;
  bool same = was->size == file->size && was->mtime == file->mtime && !touched;
  if (!same && was->type == 'f' && file->type == 'f' && file->size >= SIZE_MIN && kind_is_promised (path))
    choose (modified, path);
}

char *const *
modified_paths (const struct modified *modified, size_t *n)
{
  *n = modified->n;
  return modified->paths;
}
