/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two lists of files, older one first, with a line "----" between them. */
#include "inspector/compare.h"
#include "inspector/kind.h"
#include "inspector/modified.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static gzFile
open_list (const uint8_t *data, size_t size)
{
  int fd = memfd_create ("list", MFD_CLOEXEC);
  if (write (fd, data, size) != (ssize_t)size || lseek (fd, 0, SEEK_SET) != 0)
    return NULL;
  return gzdopen (fd, "rb"); /* what is not compressed is read as it is */
}

/* As a walk would meet them: the newer list's files, and what such files begin with. */
static void
walk_over (gzFile older, gzFile newer)
{
  static struct inventory_reader reader; /* large */
  struct modified *modified = modified_new (older);
  size_t n = 0;
  bool more = modified && inventory_read_begin (&reader, newer) && inventory_read_next (&reader);
  for (; more && reader.kind != INVENTORY_END; more = inventory_read_next (&reader)) {
    if (reader.kind == INVENTORY_FILESYSTEM)
      modified_begin (modified, reader.device, 3);
    else
      modified_meet (modified, reader.path, &reader.file);
    kind_is_kept (reader.path, (const unsigned char *)reader.line, strlen (reader.line));
  }
  if (modified && modified_paths (modified, &n) && n > 3)
    __builtin_trap ();
  modified_free (modified);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static int nowhere = -1;
  const uint8_t *middle = memmem (data, size, "\n----\n", 6);
  size_t first = middle ? (size_t)(middle - data) + 1 : size;
  const uint8_t *rest = middle ? middle + 6 : data;
  if (nowhere < 0)
    nowhere = open ("/dev/null", O_WRONLY | O_CLOEXEC);
  gzFile older = open_list (data, first), newer = open_list (rest, middle ? size - first - 5 : size);
  if (older && newer)
    compare_inventories (older, newer, nowhere);
  if (older && newer && gzrewind (older) == 0 && gzrewind (newer) == 0)
    walk_over (older, newer);
  if (older)
    gzclose (older);
  if (newer)
    gzclose (newer);
  return 0;
}
