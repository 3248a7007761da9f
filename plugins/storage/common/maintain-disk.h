/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * maintain-disk.h: one disk's images of a domain, as maintenance sees them, and what is built aside for it.
 */
#pragma once

#include "instance.h"
#include "maintain-plan.h"

typedef struct {
  const Instance *instance;
  const char *domain;
  char *disk;
  GPtrArray *names;   /* ImageName, by node */
  GArray *nodes;      /* PlanNode */
  GArray *facts;      /* IndexFacts, by node */
  GPtrArray *bases;   /* ImageName */
  GArray *plan_bases; /* PlanBase */
  int aside_fd;       /* DOMAIN/.maintain */
  char *aside_path;
  GArray *changes; /* struct guardd_change; not owned */
} MaintainDisk;

/* Reads the indexes of all members that have this disk.  NULL: one cannot be read. */
MaintainDisk *maintain_disk_new (const Instance *instance, const struct guardd_call *call, const char *domain,
                                 const struct guardd_member *members, size_t n_members, const char *disk);
void maintain_disk_free (MaintainDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MaintainDisk, maintain_disk_free)

/* True when there is something to build. */
bool maintain_disk_plan (MaintainDisk *disk);
/* maintain-build.c: writes everything aside; appends to changes. */
int maintain_disk_build (MaintainDisk *disk, const struct guardd_call *call);
