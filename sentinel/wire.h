/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h: what guardd and a sentinel say to each other over file descriptor 3, a stream socket.  Both are of
 * one build; every message is a struct in the machine's own byte order.
 *
 *   guardd    wire_start, then n_runs times wire_run
 *   sentinel  wire_request …          guardd  the bytes, or nothing and the socket is closed
 *   sentinel  wire_request with view WIRE_REPORT, then struct guardd_observation; the end
 */
#pragma once

#include <guardd/observation.h>
#include <stdint.h>

#define WIRE_FD 3
#define WIRE_VERSION 2u
#define WIRE_LENGTH_MAX (1u << 20) /* bytes of one request */
#define WIRE_RUNS_MAX 65536u
/* What one look may read: 2 MiB for structure is the aim, the rest is for what nobody has seen yet. */
#define WIRE_BUDGET (160u << 20)
#define WIRE_BUDGET_CALLS 50000u

enum wire_view { WIRE_NOW = 0, WIRE_BEFORE = 1, WIRE_REPORT = 2 };

struct wire_start {
  uint32_t version;
  uint32_t n_runs;
  uint64_t size;        /* of the disk, bytes */
  uint64_t size_before; /* in the snapshot before; 0: there is none */
  uint64_t factor;      /* each run stands for so many, but for what became zero */
};

/* A run that only says where something changed and is not zero: what it turned into nobody has looked at.
 * May hold some that did not change. */
#define WIRE_CHANGED GUARDD_CHANGE_CLASSES

/* A stretch of what changed: all that became zero, then the sample of the rest, then all of the rest as
 * WIRE_CHANGED; each of the three in order of its offset. */
struct wire_run {
  uint64_t offset, length; /* bytes, multiples of 4096 */
  uint64_t kind;           /* enum guardd_change_class, or WIRE_CHANGED */
};

struct wire_request {
  uint32_t view; /* enum wire_view */
  uint32_t length;
  uint64_t offset;
};
