/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * overlay.h: everything in an overlay's qcow2 file that is not a guest's data, computed from its
 * index.  Pure.  Format: docs/interop/qcow2.txt of QEMU, version 3, 64 KiB clusters, 16 bit refcounts.
 *
 *   cluster 0          header, backing format, backing name (only the first 4 KiB page is used)
 *   1 … data           one cluster per data entry, in order of arrival
 *   then               L2 tables, L1 table, refcount blocks, refcount table
 *
 * Every cluster of the file has refcount 1.  Metadata pages of 4 KiB that are all zero are holes: a
 * scattered snapshot touches many L2 tables and little of each.
 */
#pragma once

#include "index.h"

#define OVERLAY_PAGE 4096u

typedef struct {
  guint64 virtual_size; /* what qemu says: the disk's size up to the next 512 */
  guint64 data_end;     /* bytes: where metadata begins */
  guint64 l2_tables, l1_entries;
  guint64 l2_offset, l1_offset, refcounts_offset, table_offset;
  guint64 refcount_blocks, table_clusters;
  guint64 file_size;
} OverlayLayout;

/* n_data: data entries; l2_tables: how many distinct block / 8192 the entries have. */
void overlay_layout (OverlayLayout *layout, guint64 size, guint64 n_data, guint64 l2_tables);

/* Called with every 4 KiB page of metadata that is not all zero, ascending within each kind; nonzero ends it.
 */
typedef int (*OverlaySink) (void *opaque, guint64 offset, const guint8 *page);
/* The next entry, ascending: 1; none left: 0; failed: -1. */
typedef int (*OverlaySource) (void *opaque, IndexEntry *entry);

/* The header page last, so that a file that was cut short is no qcow2.  0, or what the sink or source
 * returned. */
int overlay_emit (const OverlayLayout *layout, const char *backing, OverlaySource source, void *source_opaque,
                  OverlaySink sink, void *sink_opaque);

/* The first page alone: what re-parenting rewrites. */
void overlay_header (const OverlayLayout *layout, const char *backing, guint8 *page);
