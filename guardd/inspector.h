/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inspector.h: which files a snapshot has, and which are gone, asked of processes that own nothing
 * (inspector/).
 *
 * They may have been taken over by what they read: they see these disks only, have a deadline, and what
 * they say is bounded and checked before it is used.  Threads: blocking, on a worker; calls are independent.
 */
#pragma once

#include "storage.h"

#include <json-c/json.h>

#define INSPECTOR_ERROR (inspector_error_quark ())
GQuark inspector_error_quark (void);
typedef enum {
  INSPECTOR_ERROR_BLIND, /* it crashed, hung, or said what cannot be: nobody has looked */
} InspectorErrorCode;

typedef struct {
  const char *program;   /* path of guardd-inspector */
  const char *appliance; /* directory of the appliance; made when it is missing */
  bool kvm;              /* KVM has been seen to work */
  const char *known; /* an earlier answer about this guest, which saves finding out its system; NULL: none */
  int older; /* its inventory of before, from its start: files modified since are looked into; -1: none */
  StorageReader *const *disks; /* of one guest */
  guint n_disks;
  int inventory; /* where the inventory is written to */
  guint64 deadline_us;
} InspectorRequest;

/* What docs/protocol.md calls an inspection's summary; NULL on error.  json_object_put(). */
json_object *inspector_look (const InspectorRequest *request, GCancellable *cancellable, GError **error);

/* The difference of two inventories, older one first, as docs/protocol.md has it. */
json_object *inspector_compare (const char *program, int older, int newer, guint64 deadline_us,
                                GCancellable *cancellable, GError **error);
