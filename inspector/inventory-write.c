/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory.h"

#include <inttypes.h>

/* text: room for 3 bytes for each of name's, and one. */
static void
escape (const char *name, char *text)
{
  static const char digits[] = "0123456789ABCDEF";
  for (const unsigned char *at = (const unsigned char *)name; *at; at++)
    if (*at <= ' ' || *at == '%' || *at == 0x7f) {
      *text++ = '%';
      *text++ = digits[*at >> 4];
      *text++ = digits[*at & 15];
    } else {
      *text++ = (char)*at;
    }
  *text = '\0';
}

static void
escape_some (const char *name, char *text, size_t length)
{
  char some[256];
  snprintf (some, length < sizeof some ? length : sizeof some, "%s", name && name[0] ? name : "-");
  escape (some, text);
}

bool
inventory_begin (gzFile out)
{
  return gzputs (out, INVENTORY_MAGIC "\n") > 0;
}

bool
inventory_put_filesystem (gzFile out, const char *device, const char *type, const char *mountpoint)
{
  char texts[3][3 * 256];
  escape_some (device, texts[0], 256);
  escape_some (type, texts[1], 64);
  escape_some (mountpoint, texts[2], 256);
  return gzprintf (out, "fs %s %s %s\n", texts[0], texts[1], texts[2]) > 0;
}

bool
inventory_put_file (gzFile out, const char *path, const struct inventory_file *file)
{
  static char text[3 * INVENTORY_NAME_MAX + 1]; /* too much for a stack; one thread */
  char numbers[128];
  escape (path, text);
  snprintf (numbers, sizeof numbers, " %c %" PRIu64 " %" PRId64 " %" PRIu32 " %" PRIu64 " %" PRId64 "\n",
            file->type, file->size, file->mtime, file->uid, file->inode, file->ctime);
  return gzputs (out, "f ") > 0 && gzputs (out, text) > 0 && gzputs (out, numbers) > 0;
}

bool
inventory_put_problem (gzFile out, const char *words)
{
  char text[3 * 256];
  escape_some (words, text, 256);
  return gzprintf (out, "! %s\n", text) > 0;
}

bool
inventory_end (gzFile out, uint64_t files)
{
  return gzprintf (out, "end %" PRIu64 "\n", files) > 0;
}

static int
rank (unsigned char byte)
{
  return byte == '\0' ? -1 : byte == '/' ? 0 : byte;
}

int
inventory_compare_paths (const char *a, const char *b)
{
  while (*a && *a == *b) {
    a++;
    b++;
  }
  return rank ((unsigned char)*a) - rank ((unsigned char)*b);
}
