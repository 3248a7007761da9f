/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-pull.h: reads the disks of a plan from their connected NBD sockets into the draft's writers, one
 * after the other; the same for every engine that has QEMU export them.  All are negotiated with at once:
 * QEMU hangs up on one that would wait for those before it.
 */
#pragma once

#include "capture-plan.h"

typedef struct {
  CapturePlan *plan;
  const char *bitmap; /* what the exports call it; asked of disks without full_reason */
  bool (*guard) (void *opaque, GError **error); /* PullRequest's */
  void *opaque;
  PullReach *reach; /* PullRequest's, of the plan's disks in their order; NULL: none */
  PlanDisk *disk;   /* read, and still being stored; NULL: none */
} CapturePull;

/* All bytes are here, and plan->pulled is set; the last disk's may still be on their way into the pool. */
bool capture_pull_all (CapturePull *pull, GError **error);
/* Waits until they are stored. */
bool capture_pull_finish (CapturePull *pull, GError **error);
/* Gives up, on all of them. */
void capture_pull_drop (CapturePull *pull);
