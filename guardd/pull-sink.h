/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pull-sink.h: what is done with the bytes that a pull has read: compare, hash, store.  In a thread of its
 * own, so that it goes on while QEMU reads and the socket is emptied.
 */
#pragma once

#include "pull.h"

#include <openssl/evp.h>

#define PULL_READ_BYTES (1024 * 1024)
#define PULL_READ_BLOCKS (PULL_READ_BYTES / GUARDD_BLOCK_SIZE)

typedef struct {
  guint8 *data;           /* PULL_READ_BYTES */
  guint64 offset, length; /* bytes; offset is a whole block's */
} PullChunk;

typedef struct PullSink PullSink;

/* The request is borrowed.  No threads are started before the first chunk. */
PullSink *pull_sink_new (const PullRequest *request, GError **error);
/* Ends the threads; what is still queued is dropped.  NULL is fine. */
void pull_sink_free (PullSink *sink);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PullSink, pull_sink_free)

/* The chunk belongs to the sink until pull_sink_take() returns it. */
void pull_sink_put (PullSink *sink, PullChunk *chunk);
/* A chunk that is done with, waiting up to timeout_us (0: not at all) for one; NULL: none yet. */
PullChunk *pull_sink_take (PullSink *sink, guint64 timeout_us);
/* No use in reading on: pull_sink_finish() says why. */
bool pull_sink_failed (PullSink *sink);
/* Waits for all chunks; then the writer is the caller's again.  False with the first error of any. */
bool pull_sink_finish (PullSink *sink, PullResult *result, GError **error);
