/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VOLUME "btrfsvol:"
#define DISK "/dev/sd" /* the only disks that an appliance has */

bool
volume_is (const char *name)
{
  return strncmp (name, VOLUME, strlen (VOLUME)) == 0;
}

/* Bytes of a disk's or a partition's name at the start of the text, "/dev/sda2"; 0: it begins with none. */
static size_t
disk_length (const char *text)
{
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz", digits[] = "0123456789";
  size_t n = strlen (DISK), some;
  if (strncmp (text, DISK, n) != 0 || (some = strspn (text + n, letters)) == 0)
    return 0;
  n += some;
  n += strspn (text + n, digits);
  return text[n] == '/' || text[n] == '\0' ? n : 0;
}

char *
volume_name (const char *listed, const char *whole)
{
  if (!volume_is (listed))
    return strdup (listed);
  const char *raw = listed + strlen (VOLUME);
  size_t length = disk_length (raw), n = disk_length (whole);
  char *name;
  if (length == 0 || n == 0 || whole[n] != '\0')
    return strdup (listed);
  return asprintf (&name, VOLUME "%s%s", whole, raw + length) < 0 ? NULL : name;
}
