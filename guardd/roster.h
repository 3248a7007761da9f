/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * roster.h: which domains there are, followed through libvirt's events.
 *
 * Two threads of its own: one runs libvirt's event loop, one connects, describes domains and reconnects
 * with backoff when libvirtd goes away.  Callbacks run on the main context that roster_new() was called with.
 */
#pragma once

#include "domain.h"

#include <gio/gio.h>
#include <libvirt/libvirt.h>

typedef struct Roster Roster;

typedef struct {
  /* A domain as it is now; what: "found", "started", "stopped", "disk attached", …  Takes a reference if it
   * keeps it.
   */
  void (*changed) (Domain *domain, const char *what, void *opaque);
  void (*gone) (const char *uuid, void *opaque); /* undefined and not running */
  /* connected: every domain has been told since.  Else error says why not. */
  void (*connection) (bool connected, const char *error, void *opaque);
} RosterCallbacks;

Roster *roster_new (const char *uri, const RosterCallbacks *callbacks, void *opaque);
void roster_free (Roster *roster); /* after the main loop has ended; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Roster, roster_free)

/* Any thread.  NULL: no connection, or (G_IO_ERROR_NOT_FOUND) libvirt does not know it; virDomainFree() the
 * result. */
virDomainPtr roster_lookup (Roster *roster, const char *uuid, GError **error);
/* Describes a domain again soon; callbacks follow. Any thread. */
void roster_refresh (Roster *roster, const char *uuid, const char *what);
/* What the domain is right now; blocks; any thread but the main one. */
Domain *roster_describe (virDomainPtr domain, GError **error);
