/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.h: a directory of snapshots that no guest and no QEMU can reach.
 *
 * The pool owns names, numbers, manifests, states, the history, and the rule
 * that only whole snapshots are listed.  Images are the storage plugin's.
 *
 * Threads: every function may be called from any thread; none calls back.
 * Functions marked [slow] do I/O in proportion to data and belong on a worker.
 * Nothing here waits for maintenance: a draft can be written and committed, and
 * an image opened, while a merge is being prepared.
 */
#pragma once

#include "manifest.h"
#include "pool-verified.h"
#include "retention.h"
#include "storage.h"

#define POOL_ERROR (pool_error_quark ())
GQuark pool_error_quark (void);
typedef enum {
  POOL_ERROR_NOT_FOUND, /* no such domain or snapshot */
  POOL_ERROR_BUSY,      /* held, newest, evidence, or in use */
  POOL_ERROR_FULL,      /* would not fit */
  POOL_ERROR_DAMAGED,   /* a file does not say what it must; the message names it */
  POOL_ERROR_FAILED,
} PoolErrorCode;

typedef struct Pool Pool;
typedef struct PoolDraft PoolDraft;

typedef struct {
  Manifest *manifest;
  SnapshotState *state;
} Snapshot;
Snapshot *snapshot_copy (const Snapshot *snapshot);
void snapshot_free (Snapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Snapshot, snapshot_free)

/* --- making and opening --- */
/* Of a pool's storage, as guardd.conf or pool-create say it. */
typedef struct {
  const char *name; /* of the plugin; NULL: whatever the pool was made with */
  const struct guardd_param *params;
  size_t n_params;
  const char *libexec_dir; /* NULL: as built */
} PoolStorage;

/* Makes an empty pool in a new or empty directory (0700).  size > 0: inside a filesystem image
 * `path`.img of that many bytes (XFS with reflinks), mounted at path.  storage: NULL: qcow2.  [slow] */
bool pool_create (const char *path, guint64 size, const PoolStorage *storage, GError **error);

/* Opens a pool: locks it against a second daemon (POOL_ERROR_BUSY), finishes or undoes what a crash left,
 * loads the list through the catalog (`catalog_path`; rebuilt from the manifests where it differs).
 * A snapshot that cannot be loaded is left out of the list, never removed, and reported by pool_problems().
 * storage: goes over what the pool says of itself (pool.json); NULL: nothing does.
 * If `path` is not mounted although `path`.img exists, it is mounted first.  [slow] */
Pool *pool_open (const char *name, const char *path, const char *plugin_dir, const char *catalog_path,
                 const PoolStorage *storage, GError **error);
void pool_close (Pool *pool);
const char *pool_name (const Pool *pool);
const char *pool_path (const Pool *pool);
const char *pool_id (const Pool *pool);                     /* UUID, from pool.json */
const struct guardd_plugin *pool_plugin (const Pool *pool); /* its storage */
char **pool_problems (Pool *pool);                          /* sentences; NULL-terminated */

typedef struct {
  guint64 size_bytes, free_bytes; /* of the filesystem */
  guint64 domains, snapshots;
  guint64 stored_bytes; /* sum over snapshots */
  bool reflinks;
} PoolInfo;
bool pool_info (Pool *pool, PoolInfo *info, GError **error);

/* Throws the catalog away and rebuilds it from the manifests. *found: snapshots listed now.  [slow] */
bool pool_scan (Pool *pool, guint64 *found, GError **error);

/* For how long its storage plugin has been silent in a call about a domain (NULL: any): storage_silence_us().
 * Never waits. */
guint64 pool_silence_us (Pool *pool, const char *domain_uuid, const char **operation);

