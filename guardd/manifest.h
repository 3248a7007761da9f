/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * manifest.h: what a snapshot is (manifest.json, written once) and what became
 * of it (state.json, replaced whole).  Values and their JSON; no files, no locks.
 */
#pragma once

#include <glib.h>
#include <guardd/storage.h>
#include <json-c/json.h>
#include <stdbool.h>

typedef struct {
  char *target;          /* "vda" */
  char *source;          /* the guest's image, for people: "/var/lib/libvirt/images/web.qcow2" */
  char *format;          /* "raw", "qcow2", …: the guest's image, not the pool's */
  guint64 size;          /* bytes, as the guest sees the disk */
  guint64 parent;        /* number of the snapshot this disk's image is based on; 0: baseline */
  guint64 read_bytes;    /* bytes pulled from QEMU or the image */
  guint64 changed_bytes; /* blocks whose content differs from the parent's, in bytes */
  guint64 stored_bytes;  /* bytes of them that are not zero */
  char *full_reason;     /* why all of the disk was read; NULL: only dirty extents were */
  guint8 index_hash[GUARDD_HASH_SIZE]; /* as created; the history knows later ones */
} ManifestDisk;

typedef struct {
  guint64 number;      /* per domain, counts up from 1, never reused */
  char *id;            /* UUID of this snapshot */
  char *domain_uuid;   /* lower case with dashes */
  char *domain_name;   /* at that time */
  gint64 time_us;      /* the instant, microseconds since 1970 UTC */
  char *engine;        /* "qmp", "libvirt", "native", "offline" */
  char *engine_reason; /* why that one; NULL: not recorded */
  char *origin;        /* "schedule", "manual", "shutdown", "evidence" */
  char *description;   /* a person's words; NULL: none */
  bool guest_active;   /* the guest was running */
  guint64 stall_us;    /* upper bound of what the guest could feel; 0 when off */
  guint64 duration_us; /* from the first command to the sealed snapshot */
  char *bitmap;        /* name of the dirty bitmap in QEMU that records since this instant; NULL: none */
  bool has_nvram, has_tpm;
  GPtrArray *disks; /* ManifestDisk */
} Manifest;

Manifest *manifest_new (void); /* zeroed, with an empty disks array */
void manifest_free (Manifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Manifest, manifest_free)
Manifest *manifest_copy (const Manifest *manifest);
ManifestDisk *manifest_add_disk (Manifest *manifest, const char *target);
ManifestDisk *manifest_find_disk (const Manifest *manifest, const char *target); /* NULL: not in it */
guint64 manifest_changed_bytes (const Manifest *manifest);
guint64 manifest_stored_bytes (const Manifest *manifest);

json_object *manifest_to_json (const Manifest *manifest);
/* Every member is checked for presence, type and range; the error names the member. */
Manifest *manifest_from_json (json_object *json, GError **error);

typedef struct {
  char *hold;    /* why it is held; NULL: not held */
  bool evidence; /* taken of a ruined state before a rollback; never pruned */
  char *verdict; /* "ok", "warn", …; NULL: nobody looked yet */
} SnapshotState;

SnapshotState *snapshot_state_new (void);
void snapshot_state_free (SnapshotState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SnapshotState, snapshot_state_free)
SnapshotState *snapshot_state_copy (const SnapshotState *state);
json_object *snapshot_state_to_json (const SnapshotState *state);
SnapshotState *snapshot_state_from_json (json_object *json, GError **error);
