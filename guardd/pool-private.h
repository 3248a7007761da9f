/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool-private.h: what the pool's files share.  Nobody else includes it.
 *
 * Layout
 *   POOL/pool.json                    {"format": 1, "id": uuid, "storage": "qcow2", "parameters": {…},
 * "created": time} POOL/.lock                        flock()ed by the daemon POOL/<domain uuid>/history
 * history.h POOL/<domain uuid>/00000042/      manifest.json [state.json domain.xml nvram …] and the plugin's
 * files POOL/<domain uuid>/.new-00000042/ a draft POOL/<domain uuid>/base-*, .maintain   the plugin's
 *
 * What is trusted, and why: the history's chain proves each line; its create line has the SHA-256 of
 * manifest.json and of the small files; its create line or the newest maintain line that names an image has
 * that image's index hash; the index has the blocks' hashes.  A snapshot's state is the history's; state.json
 * is a copy for people and tools.
 *
 * Locks, in the order in which they may be taken
 *   maintenance    one maintenance or scan per pool; held for as long as it takes
 *   loading        a domain is being added
 *   domain images  readers: opening an image; writer: an image file is replaced or removed (milliseconds)
 *   domain append  the history, the ledger, and what must happen together with a line (some fsync()s)
 *   lock           lists; never held across I/O
 */
#pragma once

#include "catalog.h"
#include "history.h"
#include "ledger.h"
#include "pool.h"

#define POOL_FORMAT 1
#define POOL_JSON "pool.json"
#define POOL_LOCK ".lock"
#define POOL_MANIFEST "manifest.json"
#define POOL_STATE "state.json"
#define POOL_INVENTORY "inventory.gz"
#define POOL_DRAFT_PREFIX ".new-"
#define POOL_PROBLEMS_MAX 1000
#define POOL_STORAGE_DEFAULT "qcow2"

/* Immutable, reference counted (g_atomic_rc_box): a change makes another one. */
typedef struct {
  Snapshot *snapshot;
  guint64 stored_bytes; /* as it is now */
} PoolEntry;
PoolEntry *pool_entry_new (Snapshot *snapshot, guint64 stored_bytes); /* takes snapshot */
void pool_entry_unref (PoolEntry *entry);

typedef struct {
  char *uuid;
  int fd;
  GRWLock images;
  GMutex append;
  History *history; /* append */
  Ledger *ledger;   /* append */
  /* append: the history does not explain what is there, so nothing may be removed or merged */
  bool untrusted;
  bool unrecovered;   /* maintenance: the storage has not removed yet what belongs to no snapshot */
  GPtrArray *entries; /* lock: PoolEntry by number */
  GArray *unlisted;   /* lock: guint64, in the history and on disk, but not as the history has it */
  GArray *pins;       /* lock: guint64, parents of open drafts and what is read, once per use */
  /* lock: parents of what was committed while a maintenance was preparing, which it cannot know */
  GArray *late_parents;
  GPtrArray *stale;   /* lock: names of aborted drafts that could not be removed */
  guint drafts;       /* lock: open ones */
  guint64 listed[2];  /* lock: the newest snapshots that have a list of files, newest first; 0: none */
  bool preparing;     /* lock */
  guint64 last;       /* lock: highest number ever given away */
  guint64 generation; /* lock: counts maintain lines */
} PoolDomain;

struct Pool {
  char *name, *path, *id;
  int fd, lock_fd;
  bool reflinks;
  Storage *storage;
  Catalog *catalog; /* NULL: none */
  GMutex maintenance, loading;
  GMutex lock;
  GHashTable *domains;       /* lock: uuid -> PoolDomain; one is never freed before the pool is */
  GPtrArray *problems;       /* lock */
  guint64 reserved_bytes;    /* lock: what open drafts expect to store */
  struct guardd_space space; /* lock: when it was last asked; size_of 0: the filesystem's */
};

typedef struct {
  char *name;
  int fd;
  guint8 sha256[GUARDD_HASH_SIZE];
} DraftFile;

struct PoolDraft {
  Pool *pool;
  PoolDomain *domain;
  guint64 number, reserved;
  int fd;           /* of the directory */
  char *name;       /* ".new-00000042" */
  char *final;      /* "00000042" */
  GArray *files;    /* DraftFile; open until they are durable */
  GArray *parents;  /* guint64: pinned */
  GPtrArray *disks; /* targets of images begun */
};

/* --- pool.c --- */
G_GNUC_PRINTF (2, 3) void pool_problem (Pool *pool, const char *format, ...);
/* Turns any error into one of ours (a full filesystem into POOL_ERROR_FULL, damage into POOL_ERROR_DAMAGED),
 * with "what: " in front; takes cause.  Always false. */
G_GNUC_PRINTF (4, 5)
bool pool_fail (Pool *pool, GError **error, GError *cause, const char *format, ...);
/* The catalog is an index: its failure is a problem to show, never a reason to fail. */
void pool_catalog_failed (Pool *pool, GError *failure);
/* The names of all domain directories; what else is there becomes a problem. */
char **pool_list_directories (Pool *pool, GError **error);

/* --- pool-space.c --- */
/* Asks the storage what room it has, which may take a while. */
bool pool_refresh_space (Pool *pool, GError **error);
/* What may still be written, as last asked; size (may be NULL): of where it is written. */
guint64 pool_free_bytes (Pool *pool, guint64 *size);
/* Refuses what would leave less than the reserve; else adds it to reserved_bytes. */
bool pool_reserve (Pool *pool, guint64 bytes, GError **error);
void pool_unreserve (Pool *pool, guint64 bytes);

