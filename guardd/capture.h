/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture.h: takes one snapshot of all disks of one guest at one instant.
 *
 * Threads: blocking; on a worker.  At most one capture per guest at a time (the caller's duty).
 * Whatever fails, the guest runs on untouched, nothing is left in QEMU or on disk, the previous snapshot
 * and the bitmap that belongs to it are as they were.
 */
#pragma once

#include "capture-engine.h"
#include "capture-spare.h"
#include "config.h"
#include "content-sample.h"
#include "domain.h"
#include "guest-hold.h"
#include "pool.h"
#include "qmp/qmp-client.h"

#include <gio/gio.h>

#define CAPTURE_ERROR (capture_error_quark ())
GQuark capture_error_quark (void);
typedef enum {
  CAPTURE_ERROR_NOTHING, /* no disk that can be captured */
  CAPTURE_ERROR_CHANGED, /* the guest's disks changed under the capture: try again */
  CAPTURE_ERROR_QEMU,    /* QEMU does not have what it should */
  CAPTURE_ERROR_BUSY,    /* somebody else has a job on the guest, or waits for one: later */
  CAPTURE_ERROR_LEFT, /* failed, and QEMU could not be tidied up: capture_qmp_sweep() before anything else */
} CaptureErrorCode;

typedef struct {
  const Config *config;
  Pool *pool;
  Domain *domain;
  const char *origin;      /* "schedule", "manual", "shutdown", "evidence" */
  const char *description; /* NULL: none */
  bool evidence;
  const char *engine_reason; /* why this engine; NULL: not to be recorded */
  BufferStock *buffers;      /* may be NULL */
  CaptureSpares *spares;     /* the session's; NULL: there are none */
  /* As soon as the snapshot is safe and listed, while QEMU is still tidied up; on any thread.  May be NULL.
   */
  void (*sealed) (const Snapshot *snapshot, void *opaque);
  void *opaque;
  GHashTable *samples;       /* disk's target -> ContentSample: filled, of what changed; NULL: nobody looks */
  GCancellable *cancellable; /* may be NULL */
} CaptureRequest;

/* A running (or paused) guest, by QMP.  capture_qmp_sweep() must have succeeded once on this QEMU process
 * before.  Returns the snapshot as listed; NULL without error: a paused guest, and
 * nothing has changed since the newest.  *left is set to true when the snapshot is sealed, but something of
 * it may be left in QEMU: capture_qmp_sweep(). */
Snapshot *capture_qmp (QmpClient *client, const CaptureRequest *request, bool *left, GError **error);

/* Removes what an earlier guardd (or a failed capture) left in this QEMU: exports, jobs, nodes, descriptor
 * sets, and bitmaps that belong to no sealed snapshot of this pool.  Other pools' and other tools' things
 * stay. */
bool capture_qmp_sweep (QmpClient *client, Pool *pool, const char *domain_uuid, GError **error);

/* A guest that is off: its images are read through qemu-nbd without locking them, so that it can be started
 * meanwhile; cancel when it is.  NULL without error: nothing has changed since the newest snapshot. */
Snapshot *capture_offline (const CaptureRequest *request, GError **error);

/* --- the native engine: the pool's storage clones the guest's own disks (capture-native.c) --- */
/* Why it cannot be used for this guest, in a sentence; NULL: it can.  Asks the storage; not on the main
 * thread. */
char *capture_native_refusal (Pool *pool, const Domain *domain);
/* Running, paused or off.  A guest with several disks is suspended for the moment of cloning, five seconds at
 * most.  NULL without error: it stands still or is off, and nothing has changed since the newest snapshot. */
Snapshot *capture_native (GuestHolds *holds, const CaptureRequest *request, GError **error);

/* "guardd-1a2b3c4d": what the names of everything that guardd puts into a QEMU start with; g_free() */
char *capture_prefix (Pool *pool);
