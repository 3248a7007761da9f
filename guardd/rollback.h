/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollback.h: brings a guest's disks back to what a snapshot has.
 *
 * Steps, each written to STATE_DIR/rollback/<uuid>.json before it is done:
 *
 *   suspend   the guest stands still: evidence is the disks' last state
 *   evidence  a snapshot of that state
 *   destroy   its process is gone (a running attacker gets no graceful shutdown)
 *   write     only blocks that differ are written, in the guest's own format
 *   state     NVRAM and TPM state put back
 *   start     it runs again; the journal goes
 *
 * What fails, or dies, before "write" is undone: the guest goes on.  What does later is finished when libvirt
 * is met next, by this guardd or by the next one.  A guest that was ended, and whose disks nobody has used
 * since, is as good as suspended: it is begun again with new evidence.  While a journal says "write" or
 * "state", libvirt's hook refuses to start the guest, and nobody captures it as long as there is one at all.
 */
#pragma once

#include "daemon.h"

typedef struct {
  char *snapshot; /* as the user said it */
  char **disks;   /* targets; NULL: all that the snapshot has */
  bool dry_run, no_start;
} RollbackOptions;

/* Answers the call.  options are taken over. */
void rollback_start (Daemon *daemon, Guest *guest, RollbackOptions *options, ControlCall *call);
void rollback_options_free (RollbackOptions *options);

/* At start, before the roster. */
bool rollback_load (Daemon *daemon, GError **error);
/* Once libvirt is there: finishes or undoes it.  Harmless when there is nothing to do. */
void rollback_recover (Daemon *daemon);
