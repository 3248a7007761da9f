/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine.h: liblvm2cmd, which takes command lines and answers through a callback without user data; so there
 * is one for the process, and no thread beside.
 */
#pragma once

#include <gio/gio.h>
#include <glib.h>
#include <stdbool.h>

bool engine_start (GError **error);

/* Runs one command.  lines (may be NULL): what it printed, warnings among it, one string a callback; NULL on
 * failure.  The error has what the command complained of. */
G_GNUC_PRINTF (3, 4)
bool engine_run (GPtrArray **lines, GError **error, const char *format, ...);
