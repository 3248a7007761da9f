/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "names.h"

#include <stddef.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
/* What LVM itself appends: "-tpool" and the like. */
#define SUFFIX_ROOM 8

#define TAG_MAX 1024

static bool
is_of (const char *text, const char *allowed, size_t max)
{
  size_t n = strlen (text);
  return n > 0 && n <= max && strspn (text, allowed) == n;
}

bool
lvm_name_is_valid (const char *name)
{
  return name != NULL && is_of (name, LETTERS "+_.-", LVM_NAME_MAX) && name[0] != '-'
         && strcmp (name, ".") != 0 && strcmp (name, "..") != 0;
}

static size_t
mangled_length (const char *name)
{
  size_t n = 0;
  for (; *name; name++)
    n += *name == '-' ? 2 : 1;
  return n;
}

bool
lvm_names_fit (const char *vg, const char *lv)
{
  return mangled_length (vg) + 1 + mangled_length (lv) + SUFFIX_ROOM <= LVM_NAME_MAX;
}

bool
lvm_tag_is_valid (const char *tag)
{
  return tag != NULL && is_of (tag, LETTERS "+_.-/=!:&#", TAG_MAX);
}