/* --- pool-domain.c --- */
PoolDomain *pool_domain_new (Pool *pool, const char *uuid, GError **error);
void pool_domain_free (PoolDomain *domain);
PoolDomain *pool_domain_find (Pool *pool, const char *uuid, GError **error);
char *pool_directory_name (guint64 number);                    /* "00000042" */
bool pool_directory_parse (const char *name, guint64 *number); /* only what the above makes */
/* With lock held. */
PoolEntry *pool_domain_entry (const PoolDomain *domain, guint64 number);
void pool_domain_insert (PoolDomain *domain, PoolEntry *entry); /* takes it; replaces one with that number */
PoolEntry *pool_domain_take (PoolDomain *domain, guint64 number);
bool pool_domain_is_pinned (const PoolDomain *domain, guint64 number);
void pool_domain_unpin (PoolDomain *domain, guint64 number); /* undoes one that is in pins */
bool pool_domain_is_unlisted (const PoolDomain *domain, guint64 number);
/* A snapshot has a list of files. */
void pool_domain_add_listed (PoolDomain *domain, guint64 number);
/* The history's file against what we entered (takes append for a moment). */
bool pool_domain_check_history (PoolDomain *domain, GError **error);
/* With append held: enters a line in history and ledger; durable if sync. */
bool pool_domain_append (PoolDomain *domain, const char *op, json_object *members, bool sync, GError **error);
/* With append held, after a durable line: tells the catalog, starts a new file when this one is long. */
void pool_domain_appended (Pool *pool, PoolDomain *domain);
/* The exact content of state.json. */
GBytes *pool_state_text (const SnapshotState *state);

/* The sealed snapshots of a domain in the plugin's form. */
typedef struct {
  GStringChunk *strings;
  GPtrArray *disks; /* the NULL-terminated lists */
  GArray *members;  /* struct guardd_member */
} PoolMembers;
/* With append held.  remove: set of guint64 * to be removed; NULL: those that the ledger is removing. */
PoolMembers *pool_members_new (const PoolDomain *domain, GHashTable *remove);
void pool_members_free (PoolMembers *members);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PoolMembers, pool_members_free)

/* --- pool-resolve.c --- */
/* With lock held: "last-good" among these PoolEntry; 0: none. */
guint64 pool_entries_last_good (const GPtrArray *entries);

/* --- pool-space.c --- */
/* The pool's path still leads to the pool: what is written goes where the operator thinks that it does. */
bool pool_is_in_place (Pool *pool, GError **error);

/* --- pool-draft.c --- */
/* Nobody removes snapshot `parent`, on which a disk's image of `size` bytes is to stand, while the draft
 * lives. */
bool pool_draft_pin (PoolDraft *draft, const char *target, guint64 parent, guint64 size, GError **error);
/* Writes a file into the draft and keeps it open. */
bool pool_draft_add (PoolDraft *draft, const char *name, GBytes *content, mode_t mode, GError **error);
/* Lets go of the draft (space, pins), leaving what is on disk. */
void pool_draft_free (PoolDraft *draft);

/* --- pool-recover.c, pool-load.c --- */
/* Adds the domain whose directory this is: finishes what a crash left, loads its snapshots.  What is wrong
 * becomes problems.  With `loading` held.  NULL: it cannot be used at all. */
PoolDomain *pool_domain_load (Pool *pool, const char *uuid, GError **error);
/* What of that had failed, once more, when no draft is open (else it stays to be done).  With `maintenance`
 * held. */
bool pool_domain_recover_again (Pool *pool, PoolDomain *domain, GError **error);
/* Makes the list what the ledger names (append held), through the catalog where its stamps are right. */
void pool_domain_load_entries (Pool *pool, PoolDomain *domain);
/* Numbers (guint64) of the snapshot directories, sorted; drafts: names, may be NULL. */
GArray *pool_domain_list (Pool *pool, PoolDomain *domain, GPtrArray *drafts, GError **error);
/* One manifest as it is on disk.  expected: the SHA-256 that its text must have, NULL: any.  hash, text: may
 * be NULL. */
Manifest *pool_manifest_read (PoolDomain *domain, guint64 number, const guint8 *expected, guint8 *hash,
                              GBytes **text, GError **error);

/* --- pool-maintain.c --- */
/* Removes these snapshots (guint64; none: upkeep alone), all or none.  With `maintenance` held. */
bool pool_maintain (Pool *pool, PoolDomain *domain, const GArray *numbers, bool force,
                    GCancellable *cancellable, GError **error);
/* Does what the last maintain line says, again if need be, and enters that it is done.  No lock held but
 * `maintenance` or `loading`. */
bool pool_domain_redo (Pool *pool, PoolDomain *domain, GError **error);

/* --- pool-identity.c --- */
typedef struct {
  char *id, *storage;
  GArray *params; /* struct guardd_param */
} PoolIdentity;
bool pool_identity_write (int fd, const PoolStorage *storage, GError **error);
/* identity: to be cleared in any case. */
bool pool_identity_read (int fd, const char *path, const PoolStorage *storage, PoolIdentity *identity,
                         GError **error);
void pool_identity_clear (PoolIdentity *identity);

/* --- pool-create.c --- */
/* Mounts path.img at path if that is there and path holds no pool by itself. */
bool pool_mount_if_needed (const char *path, GError **error);