/* --- looking --- */
/* UUIDs of all domains with a snapshot; NULL-terminated, g_strfreev(). */
char **pool_domains (Pool *pool);
/* The UUID for a UUID or a (last known) name; NULL: unknown. */
char *pool_find_domain (Pool *pool, const char *name_or_uuid);
/* Copies, oldest first; empty for an unknown domain.  Elements: Snapshot. */
GPtrArray *pool_snapshots (Pool *pool, const char *domain_uuid);
/* Their numbers (guint64), oldest first, and how many there are. */
GArray *pool_numbers (Pool *pool, const char *domain_uuid);
guint pool_count (Pool *pool, const char *domain_uuid);
/* What was the newest; NULL: none. */
Snapshot *pool_latest (Pool *pool, const char *domain_uuid);
/* The number of the newest that has this disk, and its size in bytes there; 0: none has. */
guint64 pool_latest_with (Pool *pool, const char *domain_uuid, const char *disk, guint64 *size);
/* A snapshot by number, "latest", "last-good" (the newest that was judged ok or info;
 * while none is, the newest that is not evidence and does not come after one judged warn or critical), an ISO
 * 8601 time (the newest not later), or an age ("-15min": the newest at least that old).  now_us: for ages. */
Snapshot *pool_resolve (Pool *pool, const char *domain_uuid, const char *which, gint64 now_us,
                        GError **error);
/* Content of a small file of a snapshot ("domain.xml", "nvram"); NULL with POOL_ERROR_NOT_FOUND when it has
 * none. */
GBytes *pool_snapshot_file (Pool *pool, const char *domain_uuid, guint64 number, const char *name,
                            GError **error);
StorageReader *pool_image_open (Pool *pool, const char *domain_uuid, guint64 number, const char *target,
                                GError **error);

/* Until pool_unpin() nothing removes the snapshot, by force or not; each has to be undone once.
 * POOL_ERROR_NOT_FOUND: it is gone already. */
bool pool_pin (Pool *pool, const char *domain_uuid, guint64 number, GError **error);
void pool_unpin (Pool *pool, const char *domain_uuid, guint64 number);

/* --- lists of files (inspector/inventory.h), of snapshots that were inspected --- */
/* A descriptor to read from; -1 with POOL_ERROR_NOT_FOUND: there is none. */
int pool_inventory_open (Pool *pool, const char *domain_uuid, guint64 number, GError **error);
bool pool_inventory_exists (Pool *pool, const char *domain_uuid, guint64 number);
/* Bytes that one may have, compressed: fifty times what a million files need. */
#define POOL_INVENTORY_MAX (G_GUINT64_CONSTANT (256) << 20)
/* A new one's descriptor, to be finished; one at a time for a snapshot.  -1 on error: POOL_ERROR_FULL when so
 * many bytes would not leave the reserve free. */
int pool_inventory_create (Pool *pool, const char *domain_uuid, guint64 number, GError **error);
/* Puts it in place of an older one, or throws it away; fd is closed in any case. */
bool pool_inventory_finish (Pool *pool, const char *domain_uuid, guint64 number, int fd, bool keep,
                            GError **error);

/* --- taking a snapshot --- */
/* Has the cache of the pool's device written out, beside the caller.  A seal waits for all that the device
 * was given, the guests' writes as well, and for less when that has begun while QEMU was being prepared.
 * NULL: not possible. */
typedef struct PoolFlush PoolFlush;
PoolFlush *pool_flush_begin (const Pool *pool);
/* Waits for it, but not longer than that; NULL is fine. */
void pool_flush_end (PoolFlush *flush, guint64 timeout_us);
/* Allocates the number and a directory aside.  domain_uuid must be a UUID.  need_bytes: what it is
 * expected to store; refused with POOL_ERROR_FULL if it would leave less than the reserve (1/64 of the pool,
 * at least 64 MiB) free. */
PoolDraft *pool_draft_new (Pool *pool, const char *domain_uuid, guint64 need_bytes, GError **error);
guint64 pool_draft_number (const PoolDraft *draft);
/* Starts a disk's image.  parent: number of the sealed snapshot it is based on, 0: a baseline. */
StorageWriter *pool_draft_image (PoolDraft *draft, const char *target, guint64 parent, guint64 size,
                                 GError **error);
