/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "overlay.h"

#include <string.h>

#define CLUSTER ((guint64)GUARDD_BLOCK_SIZE)
#define CLUSTER_BITS 16
#define ENTRIES_PER_L2 (CLUSTER / 8)
#define COPIED ((guint64)1 << 63) /* refcount is exactly one */
#define L2_ZERO ((guint64)1)      /* reads as zero */
#define EXTENSION_BACKING_FORMAT 0xE2792ACAu
#define BACKING_NAME_OFFSET 1024u

static guint64
divide_up (guint64 n, guint64 by)
{
  return n / by + (n % by != 0);
}

void
overlay_layout (OverlayLayout *layout, guint64 size, guint64 n_data, guint64 l2_tables)
{
  memset (layout, 0, sizeof *layout);
  layout->virtual_size = divide_up (size, 512) * 512;
  layout->l2_tables = l2_tables;
  layout->l1_entries = divide_up (divide_up (layout->virtual_size, CLUSTER), ENTRIES_PER_L2);
  layout->data_end = (1 + n_data) * CLUSTER;
  layout->l2_offset = layout->data_end;
  layout->l1_offset = layout->l2_offset + l2_tables * CLUSTER;
  layout->refcounts_offset
      = layout->l1_offset + MAX (1, divide_up (layout->l1_entries * 8, CLUSTER)) * CLUSTER;
  /* The refcount blocks count themselves and their table, too. */
  guint64 others = layout->refcounts_offset / CLUSTER;
  guint64 blocks = 1, tables = 1;
  for (;;) {
    guint64 needed = divide_up (others + blocks + tables, CLUSTER / 2);
    guint64 needed_tables = divide_up (needed * 8, CLUSTER);
    if (needed == blocks && needed_tables == tables)
      break;
    blocks = MAX (needed, blocks);
    tables = MAX (needed_tables, tables);
  }
  layout->refcount_blocks = blocks;
  layout->table_clusters = tables;
  layout->table_offset = layout->refcounts_offset + blocks * CLUSTER;
  layout->file_size = layout->table_offset + tables * CLUSTER;
}

/* --- pages --- */

typedef struct {
  OverlaySink sink;
  void *opaque;
  guint64 offset; /* of the page being filled */
  bool dirty;
  guint64 page[OVERLAY_PAGE / 8]; /* big endian */
} Pager;

static int
pager_flush (Pager *pager)
{
  int result = 0;
  if (pager->dirty)
    result = pager->sink (pager->opaque, pager->offset, (const guint8 *)pager->page);
  memset (pager->page, 0, sizeof pager->page);
  pager->dirty = false;
  return result;
}

/* Offsets must not go down. */
static int
pager_put (Pager *pager, guint64 offset, guint64 value)
{
  guint64 page = offset / OVERLAY_PAGE * OVERLAY_PAGE;
  if (page != pager->offset) {
    int result = pager_flush (pager);
    if (result != 0)
      return result;
    pager->offset = page;
  }
  pager->page[offset % OVERLAY_PAGE / 8] = GUINT64_TO_BE (value);
  pager->dirty = true;
  return 0;
}

/* L2 tables; fills l1 (host order) on the way. */
static int
emit_l2 (const OverlayLayout *layout, OverlaySource source, void *source_opaque, Pager *pager, guint64 *l1)
{
  IndexEntry entry;
  guint64 table = 0, last = G_MAXUINT64;
  int more, result;
  while ((more = source (source_opaque, &entry)) > 0) {
    guint64 index = entry.block / ENTRIES_PER_L2;
    if (index != last) {
      if (index >= layout->l1_entries || table >= layout->l2_tables)
        return -1;
      l1[index] = (layout->l2_offset + table++ * CLUSTER) | COPIED;
      last = index;
    }
    guint64 at = layout->l2_offset + (table - 1) * CLUSTER + entry.block % ENTRIES_PER_L2 * 8;
    result = pager_put (pager, at, entry.offset ? entry.offset | COPIED : L2_ZERO);
    if (result != 0)
      return result;
  }
  return more < 0 ? -1 : pager_flush (pager);
}

