/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two lists of files, older one first, with a line "----" between them. */
#include "inspector/compare.h"

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
  if (older)
    gzclose (older);
  if (newer)
    gzclose (newer);
  return 0;
}
