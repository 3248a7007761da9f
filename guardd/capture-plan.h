/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-plan.h: which disks a capture takes, on top of what, and why all of a disk must be read.
 */
#pragma once

#include "capture.h"
#include "pull.h"
#include "qmp/qmp-block.h"
#include "scratch.h"

typedef struct {
  const DomainDisk *disk; /* the domain's */
  char *node;             /* top node in QEMU; NULL offline */
  guint64 size;           /* bytes */
  guint64 parent;         /* snapshot it is based on; 0: baseline */
  guint64 dirty;          /* bytes that are expected to be read; 0: unknown */
  char *full_reason;      /* NULL: incremental, by old_bitmap */
  bool has_old_bitmap;    /* the plan's old_bitmap is on this node */

  /* names in QEMU, and what is there now (capture-fleece.c) */
  char *name; /* of the scratch node, the job and the export */
  Scratch *scratch;
  gint64 fdset; /* -1: none */
  bool in_nodes, in_bitmaps, in_jobs, in_exports;
  const char *export; /* the NBD export's name; borrowed */
  int socket;         /* guardd's end of the NBD connection; -1: none */

  Pull *pull;             /* connected, read, or still being stored; NULL: none (capture-pull.c) */
  StorageReader *reader;  /* of the parent, for it; NULL: none */
  StorageWriter *writer;  /* NULL: not started, or sealed */
  ContentSample *sample;  /* the request's, for what is read; NULL: there is nothing to compare with */
  guint64 changed_blocks; /* once it is sealed */
  ManifestDisk *result;   /* the manifest's */
} PlanDisk;

typedef struct {
  const CaptureRequest *request;
  char *prefix;
  char *id;         /* UUID of the snapshot to be */
  char *new_bitmap; /* records from this instant on, or from a moment before */
  char *old_bitmap; /* has recorded since the newest snapshot, which is this engine's; NULL: there is none */
  Snapshot *latest; /* NULL: first one */
  GPtrArray *disks; /* PlanDisk */
  bool nbd_server;  /* ours is running in QEMU */
  bool pulled;      /* every byte is here, and the NBD connections are closed */
  bool paused;      /* the guest may be, so that QEMU keeps descriptor sets that are removed */
  bool unplugged;   /* a disk may have been unplugged meanwhile: capture-orphan.h */
} CapturePlan;

/* A guest's fstrim makes all that is free dirty, terabytes at times, of which hardly anything is new: from so
 * much on it pays to ask which of it is zero, and was. */
#define CAPTURE_ASK_ZERO_BYTES ((guint64)256 << 20)

/* How QEMU's monitor calls the socket that its NBD server is to listen on.  It has one server, and so one
 * name will do. */
#define CAPTURE_LISTENER "guardd"

/* What the new images will take at least, as far as bitmaps tell: most of what is dirty may be zero, and a
 * full read against a parent stores only what differs; the pool refuses on its own once it is really full. */
guint64 capture_plan_expected_bytes (const CapturePlan *plan);

/* disks: QmpDisk of the guest as it runs, for the engine that asks QEMU; NULL: the engine finds sizes itself,
 * and calls capture_plan_stand() or capture_plan_base() then. */
CapturePlan *capture_plan_new (const CaptureRequest *request, Engine engine, GPtrArray *disks,
                               GError **error);
void capture_plan_free (CapturePlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CapturePlan, capture_plan_free)

/* The QEMU device of a disk of the domain, or NULL. */
const QmpDisk *capture_plan_find_device (GPtrArray *disks, const DomainDisk *disk);

/* On which snapshot an image of `size` bytes can stand, 0: on none; *parent_size: of that disk there. */
guint64 capture_plan_parent (const CapturePlan *plan, const char *target, guint64 size, guint64 *parent_size);
/* Decides on what an image of disk->size bytes stands; full_reason is set as far as the pool tells. */
void capture_plan_stand (CapturePlan *plan, PlanDisk *disk);
/* Decides on what an image of `size` bytes stands and whether the bitmap can be used. */
void capture_plan_base (CapturePlan *plan, PlanDisk *disk, const QmpDisk *device);
