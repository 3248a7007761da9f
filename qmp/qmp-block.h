/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp-block.h: typed wrappers over the QMP commands a backup needs.
 *
 * Every function: makes the arguments, sends, checks types, extracts.  Errors
 * are those of qmp_client_call() plus QMP_ERROR_REPLY.  Threads: as the client.
 */
#pragma once

#include "qmp-client.h"

typedef struct {
  char *name;
  bool recording, busy, persistent, inconsistent;
  guint64 granularity; /* bytes */
  guint64 count;       /* dirty bytes */
} QmpBitmap;

/* A disk as the guest's device sees it (query-block). */
typedef struct {
  char *qdev;      /* "/machine/peripheral/virtio-disk0/virtio-backend", "" when unknown */
  char *device;    /* legacy backend name, often "" */
  char *node_name; /* top node, NULL: no medium */
  char *driver;    /* "raw", "qcow2", … of the top node */
  char *file_name; /* as QEMU prints it; for messages only */
  bool read_only, removable;
  guint64 virtual_size; /* bytes */
  GPtrArray *bitmaps;   /* QmpBitmap, those of the top node */
} QmpDisk;

void qmp_disk_free (QmpDisk *disk);
QmpBitmap *qmp_disk_find_bitmap (const QmpDisk *disk, const char *name);

/* All devices with a block backend.  Elements: QmpDisk; free with g_ptr_array_unref(). */
GPtrArray *qmp_query_block (QmpClient *client, GError **error);

/* The bitmaps of every named node, not only of top nodes: GHashTable node name -> GPtrArray of
 * QmpBitmap.  What a sweep needs. */
GHashTable *qmp_query_node_bitmaps (QmpClient *client, GError **error);

/* Names of all named block nodes: NULL-terminated, g_strfreev(). */
char **qmp_query_node_names (QmpClient *client, GError **error);

typedef enum {
  QMP_STATUS_RUNNING,
  QMP_STATUS_PAUSED,   /* by a person or a tool: paused, suspended, prelaunch, … */
  QMP_STATUS_IO_ERROR, /* stopped by werror/rerror */
  QMP_STATUS_OTHER,    /* shutdown, inmigrate, finish-migrate, … */
} QmpStatus;

bool qmp_query_status (QmpClient *client, QmpStatus *status, GError **error);
bool qmp_cont (QmpClient *client, GError **error);
bool qmp_stop (QmpClient *client, GError **error);

/* --- one transaction --- */
typedef struct QmpTransaction QmpTransaction;
QmpTransaction *qmp_transaction_new (void);
void qmp_transaction_free (QmpTransaction *transaction);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QmpTransaction, qmp_transaction_free)
/* blockdev-backup sync=none node -> target as job `job`; while it runs a filter node stands on node */
void qmp_transaction_backup_none (QmpTransaction *t, const char *job, const char *node, const char *target);
/* Sends it, once; a single action as the command of its name, which is the same to QEMU and shorter: it takes
 * a turn of its event loop, 3 us, for each byte (monitor_can_read() in QEMU 7.2).  elapsed_us (may be NULL):
 * time from send to answer, an upper bound of what the guest could feel. */
bool qmp_transaction_run (QmpTransaction *t, QmpClient *client, guint timeout_ms, guint64 *elapsed_us,
                          GError **error);

/* --- dirty bitmaps --- */
/* A transient bitmap; granularity in bytes.  2 MiB for each TiB at 64 KiB: QEMU takes a few milliseconds to
 * clear them, which a guest should not wait for inside a transaction. */
bool qmp_bitmap_add (QmpClient *client, const char *node, const char *name, guint32 granularity,
                     GError **error);
bool qmp_bitmap_merge (QmpClient *client, const char *node, const char *target, const char *source,
                       GError **error);
bool qmp_bitmap_remove (QmpClient *client, const char *node, const char *name, GError **error);

/* --- descriptors --- */
/* Adds fd to a new descriptor set; *set_id set on success. opaque: a mark to recognise it by. */
bool qmp_add_fd (QmpClient *client, int fd, const char *opaque, gint64 *set_id, GError **error);
bool qmp_remove_fd (QmpClient *client, gint64 set_id, GError **error);
typedef struct {
  gint64 set_id;
  char *opaque;
} QmpFdset;
GPtrArray *qmp_query_fdsets (QmpClient *client,
                             GError **error); /* QmpFdset, opaque of the first fd, may be NULL */
bool qmp_getfd (QmpClient *client, int fd, const char *name, GError **error);
bool qmp_closefd (QmpClient *client, const char *name, GError **error);

/* --- nodes, jobs, exports --- */
/* A temporary qcow2 node over /dev/fdset/<set_id>, backed by node `backing` (a fleecing scratch).  in_memory:
 * the descriptor is a memfd's; a file of any filesystem is not locked. */
bool qmp_blockdev_add_scratch (QmpClient *client, const char *node, gint64 set_id, bool in_memory,
                               const char *backing, GError **error);
bool qmp_blockdev_del (QmpClient *client, const char *node, GError **error);

typedef struct {
  char *id;
  char *type;
  char *status;
  char *error;
} QmpJob;                                                      /* error NULL: none */
GPtrArray *qmp_query_jobs (QmpClient *client, GError **error); /* QmpJob */
/* Force-cancels a job; one that is already gone is success. */
bool qmp_job_cancel (QmpClient *client, const char *id, GError **error);
/* Waits until the job is gone (concluded jobs are dismissed), polling with short backoff. */
bool qmp_job_wait_gone (QmpClient *client, const char *id, guint timeout_ms, GError **error);

bool qmp_nbd_server_start_fd (QmpClient *client, const char *fd_name, GError **error);
bool qmp_nbd_server_stop (QmpClient *client, GError **error);
/* NBD export `id` of `node` under its name, with a bitmap of the node or of what it is backed by; NULL:
 * without. QEMU exports a bitmap that records only where the client might write (nbd_export_create()); so
 * with one, it may. */
bool qmp_export_add (QmpClient *client, const char *id, const char *node, const char *bitmap, GError **error);
/* mode hard; one that is already gone is success. */
bool qmp_export_del (QmpClient *client, const char *id, GError **error);
bool qmp_export_wait_gone (QmpClient *client, const char *id, guint timeout_ms, GError **error);
char **qmp_query_exports (QmpClient *client, GError **error); /* ids, NULL-terminated */

typedef struct {
  char *qdev, *node_name;
  guint64 rd_bytes, wr_bytes, rd_operations, wr_operations, unmap_bytes, unmap_operations, flush_operations;
} QmpBlockStats;
GPtrArray *qmp_query_blockstats (QmpClient *client, GError **error); /* QmpBlockStats */
