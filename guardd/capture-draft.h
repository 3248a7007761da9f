/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-draft.h: the snapshot in the making: number, writers, manifest; the same for every engine.
 */
#pragma once

#include "capture-plan.h"

typedef struct {
  CapturePlan *plan;
  PoolDraft *draft;   /* NULL: sealed or aborted */
  Manifest *manifest; /* owned */
  gint64 started;     /* monotonic */
} CaptureDraft;

/* Allocates the number, and describes every disk of the plan; need: bytes expected to be stored.  After a
 * failure call capture_draft_abort() all the same. */
bool capture_draft_begin (CaptureDraft *capture, CapturePlan *plan, Engine engine, guint64 need,
                          GError **error);
/* The same, and a writer for each disk. */
bool capture_draft_open (CaptureDraft *capture, CapturePlan *plan, Engine engine, guint64 need,
                         GError **error);
/* Seals every image and lists the snapshot.  On failure every trace is gone. */
bool capture_draft_seal (CaptureDraft *capture, GError **error);
/* The same in two steps, for who looks at what was sealed before it is a snapshot. */
bool capture_draft_seal_images (CaptureDraft *capture, GError **error);
bool capture_draft_commit (CaptureDraft *capture, GError **error);
void capture_draft_abort (CaptureDraft *capture);
/* What was sealed, as a value; frees the rest. */
Snapshot *capture_draft_close (CaptureDraft *capture, bool sealed);
