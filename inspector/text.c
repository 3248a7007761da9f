/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <glib.h>

json_object *
text_to_json (const char *bytes)
{
  g_autoptr (GString) text = g_string_new (NULL);
  for (const char *at = bytes; *at;) {
    gunichar c = g_utf8_get_char_validated (at, -1);
    if (c == (gunichar)-1 || c == (gunichar)-2 || !g_unichar_isprint (c)) {
      g_string_append_printf (text, "\\x%02x", (unsigned)(guchar)*at++);
    } else {
      const char *next = g_utf8_next_char (at);
      g_string_append_len (text, at, next - at);
      at = next;
    }
  }
  return json_object_new_string (text->str);
}
