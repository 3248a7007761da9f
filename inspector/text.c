/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <glib.h>
#include <string.h>

/* Bytes; for people, a path of 4 KiB of control characters would be 16.  An answer has at most 130 of these
 * and 100 filesystems that are gone, so that it stays below what guardd takes (1 MiB) even when JSON doubles
 * each. */
#define TEXT_MAX 1024u
#define ELLIPSIS "…"

json_object *
text_to_json (const char *bytes)
{
  g_autoptr (GString) text = g_string_new (NULL);
  gsize fits = 0; /* up to where it can be cut to make room for the ellipsis */
  for (const char *at = bytes; *at && text->len <= TEXT_MAX;) {
    if (text->len <= TEXT_MAX - strlen (ELLIPSIS))
      fits = text->len;
    gunichar c = g_utf8_get_char_validated (at, -1);
    if (c == (gunichar)-1 || c == (gunichar)-2 || !g_unichar_isprint (c)) {
      g_string_append_printf (text, "\\x%02x", (unsigned)(guchar)*at++);
    } else {
      const char *next = g_utf8_next_char (at);
      g_string_append_len (text, at, next - at);
      at = next;
    }
  }
  if (text->len > TEXT_MAX) {
    g_string_truncate (text, fits);
    g_string_append (text, ELLIPSIS);
  }
  return json_object_new_string (text->str);
}
