/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sentinel.h: has a disk of a snapshot looked at by a process that owns nothing (sentinel/).
 *
 * It may have been taken over by what it reads: what it asks for is checked, it has a deadline, what it says
 * is checked before it is used.  Threads: blocking, on a worker; calls are independent.
 */
#pragma once

#include "sentinel/wire.h"
#include "storage.h"

#include <json-c/json.h>

typedef struct {
  const char *program;   /* path of guardd-sentinel */
  StorageReader *now;    /* the disk in the snapshot */
  StorageReader *before; /* in the one before; NULL: there is none */
  const struct wire_run *runs;
  guint n_runs;        /* at most WIRE_RUNS_MAX */
  guint64 factor;      /* each stands for so many, but for what became zero */
  guint64 deadline_us; /* from the start of the call */
} SentinelRequest;

#define SENTINEL_ERROR (sentinel_error_quark ())
GQuark sentinel_error_quark (void);
typedef enum {
  SENTINEL_ERROR_BLIND, /* it crashed, hung, or said what cannot be: the disk was not looked at */
} SentinelErrorCode;

bool sentinel_look (const SentinelRequest *request, struct guardd_observation *seen, GError **error);

/* --- observation.c --- */
/* That an observation from outside is within its bounds; the error says which is not. */
bool observation_check (const struct guardd_observation *seen, GError **error);
/* As docs/protocol.md has it, and back. */
json_object *observation_to_json (const struct guardd_observation *seen);
bool observation_from_json (json_object *json, struct guardd_observation *seen, GError **error);