static int
emit_l1 (const OverlayLayout *layout, const guint64 *l1, Pager *pager)
{
  for (guint64 i = 0; i < layout->l1_entries; i++) {
    int result = l1[i] ? pager_put (pager, layout->l1_offset + i * 8, l1[i]) : 0;
    if (result != 0)
      return result;
  }
  return pager_flush (pager);
}

static int
emit_refcounts (const OverlayLayout *layout, Pager *pager)
{
  guint64 clusters = layout->file_size / CLUSTER;
  int result = 0;
  for (guint64 c = 0; result == 0 && c < clusters; c += 4) {
    guint64 four = 0x0001000100010001u; /* four counts of one */
    if (clusters - c < 4)
      four &= ~(guint64)0 << 16 * (4 - (clusters - c));
    result = pager_put (pager, layout->refcounts_offset + c * 2, four);
  }
  if (result == 0)
    result = pager_flush (pager);
  for (guint64 b = 0; result == 0 && b < layout->refcount_blocks; b++)
    result = pager_put (pager, layout->table_offset + b * 8, layout->refcounts_offset + b * CLUSTER);
  return result != 0 ? result : pager_flush (pager);
}

static guint8 *
put32 (guint8 *at, guint32 value)
{
  value = GUINT32_TO_BE (value);
  memcpy (at, &value, 4);
  return at + 4;
}

static guint8 *
put64 (guint8 *at, guint64 value)
{
  value = GUINT64_TO_BE (value);
  memcpy (at, &value, 8);
  return at + 8;
}

void
overlay_header (const OverlayLayout *layout, const char *backing, guint8 *page)
{
  const char *format = g_str_has_suffix (backing, ".raw") ? "raw" : "qcow2";
  memset (page, 0, OVERLAY_PAGE);
  guint8 *at = put32 (page, 0x514649fbu); /* "QFI\xfb" */
  at = put32 (at, 3);
  at = put64 (at, BACKING_NAME_OFFSET);
  at = put32 (at, (guint32)strlen (backing));
  at = put32 (at, CLUSTER_BITS);
  at = put64 (at, layout->virtual_size);
  at = put32 (at, 0); /* no encryption */
  at = put32 (at, (guint32)layout->l1_entries);
  at = put64 (at, layout->l1_offset);
  at = put64 (at, layout->table_offset);
  at = put32 (at, (guint32)layout->table_clusters);
  at = put32 (at, 0); /* no internal snapshots */
  at = put64 (at, 0);
  at = put64 (at, 0); /* incompatible, */
  at = put64 (at, 0); /* compatible, */
  at = put64 (at, 0); /* autoclear features: none */
  at = put32 (at, 4); /* refcounts of 1 << 4 bits */
  at = put32 (at, 104);
  at = put32 (at, EXTENSION_BACKING_FORMAT);
  at = put32 (at, (guint32)strlen (format));
  memcpy (at, format, strlen (format)); /* padded to 8; then the end: type 0, length 0 */
  memcpy (page + BACKING_NAME_OFFSET, backing, strlen (backing));
}

int
overlay_emit (const OverlayLayout *layout, const char *backing, OverlaySource source, void *source_opaque,
              OverlaySink sink, void *sink_opaque)
{
  Pager pager = { .sink = sink, .opaque = sink_opaque };
  g_autofree guint64 *l1 = g_new0 (guint64, layout->l1_entries + 1);
  int result = emit_l2 (layout, source, source_opaque, &pager, l1);
  if (result == 0)
    result = emit_l1 (layout, l1, &pager);
  if (result == 0)
    result = emit_refcounts (layout, &pager);
  if (result != 0)
    return result;
  guint8 page[OVERLAY_PAGE];
  overlay_header (layout, backing, page);
  return sink (sink_opaque, 0, page);
}
