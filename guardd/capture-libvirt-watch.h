/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-libvirt-watch.h: ends a backup job at once when somebody else may wait for the guest, or when the
 * scratch fills up, on a thread of its own: whatever the one that reads is busy with.
 */
#pragma once

#include "capture-libvirt-backup.h"
#include "libvirt-workers.h"

typedef struct LibvirtWatch LibvirtWatch;

typedef enum {
  LIBVIRT_WATCH_QUIET,
  LIBVIRT_WATCH_WAITER, /* another call has been waiting in libvirtd for long enough to be noticed */
  LIBVIRT_WATCH_HELD,   /* nobody can be seen waiting, so it was not held any longer */
  LIBVIRT_WATCH_SCRATCH,
} LibvirtWatchReason;

/* Calls that wait for nobody are mostly over by PATIENCE_US; where that has turned out wrong, up to
 * PATIENCE_MAX_US can be given: an operator's call still goes through within a second. */
#define LIBVIRT_WATCH_PATIENCE_US 150000
#define LIBVIRT_WATCH_PATIENCE_MAX_US 600000

/* Of a job that has begun.  Where libvirtd's threads cannot be seen, it is ended after half a second. */
LibvirtWatch *libvirt_watch_start (LibvirtBackup *backup, LibvirtWorkers *workers, gint64 patience_us);
/* PullRequest's guard.  Any thread. */
bool libvirt_watch_check (void *watch, GError **error);
/* Ends it; why the job was ended.  Frees; NULL is fine. */
LibvirtWatchReason libvirt_watch_stop (LibvirtWatch *watch);
