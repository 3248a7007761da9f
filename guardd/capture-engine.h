/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-engine.h: which engine captures a guest, and why.  Pure.
 *
 * A new engine is a value here, a line in engine_choose(), and one in job-capture.c.
 */
#pragma once

#include "config.h"

typedef enum {
  ENGINE_QMP,     /* dirty bitmaps and copy-before-write by libvirt's passthrough to QEMU's monitor */
  ENGINE_LIBVIRT, /* virDomainBackupBegin(), checkpoints */
  ENGINE_NATIVE,  /* the storage clones the disks */
  ENGINE_OFFLINE, /* no QEMU: the images themselves */
} Engine;

const char *engine_name (Engine engine); /* as in a manifest and in "engine =" */

typedef enum {
  PROBE_UNKNOWN, /* nobody asked, or who was asked could not say */
  PROBE_WORKS,
  PROBE_REFUSED,
} ProbeResult;

typedef struct {
  ProbeResult result;
  char *why; /* refused: a clause, "libvirt refuses commands for QEMU's monitor: …"; owned */
} Probe;

/* What is known of a guest that is on. */
typedef struct {
  EngineChoice wanted; /* the policy's */
  Probe passthrough;   /* commands reach QEMU's monitor */
  Probe clones;        /* the guest's pool keeps clones of its disks, and can make them */
  bool pool_clones;    /* it does for some: why not for this guest is worth saying */
} EngineFacts;

typedef struct {
  Engine engine;
  char *reason; /* a clause, for people; owned; NULL: nothing was chosen yet */
} EngineVerdict;

void probe_clear (Probe *probe);
void engine_verdict_clear (EngineVerdict *verdict);

/* False: the policy's engine cannot be used here; the error says what can be done.  A probe that is not known
 * is taken for refused. */
bool engine_choose (const EngineFacts *facts, EngineVerdict *verdict, GError **error);
