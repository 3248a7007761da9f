/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hold-note.h: STATE_DIR/held/<uuid>: a guest that is guardd's to resume, whatever becomes of this guardd.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* On disk when it returns; blocks. */
bool hold_note_write (const char *state_dir, const char *uuid, GError **error);
bool hold_note_exists (const char *state_dir, const char *uuid);
/* One that is not there is none. */
void hold_note_remove (const char *state_dir, const char *uuid);
char **hold_notes_list (const char *state_dir); /* UUIDs; NULL-terminated, g_strfreev() */
