/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "guest-hold.h"

#include "hold-note.h"

#include <libvirt/virterror.h>

/* How long libvirt may take for a resumption that is under way when somebody wants the guest to stay. */
#define RESUME_WAIT_US (10 * G_USEC_PER_SEC)

typedef enum {
  PHASE_NONE,
  PHASE_HELD,     /* from before its state is looked at */
  PHASE_KEPT,     /* the same, but it stays suspended */
  PHASE_RESUMING, /* too late for that */
} Phase;

struct GuestHolds {
  Roster *roster;
  const char *state_dir;
  GMutex lock; /* never held while libvirt or a disk is waited for */
  GCond ended;
  GHashTable *phases;  /* lock: UUID -> Phase, of those that are held or released */
  GHashTable *keeping; /* lock: UUIDs that are about to be suspended for good */
};

struct GuestHold {
  GuestHolds *holds;
  virDomainPtr domain;
  char *uuid;
  bool suspended; /* by us */
  gint64 since;   /* monotonic */
};

GuestHolds *
guest_holds_new (Roster *roster, const char *state_dir)
{
  GuestHolds *holds = g_new0 (GuestHolds, 1);
  holds->roster = roster;
  holds->state_dir = state_dir;
  g_mutex_init (&holds->lock);
  g_cond_init (&holds->ended);
  holds->phases = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  holds->keeping = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return holds;
}

void
guest_holds_free (GuestHolds *holds)
{
  if (holds == NULL)
    return;
  g_hash_table_unref (holds->phases);
  g_hash_table_unref (holds->keeping);
  g_cond_clear (&holds->ended);
  g_mutex_clear (&holds->lock);
  g_free (holds);
}

/* --- who may resume it --- */

/* With lock held. */
static Phase
phase_of (const GuestHolds *holds, const char *uuid)
{
  return (Phase)GPOINTER_TO_INT (g_hash_table_lookup (holds->phases, uuid));
}

/* With lock held. */
static void
set_phase (GuestHolds *holds, const char *uuid, Phase phase)
{
  g_hash_table_insert (holds->phases, g_strdup (uuid), GINT_TO_POINTER (phase));
}

static void
phase_begin (GuestHolds *holds, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&holds->lock);
  set_phase (holds, uuid, g_hash_table_contains (holds->keeping, uuid) ? PHASE_KEPT : PHASE_HELD);
}

static bool
phase_is_kept (GuestHolds *holds, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&holds->lock);
  return phase_of (holds, uuid) == PHASE_KEPT;
}

/* False: it is to stay suspended. */
static bool
phase_may_resume (GuestHolds *holds, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&holds->lock);
  bool may = phase_of (holds, uuid) != PHASE_KEPT && !g_hash_table_contains (holds->keeping, uuid);
  if (may)
    set_phase (holds, uuid, PHASE_RESUMING);
  return may;
}

static void
phase_end (GuestHolds *holds, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&holds->lock);
  g_hash_table_remove (holds->phases, uuid);
  g_cond_broadcast (&holds->ended);
}

/* --- the guest --- */

static bool
hold_fail (const char *uuid, const char *what, GError **error)
{
  const virError *last = virGetLastError ();
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "domain %s: cannot %s: %s", uuid, what,
               last && last->message ? last->message : "libvirt gave no reason");
  return false;
}

/* -1: libvirt does not say. */
static int
domain_state (virDomainPtr domain)
{
  int state = 0, reason = 0;
  return virDomainGetState (domain, &state, &reason, 0) < 0 ? -1 : state;
}

/* A guest that is off, or gone, needs none. */
static bool
domain_resume (virDomainPtr domain)
{
  int state = virDomainResume (domain) == 0 ? VIR_DOMAIN_RUNNING : domain_state (domain);
  return state >= 0 && state != VIR_DOMAIN_PAUSED;
}

static void
hold_free (GuestHold *hold)
{
  phase_end (hold->holds, hold->uuid);
  if (hold->domain)
    virDomainFree (hold->domain);
  g_free (hold->uuid);
  g_free (hold);
}

/* True too where it is to stay suspended. */
static bool
hold_resume (GuestHold *hold)
{
  bool ok = !phase_may_resume (hold->holds, hold->uuid) || domain_resume (hold->domain);
  if (ok)
    hold_note_remove (hold->holds->state_dir, hold->uuid);
  return ok;
}

