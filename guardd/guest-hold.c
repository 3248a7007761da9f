/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "guest-hold.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <libvirt/virterror.h>
#include <unistd.h>

#define DIRECTORY "held"

struct GuestHold {
  virDomainPtr domain;
  char *state_dir, *uuid;
  bool suspended; /* by us */
  gint64 since;   /* monotonic */
};

static bool
hold_fail (const char *uuid, const char *what, GError **error)
{
  const virError *last = virGetLastError ();
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "domain %s: cannot %s: %s", uuid, what,
               last && last->message ? last->message : "libvirt gave no reason");
  return false;
}

/* --- the note --- */

static int
notes_open (const char *state_dir, GError **error)
{
  g_autofree char *path = g_build_filename (state_dir, DIRECTORY, NULL);
  if (g_mkdir (path, 0700) < 0 && errno != EEXIST) {
    files_set_error (error, errno, AT_FDCWD, path, "make the directory");
    return -1;
  }
  return files_open_directory (AT_FDCWD, path, error);
}

static bool
note_write (const char *state_dir, const char *uuid, GError **error)
{
  int fd = notes_open (state_dir, error);
  bool ok = fd >= 0 && files_replace (fd, uuid, "", 0, 0600, error);
  if (fd >= 0)
    close (fd);
  return ok;
}

/* One that stays after a crash resumes a guest that runs: nothing. */
static void
note_remove (const char *state_dir, const char *uuid)
{
  g_autofree char *path = g_build_filename (state_dir, DIRECTORY, uuid, NULL);
  if (g_unlink (path) < 0 && errno != ENOENT)
    g_warning ("%s: cannot remove it: %s", path, g_strerror (errno));
}

char **
guest_holds_list (const char *state_dir)
{
  g_autofree char *path = g_build_filename (state_dir, DIRECTORY, NULL);
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  g_autoptr (GStrvBuilder) uuids = g_strv_builder_new ();
  const char *name;
  while (directory && (name = g_dir_read_name (directory)) != NULL)
    if (g_uuid_string_is_valid (name))
      g_strv_builder_add (uuids, name);
  return g_strv_builder_end (uuids);
}

/* --- the guest --- */

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
  if (hold->domain)
    virDomainFree (hold->domain);
  g_free (hold->state_dir);
  g_free (hold->uuid);
  g_free (hold);
}

/* Whoever asked for a guest to stand still and was told that it failed, must find it running. */
static bool
hold_suspend (GuestHold *hold, GError **error)
{
  if (!note_write (hold->state_dir, hold->uuid, error))
    return false;
  hold->suspended = true;
  hold->since = g_get_monotonic_time ();
  if (virDomainSuspend (hold->domain) == 0)
    return true;
  hold_fail (hold->uuid, "suspend it for the moment of its snapshot", error);
  if (domain_resume (hold->domain))
    note_remove (hold->state_dir, hold->uuid);
  return false;
}

GuestHold *
guest_hold_begin (Roster *roster, const char *state_dir, const char *uuid, GError **error)
{
  GuestHold *hold = g_new0 (GuestHold, 1);
  hold->state_dir = g_strdup (state_dir);
  hold->uuid = g_strdup (uuid);
  hold->domain = roster_lookup (roster, uuid, error);
  hold->since = g_get_monotonic_time ();
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
  if (hold->suspended && ok && !domain_resume (hold->domain))
    ok = hold_fail (hold->uuid, "resume it; guardd tries again, or \"virsh resume\"", error);
  else if (hold->suspended)
    note_remove (hold->state_dir, hold->uuid);
  *held_us = hold->suspended ? (guint64)(g_get_monotonic_time () - hold->since) : 0;
  hold_free (hold);
  return ok;
}

bool
guest_hold_left (const char *state_dir, const char *uuid)
{
  g_autofree char *path = g_build_filename (state_dir, DIRECTORY, uuid, NULL);
  return access (path, F_OK) == 0;
}

void
guest_hold_forget (const char *state_dir, const char *uuid)
{
  note_remove (state_dir, uuid);
}

bool
guest_hold_release (Roster *roster, const char *state_dir, const char *uuid, GError **error)
{
  virDomainPtr domain = roster_lookup (roster, uuid, error);
  if (domain == NULL)
    return false;
  bool stands = domain_state (domain) == VIR_DOMAIN_PAUSED;
  bool ok = domain_resume (domain) || hold_fail (uuid, "resume it; try \"virsh resume\"", error);
  if (ok) {
    note_remove (state_dir, uuid);
    if (stands)
      g_message ("domain %s: was left suspended in the middle of a snapshot; it goes on", uuid);
  }
  virDomainFree (domain);
  return ok;
}
