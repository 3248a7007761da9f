/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LVM2 physical volumes: label, metadata area, and the logical volumes that lie on this volume alone in
 * linear segments.  Format: lvm2, lib/format_text/layout.h and lib/label/label.h.
 */
#include "bytes.h"
#include "lvm-text.h"
#include "probe.h"

#include <stdio.h>

#define LABEL_SECTORS 4u
#define METADATA_MAX (1024u * 1024)
#define SEGMENTS_MAX 128u

struct pv {
  const struct view *view;
  char id[33];              /* without dashes */
  uint64_t area, area_size; /* of the first metadata area, bytes; 0: none */
  uint32_t label_sector;
};

static bool
read_label (struct pv *pv)
{
  uint8_t sector[512];
  for (pv->label_sector = 0; pv->label_sector < LABEL_SECTORS; pv->label_sector++) {
    if (!view_read (pv->view, pv->label_sector * 512ull, sector, sizeof sector))
      return false;
    if (memcmp (sector, "LABELONE", 8) == 0 && memcmp (sector + 24, "LVM2 001", 8) == 0)
      break;
  }
  if (pv->label_sector == LABEL_SECTORS)
    return false;
  uint32_t at = le32 (sector + 20);
  if (at < 32 || at > 512 - 40)
    return true; /* a label without a volume: an empty id says so */
  memcpy (pv->id, sector + at, 32);
  at += 40;
  /* Data areas, an empty entry, metadata areas, an empty entry. */
  for (unsigned lists = 0; lists < 2 && at + 16 <= 512; at += 16) {
    uint64_t offset = le64 (sector + at), size = le64 (sector + at + 8);
    if (offset == 0)
      lists++;
    else if (lists == 1 && pv->area == 0) {
      pv->area = offset;
      pv->area_size = size;
    }
  }
  return true;
}

/* The newest text of the metadata area, which is a ring behind its header; free() it. */
static char *
read_text (const struct pv *pv, size_t *length)
{
  uint8_t header[512];
  if (pv->area == 0 || !view_read (pv->view, pv->area, header, sizeof header)
      || memcmp (header + 4, " LVM2 x[5A%r0N*>", 16) || le64 (header + 24) != pv->area)
    return NULL;
  uint64_t size = le64 (header + 32), offset = le64 (header + 40), n = le64 (header + 48);
  if (size != pv->area_size || size <= sizeof header || offset < sizeof header || offset >= size || n == 0
      || n > METADATA_MAX || n > size - sizeof header)
    return NULL;
  char *text = malloc (n);
  uint64_t first = size - offset < n ? size - offset : n;
  if (text && view_read (pv->view, pv->area + offset, text, first)
      && (first == n || view_read (pv->view, pv->area + sizeof header, text + first, n - first))) {
    *length = n;
    return text;
  }
  free (text);
  return NULL;
}

static bool
same_id (const char *dashed, const char id[33])
{
  while (*id)
    if (*dashed == '-')
      dashed++;
    else if (*dashed++ != *id++)
      return false;
  return true;
}

/* The name that the volume group has for this volume, and where its extents start. */
static bool
find_self (struct lvm_text group, const struct pv *pv, char name[64], uint64_t *start)
{
  struct lvm_item volumes, volume;
  if (!lvm_find (group, "physical_volumes", &volumes))
    return false;
  while (lvm_next (&volumes.value, &volume)) {
    char id[64];
    lvm_string (volume.value, "id", id, sizeof id);
    if (!volume.is_section || !same_id (id, pv->id))
      continue;
    memcpy (name, volume.name, 64);
    *start = lvm_number (volume.value, "pe_start") * 512;
    return true;
  }
  return false;
}

/* Puts a volume's segments in order; false if any is not plain, or elsewhere. */
static bool
map_volume (const struct pv *pv, struct lvm_text volume, const char *self, uint64_t start, uint64_t extent,
            struct view *map)
{
  uint64_t n = lvm_number (volume, "segment_count");
  if (n == 0 || n > SEGMENTS_MAX)
    return false;
  for (uint64_t i = 1; i <= n; i++) {
    char name[32], type[16], stripe[64];
    struct lvm_item segment;
    uint64_t first;
    snprintf (name, sizeof name, "segment%u", (unsigned)i);
    if (!lvm_find (volume, name, &segment))
      return false;
    lvm_string (segment.value, "type", type, sizeof type);
    uint64_t count = lvm_number (segment.value, "extent_count");
    if (strcmp (type, "striped") || lvm_number (segment.value, "stripe_count") != 1
        || !lvm_stripe (segment.value, stripe, &first) || strcmp (stripe, self)
        || first > pv->view->length / extent || count > pv->view->length / extent
        || !view_append (map, pv->view, start + first * extent, count * extent))
      return false;
  }
  return true;
}

static void
probe_volumes (struct probe *probe, const struct pv *pv, struct lvm_text group, const char *path)
{
  char self[64];
  uint64_t start, extent = lvm_number (group, "extent_size") * 512;
  struct lvm_item volumes, volume;
  if (extent == 0 || extent > pv->view->length || !find_self (group, pv, self, &start)
      || !lvm_find (group, "logical_volumes", &volumes))
    return;
  while (lvm_next (&volumes.value, &volume)) {
    struct view *map = calloc (1, sizeof *map);
    if (map == NULL)
      return;
    map->source = pv->view->source;
    if (volume.is_section && map_volume (pv, volume.value, self, start, extent, map) && map->length > 0) {
      char inside[64];
      probe_path (inside, path, volume.name);
      probe_add (probe, GUARDD_STRUCTURE_LV, map, inside);
      probe_inside (probe, map, inside);
    }
    free (map);
  }
}

bool
probe_pv (struct probe *probe, const struct view *view, const char *path)
{
  struct pv pv = { .view = view };
  if (!read_label (&pv))
    return false;
  struct guardd_structure *is = probe_add (probe, GUARDD_STRUCTURE_PV, view, path);
  if (is == NULL)
    return true;
  /* 32 characters of 62: a digest of them fits. */
  uint64_t id = fnv (FNV_START, pv.id, 32);
  memcpy (is->uuid, &id, sizeof id);
  size_t length = 0;
  bytes_autofree char *metadata = read_text (&pv, &length);
  struct lvm_text text = { metadata, metadata + length };
  struct lvm_item group;
  if (metadata == NULL || !lvm_next (&text, &group) || !group.is_section) {
    /* A new volume that is in no group has an area with nothing in it. */
    is->flags |= pv.area ? 0 : GUARDD_STRUCTURE_DAMAGED;
    return true;
  }
  char vg_id[64];
  lvm_string (group.value, "id", vg_id, sizeof vg_id);
  id = fnv (FNV_START, vg_id, strlen (vg_id));
  memcpy (is->uuid + 8, &id, sizeof id);
  is->generation = lvm_number (group.value, "seqno");
  probe_volumes (probe, &pv, group.value, path);
  return true;
}
