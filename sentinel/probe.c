/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"

#include "bytes.h"

#include <stdio.h>

/* The first that knows its own magic decides.  Members of arrays and volume groups come before what may
 * show through from inside them; boot sectors of filesystems before partition tables, which they resemble. */
static bool (*const readers[]) (struct probe *, const struct view *, const char *) = {
  probe_luks,  probe_bitlocker, probe_pv,  probe_md,   probe_xfs, probe_ext, probe_btrfs,
  probe_exfat, probe_ntfs,      probe_fat, probe_swap, probe_gpt, probe_mbr,
};

void
probe_path (char path[64], const char *parent, const char *name)
{
  snprintf (path, 64, "%s%s%s", parent, parent[0] ? "/" : "", name);
  for (char *at = path + (parent[0] ? strlen (parent) + 1 : 0); at < path + 64 && *at; at++) {
    bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
    if (!plain && !strchr ("+_.-", *at))
      *at = '_';
  }
}

struct guardd_structure *
probe_add (struct probe *probe, enum guardd_structure_kind kind, const struct view *view, const char *path)
{
  struct guardd_observation *seen = probe->seen;
  if (seen->n_structures == GUARDD_STRUCTURES_MAX)
    return NULL;
  probe->views->of[seen->n_structures] = *view;
  struct guardd_structure *structure = &seen->structures[seen->n_structures++];
  memset (structure, 0, sizeof *structure);
  structure->kind = kind;
  structure->offset = view_on_disk (view, 0);
  structure->length = view->length;
  structure->used_bytes = structure->used_inodes = structure->used_dirs = UINT64_MAX;
  snprintf (structure->path, sizeof structure->path, "%s", path);
  return structure;
}

/* Looks where filesystems have something: a stretch that was never used is not "unknown". */
static bool
is_empty (const struct view *view)
{
  static const uint64_t places[] = { 0, 4096, 65536, 1024 * 1024 };
  uint8_t page[4096];
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
    if (view_read (view, places[i], page, sizeof page) && !bytes_are_zero (page, sizeof page))
      return false;
  return true;
}

/* What does not touch a filesystem's own first block leaves its signature.  mkfs of each kind zeroes what is
 * looked for here, so it is always the newer one. */
static bool (*const beside_any[]) (struct probe *, const struct view *, const char *) = {
  probe_gpt,
  probe_mbr,
};
static bool (*const beside_btrfs[]) (struct probe *, const struct view *, const char *) = {
  probe_exfat, probe_ntfs, probe_fat, probe_swap, probe_gpt, probe_mbr, /* it begins at 64 KiB */
};

static void
look_beside (struct probe *probe, const struct view *view, const char *path, uint32_t found)
{
  struct guardd_observation *seen = probe->seen;
  if (found >= seen->n_structures || seen->structures[found].kind < GUARDD_STRUCTURE_EXT
      || seen->structures[found].kind > GUARDD_STRUCTURE_EXFAT)
    return;
  bool is_btrfs = seen->structures[found].kind == GUARDD_STRUCTURE_BTRFS;
  size_t n = is_btrfs ? sizeof beside_btrfs / sizeof beside_btrfs[0] : 2;
  for (size_t i = 0; i < n; i++) {
    uint32_t first = seen->n_structures;
    probe->beside = true;
    bool is = (is_btrfs ? beside_btrfs : beside_any)[i](probe, view, path);
    probe->beside = false;
    if (!is || seen->n_structures == first)
      continue;
    seen->structures[found].flags |= GUARDD_STRUCTURE_OVERLAID;
    return;
  }
}

void
probe_inside (struct probe *probe, const struct view *view, const char *path)
{
  if (probe->depth == PROBE_DEPTH_MAX || view->length == 0)
    return;
  uint32_t first = probe->seen->n_structures;
  probe->depth++;
  probe->beside = false;
  size_t i = 0;
  while (i < sizeof readers / sizeof readers[0] && !readers[i](probe, view, path))
    i++;
  if (i < sizeof readers / sizeof readers[0])
    look_beside (probe, view, path, first);
  else if (!is_empty (view))
    probe_add (probe, GUARDD_STRUCTURE_UNKNOWN, view, path);
  probe->depth--;
}

void
probe_disk (struct guardd_observation *seen, struct view_source *disk, struct probe_views *views)
{
  struct probe probe = { .seen = seen, .views = views };
  struct view whole;
  memset (seen, 0, sizeof *seen);
  seen->size_of = sizeof *seen;
  seen->disk_size = disk->size;
  view_whole (&whole, disk);
  probe_inside (&probe, &whole, "");
  seen->read_bytes = disk->read_bytes;
}
