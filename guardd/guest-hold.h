/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest-hold.h: a guest that guardd suspends for a moment, and that goes on whatever becomes of guardd.
 *
 * That it is guardd's to resume is written to STATE_DIR/held/<uuid> before it is suspended, and removed once
 * it runs.  Threads: any but the main one; blocks.
 */
#pragma once

#include "roster.h"

typedef struct GuestHold GuestHold;

/* A guest that does not run is left as it is, and so is it at the end.  NULL: it goes on. */
GuestHold *guest_hold_begin (Roster *roster, const char *state_dir, const char *uuid, GError **error);
/* It ran, and stands still because of the hold. */
bool guest_hold_suspends (const GuestHold *hold);
/* The guest goes on; frees hold.  *held_us: how long it stood.  False: somebody else resumed it meanwhile, or
 * it cannot be resumed: the note stays, and guest_hold_release() tries again. */
bool guest_hold_end (GuestHold *hold, guint64 *held_us, GError **error);

/* --- what an earlier guardd, or a failure, left suspended --- */
bool guest_hold_left (const char *state_dir, const char *uuid);
char **guest_holds_list (const char *state_dir); /* UUIDs; NULL-terminated, g_strfreev() */
/* Resumes it, if it still stands. */
bool guest_hold_release (Roster *roster, const char *state_dir, const char *uuid, GError **error);
/* There is no such guest any more. */
void guest_hold_forget (const char *state_dir, const char *uuid);
