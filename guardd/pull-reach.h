/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pull-reach.h: whether a mapping has found all that a dirty bitmap knows, and need not go on to the disk's
 * end. A server is asked by stretches of 4 GiB at most (a length in NBD's protocol has 32 bits), which is
 * 1,024 questions for each 4 TiB; QEMU's monitor says how many bytes are dirty at once.  If they are as many
 * as were found before that was asked, nothing is dirty where nobody has looked: the bitmap only gains bits
 * meanwhile (it records on, and QEMU lets nobody clear one that is exported).
 *
 * Two threads: one maps the disks, one asks.  Disks are numbers from 0.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct PullReach PullReach;

PullReach *pull_reach_new (guint disks);
void pull_reach_free (PullReach *reach); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PullReach, pull_reach_free)

/* Before both begin: this disk is worth asking for once so many bytes (0: none) were found. */
void pull_reach_expect (PullReach *reach, guint disk, guint64 bytes);

/* Of the thread that maps. */
void pull_reach_found (PullReach *reach, guint disk, guint64 bytes);
bool pull_reach_all (PullReach *reach, guint disk); /* nothing is left to be found */
void pull_reach_mapped (PullReach *reach, guint disk);
void pull_reach_end (PullReach *reach); /* no disk will be mapped any more; NULL is fine */

/* Of the thread that asks: waits until an answer may help, and keeps what was found by then; false: none
 * will. */
bool pull_reach_wait (PullReach *reach);
/* The answer to a question that was asked after that. */
void pull_reach_answer (PullReach *reach, guint disk, guint64 dirty_bytes);
