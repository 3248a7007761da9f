/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hex.h: bytes as lower-case hexadecimal text and back.  Pure.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

char *hex_format (const guint8 *bytes, size_t n); /* g_free() */
/* text must be exactly 2 * n digits; bytes are undefined on failure */
bool hex_parse (const char *text, guint8 *bytes, size_t n);
