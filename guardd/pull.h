/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pull.h: reads a disk at a point in time from an NBD export into a storage writer.
 * Each byte is read once: zero test and hash happen on its way.
 *
 * The server (a QEMU that may be compromised) is not trusted: extents are checked, every wait has a deadline.
 * Threads: one thread per call; calls are independent.
 */
#pragma once

#include "buffer-stock.h"
#include "content-sample.h"
#include "pull-reach.h"
#include "storage.h"

#include <gio/gio.h>

typedef struct {
  int socket;         /* connected; taken over, also on failure */
  const char *export; /* name of the export */
  const char
      *bitmap;  /* read only what this dirty bitmap (of the server's) says; NULL: everything allocated */
  guint64 size; /* the disk's, bytes; the server must say the same, rounded up to 512 */
  StorageReader *parent; /* what a full read is compared with: only what differs is written; NULL: write all.
                            With `bitmap`: the server is asked what of it is zero, which is not read, and of
                            that only what is not zero in the parent is written */
  StorageWriter *writer; /* stays the caller's */
  ContentSample *sample; /* the caller's; what is stored is offered to it; NULL: nobody looks */
  BufferStock *buffers;  /* what is read goes through one of them; NULL: through one of its own */
  PullReach *reach; /* the caller's: the mapping by `bitmap` ends once it says so; NULL: at the disk's end */
  guint reach_disk; /* in it */
  guint64 stall_us; /* give up after so long without a byte */
  bool (*guard) (void *opaque,
                 GError **error); /* called between requests, at least every 20 ms; false ends it */
  void *opaque;
  GCancellable *cancellable;
} PullRequest;

typedef struct {
  guint64 read_bytes, changed_bytes, stored_bytes;
} PullResult;

typedef struct Pull Pull;
void pull_free (Pull *pull); /* gives up; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Pull, pull_free)

/* Negotiates, which a QEMU since CVE-2024-7409 waits 10 s for, and no longer; what then is not asked for is
 * not waited for.  The request's writer and parent stay in use until the pull is gone. */
Pull *pull_open (const PullRequest *request, GError **error);
/* Reads everything that the request asks for; at the end the connection is closed, and the server may go.
 * Blocks are hashed and stored meanwhile, and after it. */
bool pull_read (Pull *pull, GError **error);
/* Waits until all is stored.  Frees pull, also on failure. */
bool pull_finish (Pull *pull, PullResult *result, GError **error);
