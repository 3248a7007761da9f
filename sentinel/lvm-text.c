/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lvm-text.h"

#include <string.h>

static void
skip_blank (struct lvm_text *text)
{
  while (text->at < text->end) {
    if (*text->at == '#')
      while (text->at < text->end && *text->at != '\n')
        text->at++;
    else if (strchr (" \t\r\n", *text->at) && *text->at)
      text->at++;
    else
      return;
  }
}

static void
skip_string (struct lvm_text *text)
{
  for (text->at++; text->at < text->end && *text->at != '"'; text->at++)
    if (*text->at == '\\')
      text->at++;
  text->at++;
}

/* Up to the character that closes what was opened; nested ones are passed over. */
static bool
skip_to (struct lvm_text *text, char opens, char closes)
{
  unsigned depth = 1;
  while (text->at < text->end) {
    char c = *text->at;
    if (c == '"') {
      skip_string (text);
      continue;
    }
    if (c == '#') {
      skip_blank (text);
      continue;
    }
    if (c == closes && --depth == 0)
      return true;
    if (c == opens)
      depth++;
    text->at++;
  }
  return false;
}

bool
lvm_next (struct lvm_text *text, struct lvm_item *item)
{
  size_t length = 0;
  skip_blank (text);
  while (text->at < text->end && !strchr (" \t\r\n={}[]#\"", *text->at) && *text->at) {
    if (length < sizeof item->name - 1)
      item->name[length++] = *text->at;
    text->at++;
  }
  item->name[length] = '\0';
  skip_blank (text);
  if (length == 0 || text->at >= text->end)
    return false;
  item->is_section = *text->at == '{';
  if (!item->is_section && *text->at != '=')
    return false;
  text->at++;
  if (!item->is_section)
    skip_blank (text);
  item->value.at = text->at;
  if (item->is_section) {
    if (!skip_to (text, '{', '}'))
      return false;
  } else if (text->at < text->end && *text->at == '[') {
    text->at++;
    if (!skip_to (text, '[', ']'))
      return false;
  } else {
    while (text->at < text->end && *text->at != '\n' && *text->at != '}')
      if (*text->at == '"')
        skip_string (text);
      else
        text->at++;
  }
  if (text->at > text->end)
    return false;
  item->value.end = text->at;
  if (text->at < text->end && (*text->at == '}' || *text->at == ']'))
    text->at += item->is_section || *text->at == ']';
  return true;
}

bool
lvm_find (struct lvm_text section, const char *name, struct lvm_item *item)
{
  while (lvm_next (&section, item))
    if (strcmp (item->name, name) == 0)
      return true;
  return false;
}

static uint64_t
parse_number (struct lvm_text text)
{
  uint64_t value = 0;
  while (text.at < text.end && *text.at >= '0' && *text.at <= '9' && value < UINT64_MAX / 10 - 10)
    value = value * 10 + (uint64_t)(*text.at++ - '0');
  return value;
}

uint64_t
lvm_number (struct lvm_text section, const char *name)
{
  struct lvm_item item;
  return lvm_find (section, name, &item) && !item.is_section ? parse_number (item.value) : 0;
}

static void
take_string (struct lvm_text *text, char *value, size_t size)
{
  size_t length = 0;
  while (text->at < text->end && *text->at != '"')
    text->at++;
  for (text->at++; text->at < text->end && *text->at != '"'; text->at++)
    if (length < size - 1)
      value[length++] = *text->at;
  text->at++;
  value[length] = '\0';
}

bool
lvm_quoted (struct lvm_text *text, char *value, size_t size)
{
  while (text->at < text->end && *text->at != '"')
    text->at++;
  if (text->at >= text->end)
    return false;
  take_string (text, value, size);
  return true;
}

void
lvm_string (struct lvm_text section, const char *name, char *value, size_t size)
{
  struct lvm_item item;
  value[0] = '\0';
  if (lvm_find (section, name, &item) && !item.is_section)
    take_string (&item.value, value, size);
}

bool
lvm_stripe (struct lvm_text section, char pv[64], uint64_t *extent)
{
  struct lvm_item item;
  if (!lvm_find (section, "stripes", &item) || item.is_section)
    return false;
  take_string (&item.value, pv, 64);
  while (item.value.at < item.value.end && (*item.value.at < '0' || *item.value.at > '9'))
    item.value.at++;
  if (item.value.at >= item.value.end)
    return false;
  *extent = parse_number (item.value);
  return pv[0] != '\0';
}
