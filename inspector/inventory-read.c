/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int
digit (char c)
{
  return isdigit ((unsigned char)c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next word of *at, unescaped, to `text` of `size` bytes; false: none, too long, or no escape. */
static bool
take_word (const char **at, char *text, size_t size)
{
  size_t n = 0;
  const char *c = *at;
  for (; *c && *c != ' '; c++) {
    char byte = *c;
    if (byte == '%') {
      int high = digit (c[1]), low = high < 0 ? -1 : digit (c[2]);
      if (low < 0 || (high | low) == 0)
        return false;
      byte = (char)(high << 4 | low);
      c += 2;
    }
    if (n + 1 >= size)
      return false;
    text[n++] = byte;
  }
  text[n] = '\0';
  *at = *c ? c + 1 : c;
  return n > 0;
}

static bool
read_line (struct inventory_reader *reader)
{
  if (gzgets (reader->in, reader->line, sizeof reader->line) == NULL)
    return false;
  size_t length = strlen (reader->line);
  if (length == 0 || reader->line[length - 1] != '\n')
    return false;
  reader->line[length - 1] = '\0';
  return true;
}

bool
inventory_read_begin (struct inventory_reader *reader, gzFile in)
{
  memset (reader, 0, sizeof *reader);
  reader->in = in;
  return read_line (reader) && strcmp (reader->line, INVENTORY_MAGIC) == 0;
}

static bool
read_filesystem (struct inventory_reader *reader)
{
  char device[sizeof reader->device];
  const char *at = reader->line + strlen ("fs ");
  if (!take_word (&at, device, sizeof device) || strcmp (device, reader->device) <= 0
      || !take_word (&at, reader->type, sizeof reader->type)
      || !take_word (&at, reader->mountpoint, sizeof reader->mountpoint))
    return false;
  memcpy (reader->device, device, sizeof device);
  reader->path[0] = '\0';
  reader->kind = INVENTORY_FILESYSTEM;
  return true;
}

static bool
read_file (struct inventory_reader *reader)
{
  char path[sizeof reader->path];
  struct inventory_file *file = &reader->file;
  const char *at = reader->line + strlen ("f ");
  if (reader->device[0] == '\0' || !take_word (&at, path, sizeof path)
      || inventory_compare_paths (path, reader->path) <= 0)
    return false;
  file->ctime = 0;
  if (sscanf (at, "%c %" SCNu64 " %" SCNd64 " %" SCNu32 " %" SCNu64 " %" SCNd64, &file->type, &file->size,
              &file->mtime, &file->uid, &file->inode, &file->ctime)
      < 5)
    return false;
  memcpy (reader->path, path, strlen (path) + 1);
  reader->files++;
  reader->kind = INVENTORY_FILE;
  return true;
}

bool
inventory_read_next (struct inventory_reader *reader)
{
  while (read_line (reader)) {
    const char *line = reader->line;
    if (strncmp (line, "f ", 2) == 0)
      return read_file (reader);
    if (strncmp (line, "fs ", 3) == 0)
      return read_filesystem (reader);
    if (strncmp (line, "end ", 4) == 0) {
      reader->kind = INVENTORY_END;
      return strtoull (line + 4, NULL, 10) == reader->files;
    }
    if (strncmp (line, "! ", 2) != 0)
      return false;
    reader->problems++;
  }
  return false;
}
