/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hex.h"

#include <string.h>

char *
hex_format (const guint8 *bytes, size_t n)
{
  static const char digits[] = "0123456789abcdef";
  char *text = g_malloc (2 * n + 1);
  for (size_t i = 0; i < n; i++) {
    text[2 * i] = digits[bytes[i] >> 4];
    text[2 * i + 1] = digits[bytes[i] & 15];
  }
  text[2 * n] = '\0';
  return text;
}

bool
hex_parse (const char *text, guint8 *bytes, size_t n)
{
  if (strlen (text) != 2 * n)
    return false;
  for (size_t i = 0; i < n; i++) {
    int high = g_ascii_xdigit_value (text[2 * i]), low = g_ascii_xdigit_value (text[2 * i + 1]);
    if (high < 0 || low < 0)
      return false;
    bytes[i] = (guint8)(high << 4 | low);
  }
  return true;
}
