/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * maintain-plan.h: what must be rebuilt so that images can go and depth stays bounded.  Pure.
 *
 * Merging: a survivor that stands on images to be removed becomes the union of itself and them.
 *
 * Folding: where everything oldest on a base goes, and it is more than the base's index would cost to
 * rewrite, it is copied into the base instead of being carried along by the survivors for ever.  Every
 * survivor on that base is younger and shadows what was folded in.
 *
 * Consolidation, a skip list of two levels: an image that stands PLAN_RUN ordinary ones above the nearest
 * consolidated one becomes the union of that run; likewise PLAN_RUN of those.  So no image is deeper than
 * 2 * PLAN_RUN + n / PLAN_RUN² + 2.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define PLAN_RUN 32

typedef enum { PLAN_KEEP, PLAN_REPARENT, PLAN_MERGE, PLAN_CONSOLIDATE } PlanAction;

typedef struct {
  /* in */
  bool remove;
  gint parent;    /* index of the node that it stands on, always smaller; -1: a base */
  guint base;     /* which base is at the bottom */
  guint level;    /* 0, 1, 2 */
  guint64 blocks; /* data it holds */
  /* out */
  PlanAction action;
  GArray *sources; /* gint: whose union it becomes, newest first, itself the first; NULL: itself */
  gint new_parent;
  guint new_level;
  guint depth; /* its own base included */
} PlanNode;

typedef struct {
  guint64 index_bytes; /* in: what rewriting its index costs */
  gint fold;           /* out: the node whose view is folded in; -1: none */
} PlanBase;

/* nodes: one disk's, oldest first. */
void plan_make (PlanNode *nodes, guint n_nodes, PlanBase *bases, guint n_bases);
void plan_clear (PlanNode *nodes, guint n_nodes); /* frees sources */
