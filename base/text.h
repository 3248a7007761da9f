/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text.h: what others wrote, fit to be told.  Threads: any. */
#pragma once

#include <glib.h>

/* One line of valid UTF-8 of at most `most` bytes (at least 3); what is cut off ends with "…", and what is
 * not printable is a space. */
char *text_to_line (const char *text, gsize most);