/* --- clones of guests' own disks, for storages that can (include/guardd/storage.h) --- */
typedef struct {
  const char *target, *path;
  guint64 parent, size;  /* as for pool_draft_image(); size: as probed */
  StorageWriter *writer; /* set: to be sealed or aborted, not to be written to */
} PoolSource;
bool pool_clones (const Pool *pool);
/* What a disk is for this pool; the error says why it cannot be cloned into it.  [slow] */
bool pool_source_probe (Pool *pool, const char *domain_uuid, const char *path, const char *format,
                        struct guardd_source_info *info, GError **error);
/* The images of all disks, of one instant: as fast as the storage can. */
bool pool_draft_clone (PoolDraft *draft, PoolSource *sources, size_t n, GError **error);
/* Puts a clone of a snapshot's image in the place of the disk at `path`, which nobody uses; what was there is
 * kept with snapshot `evidence`.  Repeatable.  [slow] */
bool pool_source_restore (Pool *pool, const char *domain_uuid, guint64 number, const char *target,
                          const char *path, guint64 evidence, GError **error);

/* Adds a small file; name [a-z.-]+, at most 16 MiB. */
bool pool_draft_file (PoolDraft *draft, const char *name, GBytes *content, GError **error);
/* Makes everything durable and listed.  All writers must be sealed; manifest->number is set by the pool and
 * checked against the draft.  The draft is gone, also on failure. state NULL: none. */
bool pool_draft_commit (PoolDraft *draft, Manifest *manifest, const SnapshotState *state, GError **error);
/* Removes every trace; NULL is fine. */
void pool_draft_abort (PoolDraft *draft);

/* --- what becomes of a snapshot --- */
typedef struct {
  const char *verdict; /* NULL: stays as it is */
  const char *hold;    /* why it is held from now on; NULL: stays as it is */
  bool mild;           /* a hold that is there already stays */
  bool release;        /* it is held no longer */
} StateChange;

/* Changes that much of the state as it is by then, whoever changes the rest meanwhile; the history says so.
 */
bool pool_change_state (Pool *pool, const char *domain_uuid, guint64 number, const StateChange *change,
                        GError **error);

/* What was thought of a snapshot that needs no record: known until the pool is closed. */
void pool_note_verdict (Pool *pool, const char *domain_uuid, guint64 number, const char *verdict);

/* Removes snapshots and keeps every image's depth bounded; numbers may be NULL/0 for upkeep alone.  The
 * newest, held and evidence ones are refused (POOL_ERROR_BUSY, nothing is removed) unless force (never the
 * newest).  One maintenance at a time per pool; others wait.  [slow] */
bool pool_delete (Pool *pool, const char *domain_uuid, const guint64 *numbers, size_t n, bool force,
                  GCancellable *cancellable, GError **error);
/* Applies a retention to one domain; *removed set on success.  Beside what pool_delete() refuses there stay,
 * whatever it says: "last-good", the one before the newest while nobody has judged that, and the two newest
 * that have a list of files.  [slow] */
bool pool_prune (Pool *pool, const char *domain_uuid, const Retention *retention, gint64 now_us,
                 guint64 *removed, GCancellable *cancellable, GError **error);
/* Where the storage says that it is time (a thin pool that fills): removes a domain's oldest snapshots, one
 * by one, until it does not, or only those are left that pool_prune() leaves.  [slow] */
bool pool_make_room (Pool *pool, const char *domain_uuid, guint64 *removed, GCancellable *cancellable,
                     GError **error);
/* The storage said so when it was last asked (by the above, and for each new snapshot). */
bool pool_is_filling (Pool *pool);
/* Checks one snapshot (images, manifest, its place in the history); the error names the file.  deep: its
 * parents' images too, that is all that is needed to restore it.  verified: of this domain; what is in it is
 * not read again, and what is good is added; NULL: for this snapshot alone.  [slow] */
bool pool_verify (Pool *pool, const char *domain_uuid, guint64 number, bool deep, PoolVerified *verified,
                  GCancellable *cancellable, GError **error);
/* Checks the hash chain of a domain's history. */
bool pool_verify_history (Pool *pool, const char *domain_uuid, GError **error);
