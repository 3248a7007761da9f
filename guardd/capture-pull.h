/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-pull.h: reads the disks of a plan from their connected NBD sockets into the draft's writers, one
 * after the other; the same for every engine that has QEMU export them.
 */
#pragma once

#include "capture-plan.h"
#include "pull.h"

typedef struct {
  CapturePlan *plan;
  const char *bitmap; /* what the exports call it; asked of disks without full_reason */
  bool (*guard) (void *opaque, GError **error); /* PullRequest's */
  void *opaque;
  /* the disk that is read, or has been, and is still being stored */
  PlanDisk *disk; /* NULL: none */
  Pull *pull;
  StorageReader *parent;
} CapturePull;

/* All bytes are here, and plan->pulled is set; the last disk's may still be on their way into the pool. */
bool capture_pull_all (CapturePull *pull, GError **error);
/* Waits until they are stored. */
bool capture_pull_finish (CapturePull *pull, GError **error);
/* Gives up. */
void capture_pull_drop (CapturePull *pull);