/* Whoever asked for a guest to stand still and was told that it failed, must find it running. */
static bool
hold_suspend (GuestHold *hold, GError **error)
{
  if (!hold_note_write (hold->holds->state_dir, hold->uuid, error))
    return false;
  hold->suspended = true;
  hold->since = g_get_monotonic_time ();
  /* guest_hold_keep() removes it, but may have looked for it just before it was there */
  if (phase_is_kept (hold->holds, hold->uuid))
    hold_note_remove (hold->holds->state_dir, hold->uuid);
  if (virDomainSuspend (hold->domain) == 0)
    return true;
  hold_fail (hold->uuid, "suspend it for the moment of its snapshot", error);
  hold_resume (hold);
  return false;
}

GuestHold *
guest_hold_begin (GuestHolds *holds, const char *uuid, GError **error)
{
  GuestHold *hold = g_new0 (GuestHold, 1);
  hold->holds = holds;
  hold->uuid = g_strdup (uuid);
  hold->since = g_get_monotonic_time ();
  phase_begin (holds, uuid);
  hold->domain = roster_lookup (holds->roster, uuid, error);
  int state = hold->domain ? domain_state (hold->domain) : -1;
  bool ok = state >= 0 || (hold->domain && hold_fail (uuid, "see whether it runs", error));
  if (ok && state == VIR_DOMAIN_RUNNING)
    ok = hold_suspend (hold, error);
  if (ok)
    return hold;
  hold_free (hold);
  return NULL;
}

bool
guest_hold_suspends (const GuestHold *hold)
{
  return hold->suspended;
}

bool
guest_hold_end (GuestHold *hold, guint64 *held_us, GError **error)
{
  bool ok = domain_state (hold->domain) != VIR_DOMAIN_RUNNING;
  if (!ok)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 "domain %s: somebody resumed it in the middle of its snapshot; trying again", hold->uuid);
  if (hold->suspended && !ok)
    hold_note_remove (hold->holds->state_dir, hold->uuid);
  else if (hold->suspended && !hold_resume (hold))
    ok = hold_fail (hold->uuid, "resume it; guardd tries again, or \"virsh resume\"", error);
  *held_us = hold->suspended ? (guint64)(g_get_monotonic_time () - hold->since) : 0;
  hold_free (hold);
  return ok;
}

/* --- one that is to stay suspended --- */

static void
keep_begin (GuestHolds *holds, const char *uuid)
{
  gint64 deadline = g_get_monotonic_time () + RESUME_WAIT_US;
  bool waits = true;
  g_mutex_lock (&holds->lock);
  g_hash_table_add (holds->keeping, g_strdup (uuid));
  while (waits && phase_of (holds, uuid) == PHASE_RESUMING)
    waits = g_cond_wait_until (&holds->ended, &holds->lock, deadline);
  if (phase_of (holds, uuid) == PHASE_HELD)
    set_phase (holds, uuid, PHASE_KEPT);
  g_mutex_unlock (&holds->lock);
}

static void
keep_end (GuestHolds *holds, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&holds->lock);
  g_hash_table_remove (holds->keeping, uuid);
}

/* A hold that begins meanwhile learns of it by `keeping`; one that begins later finds the guest suspended.
 * virDomainSuspend() alone would be undone: of a guest that a hold has suspended it succeeds, and does
 * nothing.
 */
bool
guest_hold_keep (GuestHolds *holds, const char *uuid, GError **error)
{
  virDomainPtr domain = roster_lookup (holds->roster, uuid, error);
  if (domain == NULL)
    return false;
  keep_begin (holds, uuid);
  hold_note_remove (holds->state_dir, uuid);
  bool ok = virDomainSuspend (domain) == 0 || hold_fail (uuid, "suspend it", error);
  keep_end (holds, uuid);
  virDomainFree (domain);
  return ok;
}

/* --- what was left --- */

char **
guest_holds_list (const GuestHolds *holds)
{
  return hold_notes_list (holds->state_dir);
}

void
guest_hold_forget (const GuestHolds *holds, const char *uuid)
{
  hold_note_remove (holds->state_dir, uuid);
}

static bool
release (GuestHolds *holds, const char *uuid, GError **error)
{
  if (!hold_note_exists (holds->state_dir, uuid))
    return true;
  virDomainPtr domain = roster_lookup (holds->roster, uuid, error);
  if (domain == NULL)
    return false;
  bool stands = domain_state (domain) == VIR_DOMAIN_PAUSED;
  bool ok = domain_resume (domain) || hold_fail (uuid, "resume it; try \"virsh resume\"", error);
  if (ok) {
    hold_note_remove (holds->state_dir, uuid);
    if (stands)
      g_message ("domain %s: was left suspended in the middle of a snapshot; it goes on", uuid);
  }
  virDomainFree (domain);
  return ok;
}

bool
guest_hold_release (GuestHolds *holds, const char *uuid, GError **error)
{
  if (!phase_may_resume (holds, uuid))
    return true;
  bool ok = release (holds, uuid, error);
  phase_end (holds, uuid);
  return ok;
}
