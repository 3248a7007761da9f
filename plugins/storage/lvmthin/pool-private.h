/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool-private.h: what pool.c and volume.c share.
 */
#pragma once

#include "ask.h"
#include "pool.h"

struct ThinPool {
  LvmClient *client;
  char *vg, *lv; /* the thin pool */
  char *id;      /* eight digits */
  guint prune_at, refuse_at;
  gint64 idle_us; /* how long one stays active that nobody uses */
  GMutex lock;
  GCond changed;
  GHashTable *volumes; /* lock: name -> ActiveVolume */
  GThread *reaper;     /* deactivates what nobody has used for a moment */
  bool closing;        /* lock */
  GMutex sources_lock; /* never held while LVM is asked */
  GHashTable *sources; /* sources_lock: path of a guest's disk -> name of its volume */
};

typedef struct {
  char *lv, *path;
  guint users;       /* lock */
  guint failures;    /* lock: 0: it is active; else it may be, as often as changing that has failed */
  bool doomed;       /* lock: to be removed by its last user */
  gint64 idle_since; /* lock: monotonic */
} ActiveVolume;

/* pool.c */
/* "tags" of a request: those of guardd's volumes. */
void thin_pool_add_tags (const ThinPool *pool, json_object *request);

/* volume.c */
/* "/dev/mapper/…"; g_free() */
char *volume_device_path (const ThinPool *pool, const char *lv);
void volumes_start (ThinPool *pool);
void volumes_stop (ThinPool *pool); /* deactivates all */
/* With lock held: forgets one that is active and not in use; false: it is in use, and doomed now. */
bool volumes_forget (ThinPool *pool, const char *lv);
