/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xfs.h: an XFS filesystem read as it would be after replaying its log, without replaying it.
 *
 * Allocation groups' headers and btrees reach their places up to some 75 seconds late; the log has them as
 * soon as anything was synced, before any freed block is discarded or used again, and within 30 seconds
 * otherwise. Format: "XFS Algorithms & Data Structures", 3rd ed.; numbers are big-endian, what is in log
 * items is the guest's own order (little-endian machines only; others are read as they lie in place).
 */
#pragma once

#include "view.h"

struct xfs_log;

struct xfs {
  const struct view *view;
  uint8_t super[512];
  uint64_t blocks;
  uint32_t block, sector, inode, group_blocks, groups;
  uint32_t log_blocks; /* 0: it is on another device */
  uint64_t log_start;  /* bytes */
  bool version_5;
  bool late;           /* the log could not be read, or not all of it: what is in place is late */
  struct xfs_log *log; /* NULL: nothing in it */
};

enum xfs_found { XFS_NONE, XFS_DAMAGED, XFS_FOUND };

/* Looks for a superblock; XFS_FOUND: fs is to be closed.  The view must outlive fs.
 * since: xfs_head() of an earlier snapshot of it, whose freed blocks are then known; 0: none. */
enum xfs_found xfs_open (struct xfs *fs, const struct view *view, uint64_t since);
void xfs_close (struct xfs *fs);
/* As it is after replay; groups' headers and btrees only. */
bool xfs_read (const struct xfs *fs, uint64_t offset, void *data, size_t length);
uint64_t xfs_group_start (const struct xfs *fs, uint32_t group); /* bytes */

/* --- xfs-form.c --- */
/* Where an inode lies, bytes; false: it cannot be one's number. */
bool xfs_inode_place (const struct xfs *fs, uint64_t number, uint64_t *offset);
/* Whether what lies there, in place, says by itself that it is a table (inodes, btree, directory, attributes)
 * of this filesystem, and here.  Version 4 has none that do; false as well if it cannot be read. */
bool xfs_is_table (const struct xfs *fs, uint64_t offset);

/* --- xfs-log.c --- */
/* Where the log ends: grows with everything that is written to it; 0: not known. */
uint64_t xfs_head (const struct xfs *fs);
/* Walks the log; fs->late is set where not all of it counts. */
struct xfs_log *xfs_log_read (struct xfs *fs, uint64_t since);
void xfs_log_free (struct xfs_log *log); /* NULL is fine */

/* --- xfs-items.c: what is in the log's transactions --- */
struct xfs_items;
struct xfs_items *xfs_items_new (void);
void xfs_items_free (struct xfs_items *items);
/* Takes a transaction that was committed: its regions, one behind the other.  after: it came after the
 * earlier snapshot.  false: no memory. */
bool xfs_items_take (struct xfs_items *items, const struct xfs *fs, const uint8_t *data,
                     const uint32_t *lengths, uint32_t n_regions, bool after);
/* Puts over data, which was read from offset, what is newer in the log. */
void xfs_items_apply (const struct xfs_items *items, uint64_t offset, uint8_t *data, size_t length);
/* Whether a stretch of free space that a transaction after the earlier snapshot wrote down held a block. */
bool xfs_items_was_free (const struct xfs_items *items, uint32_t group, uint32_t block);
/* For both: sorts; before the first question. */
void xfs_items_settle (struct xfs_items *items);

enum xfs_was { XFS_WAS_KEPT, XFS_WAS_FREE, XFS_WAS_UNKNOWN };
/* Whether a block was free in between. */
enum xfs_was xfs_was_free (const struct xfs *fs, uint32_t group, uint32_t block);
