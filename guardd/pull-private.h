/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pull-private.h: a pull from inside: pull.c connects and reads, pull-map.c finds out what is to be read.
 */
#pragma once

#include "pull-extents.h"
#include "pull-sink.h"

#include <libnbd.h>

#define PULL_IN_FLIGHT 8u
G_STATIC_ASSERT (PULL_IN_FLIGHT *PULL_READ_BYTES == BUFFER_STOCK_BYTES);
#define PULL_STATUS_IN_FLIGHT 16

/* One status request under way. */
typedef struct {
  Pull *pull;
  guint64 offset, length;
  guint64 covered; /* what the answer told of */
  bool busy;
} PullSlot;

/* One read: free, under way, or in the sink. */
typedef struct {
  PullChunk chunk; /* first: the sink gives it back */
  Pull *pull;
  guint64 covered; /* bytes that have come */
  bool busy;
} PullRead;

struct Pull {
  PullRequest request;
  struct nbd_handle *nbd;
  char *context;
  GArray *extents; /* what is read */
  GArray *zero;    /* what the server says to be zero of what the bitmap says; NULL: it is not asked */
  PullSlot status[PULL_STATUS_IN_FLIGHT];
  PullRead reads[PULL_IN_FLIGHT];
  guint busy;    /* requests of either kind under way */
  guint sinking; /* reads in the sink */
  guint64 seen;  /* completions, to tell progress from silence */
  int refused;   /* errno with which a request ended; why a connection broke, nbd_poll() says better */
  PullSink *sink;
  guint8 *memory; /* of the reads */
  PullResult result;
  GError *error;
};

/* False, with libnbd's reason as the pull's error unless it has one. */
bool pull_fail (Pull *pull, const char *what);
/* One turn of the loop: guard, cancellation, one poll. Fails after stall_us without any completion. */
bool pull_turn (Pull *pull, gint64 *since, guint64 *seen);
/* Which extents are to be read, and which are zero. */
bool pull_map (Pull *pull);
