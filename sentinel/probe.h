/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe.h: one look at a disk: which structures are on it, one inside the other.
 *
 * Each reader looks at the start of a view, and says whether the structure is its own; if so, it has added
 * what it saw, and probed what is inside.  Readers are bounded by the view's budget and by
 * PROBE_DEPTH_MAX; nothing they read is believed before it is compared with what it must fit into.
 */
#pragma once

#include "view.h"

#include <guardd/observation.h>

#define PROBE_DEPTH_MAX 6u

/* Where each structure that was seen lies, by its index. */
struct probe_views {
  struct view of[GUARDD_STRUCTURES_MAX];
};

struct probe {
  struct guardd_observation *seen;
  struct probe_views *views;
  uint32_t depth;
  bool beside; /* a filesystem was found here: only what is surely in use as well counts */
};

/* Looks at all of a disk; seen and views are filled from zero. */
void probe_disk (struct guardd_observation *seen, struct view_source *disk, struct probe_views *views);

/* What is in a stretch of the disk: for readers of containers. */
void probe_inside (struct probe *probe, const struct view *view, const char *path);

/* A new entry; its path, offset and length are set.  NULL: there are too many. */
struct guardd_structure *probe_add (struct probe *probe, enum guardd_structure_kind kind,
                                    const struct view *view, const char *path);

/* parent/name, or name when parent is the disk; other characters than [A-Za-z0-9+_.-] become '_'. */
void probe_path (char path[64], const char *parent, const char *name);

/* --- the readers, a file each --- */
bool probe_mbr (struct probe *probe, const struct view *view, const char *path);
bool probe_gpt (struct probe *probe, const struct view *view, const char *path);
bool probe_ext (struct probe *probe, const struct view *view, const char *path);
bool probe_xfs (struct probe *probe, const struct view *view, const char *path);
bool probe_btrfs (struct probe *probe, const struct view *view, const char *path);
bool probe_ntfs (struct probe *probe, const struct view *view, const char *path);
bool probe_fat (struct probe *probe, const struct view *view, const char *path);
bool probe_exfat (struct probe *probe, const struct view *view, const char *path);
bool probe_swap (struct probe *probe, const struct view *view, const char *path);
bool probe_pv (struct probe *probe, const struct view *view, const char *path);
bool probe_md (struct probe *probe, const struct view *view, const char *path);
bool probe_luks (struct probe *probe, const struct view *view, const char *path);
bool probe_bitlocker (struct probe *probe, const struct view *view, const char *path);
