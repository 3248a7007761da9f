/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.h: guardd's way to one QEMU process, and that it has been swept of an earlier guardd's leftovers.
 *
 * Used by one thread at a time: the job that owns the guest.
 */
#pragma once

#include "capture-engine.h"
#include "capture-spare.h"
#include "libvirt-workers.h"
#include "pool.h"
#include "qmp/qmp-client.h"
#include "roster.h"

typedef struct Session Session;

/* The daemon's; borrowed. */
typedef struct {
  Roster *roster;
  LibvirtCalls *calls;
  LibvirtWorkers *workers;
  const Config *config;
} SessionHost;

Session *session_new (const SessionHost *host, const char *uuid);
void session_free (Session *session); /* NULL is fine */

/* Which engine captures this QEMU process; what was found out about it is remembered until session_reset().
 * The verdict is to be cleared by the caller.  False: none can now, or the one that is wanted cannot. */
bool session_engine (Session *session, Pool *pool, Domain *domain, EngineChoice wanted,
                     EngineVerdict *verdict, GError **error);
/* A client on which capture_qmp() may run: swept for this pool.  Borrowed. */
QmpClient *session_client (Session *session, Pool *pool, GError **error);
/* The guest itself, on which capture_libvirt() may run: swept for this pool.  virDomainFree() the result. */
virDomainPtr session_domain (Session *session, Pool *pool, GError **error);
const SessionHost *session_host (const Session *session); /* borrowed */
/* Belong to that client; borrowed. */
CaptureSpares *session_spares (Session *session);
/* The next session_client() starts afresh: QEMU was replaced, or a call went wrong. */
void session_reset (Session *session);
/* After a failed capture of a guest that ran before: if it is stopped by an I/O error, lets it go on. */
void session_resume (Session *session, const char *name);
