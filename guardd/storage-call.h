/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage-call.h: one call into a storage plugin: its words become a GError, and how long it takes is seen.
 *
 * A plugin may hang, and no thread can be taken back from it.  So calls that are under way are listed, and
 * who must not wait (the main thread, the end of guardd) looks at the list instead: storage_silence_us().
 */
#pragma once

#include "storage.h"

typedef struct StorageCall StorageCall;

typedef struct {
  GMutex lock;
  StorageCall *first; /* lock */
} StorageCalls;

/* Lives on its caller's stack, from storage_call_begin() to storage_call_end(). */
struct StorageCall {
  struct guardd_call call; /* what the plugin gets */
  GError **error;
  bool told;
  GCancellable *cancellable;
  const char *operation; /* static */
  /* the list */
  StorageCalls *calls;
  StorageCall *previous, *next; /* lock */
  gint64 heard;                 /* lock; monotonic: begun, or last shown progress */
  char domain[37];              /* "": none */
};

void storage_calls_init (StorageCalls *calls);
void storage_calls_clear (StorageCalls *calls);
/* As storage_silence_us(). */
guint64 storage_calls_silence_us (StorageCalls *calls, const char *domain, const char **operation);

/* subject: a domain's UUID or a directory of its, NULL for none.  Nothing may come between this and
 * storage_call_end() but the call. */
void storage_call_begin (StorageCall *call, StorageCalls *calls, const char *operation, const char *subject,
                         GError **error);
/* A sign of life. */
void storage_call_heard (StorageCall *call);
/* result: of the plugin's callback, 0 for success; what: begins the message if it gave no reason. */
bool storage_call_end (StorageCall *call, const char *what, int result);
