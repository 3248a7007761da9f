/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LVM2 physical volumes: label and metadata area.  Format: lvm2, lib/format_text/layout.h and
 * lib/label/label.h.
 */
#include "lvm.h"
#include "bytes.h"
#include "probe.h"

#define LABEL_SECTORS 4u
#define METADATA_MAX (1024u * 1024)

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
  lvm_probe_volumes (probe, &pv, group.value, path);
  return true;
}
