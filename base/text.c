/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <string.h>

#define ELLIPSIS "…"

char *
text_to_line (const char *text, gsize most)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *line = g_string_new (NULL);
  for (const char *at = valid; *at && line->len <= most; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);
    g_string_append_unichar (line, g_unichar_isprint (c) ? c : ' ');
  }
  if (line->len > most) {
    const char *end = line->str + most - strlen (ELLIPSIS) + 1;
    g_string_truncate (line, (gsize)(g_utf8_find_prev_char (line->str, end) - line->str));
    g_string_append (line, ELLIPSIS);
  }
  return g_string_free (line, FALSE);
}
