/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest-hold.h: guests that guardd suspends for a moment, and that go on whatever becomes of guardd.
 *
 * That a guest is guardd's to resume is written to STATE_DIR/held/<uuid> before it is suspended, and removed
 * once it runs, or is to stay suspended.  Threads: any; all but guest_holds_new(), _free(), _list() and
 * guest_hold_forget() block: not on the main one.
 */
#pragma once

#include "roster.h"

typedef struct GuestHolds GuestHolds;
typedef struct GuestHold GuestHold;

/* Both are borrowed, and outlive it. */
GuestHolds *guest_holds_new (Roster *roster, const char *state_dir);
void guest_holds_free (GuestHolds *holds);

/* One at a time for a guest (the caller's duty).  A guest that does not run is left as it is, and so is it at
 * the end.  NULL: it goes on. */
GuestHold *guest_hold_begin (GuestHolds *holds, const char *uuid, GError **error);
/* It ran, and stands still because of the hold. */
bool guest_hold_suspends (const GuestHold *hold);
/* The guest goes on, unless guest_hold_keep() came in between; frees hold.  *held_us: how long it stood.
 * False: somebody else resumed it meanwhile, or it cannot be resumed: the note stays, and
 * guest_hold_release() tries again. */
bool guest_hold_end (GuestHold *hold, guint64 *held_us, GError **error);

/* Suspends a guest for good: a hold that has it, or comes to it now, does not resume it. */
bool guest_hold_keep (GuestHolds *holds, const char *uuid, GError **error);

/* --- what an earlier guardd, or a failure, left suspended --- */
char **guest_holds_list (const GuestHolds *holds); /* UUIDs; NULL-terminated, g_strfreev() */
/* Resumes it, if it was left so and still stands.  Not beside a hold (the caller's duty). */
bool guest_hold_release (GuestHolds *holds, const char *uuid, GError **error);
/* There is no such guest any more. */
void guest_hold_forget (const GuestHolds *holds, const char *uuid);
