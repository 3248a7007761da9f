/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ext.h: an ext2/3/4 filesystem read as it would be after replaying its journal, without replaying it.
 *
 * The counters in the superblock are written at unmount, group descriptors some 30 s late; the journal has
 * them within its commit interval.  Format: Documentation/filesystems/ext4/ of the kernel.
 */
#pragma once

#include "view.h"

#define EXT_INCOMPAT_META_BG 0x10u

struct ext_journal;

struct ext {
  const struct view *view;
  uint8_t super[1024];
  uint64_t blocks;
  uint32_t block_size, cluster_blocks, first_block, group_blocks, group_inodes, groups, descriptor_size,
      inode_size, inodes;
  uint32_t compat, incompat, ro_compat;
  uint32_t first_meta_group;
  bool approximate;            /* the journal could not be read, or may hold more than was */
  struct ext_journal *journal; /* NULL: nothing in it */
  uint8_t *descriptors;        /* all of them */
};

enum ext_found { EXT_NONE, EXT_DAMAGED, EXT_FOUND };

/* Looks for a superblock; EXT_FOUND: fs is to be closed.  The view must outlive fs. */
enum ext_found ext_open (struct ext *fs, const struct view *view);
void ext_close (struct ext *fs);
/* A block as it is after replay. */
bool ext_read_block (struct ext *fs, uint64_t block, void *data);
uint64_t ext_group_start (const struct ext *fs, uint32_t group);
bool ext_group_has_super (const struct ext *fs, uint32_t group);
/* What is the filesystem's own whatever is stored: superblocks, descriptors, bitmaps, inode tables. */
uint64_t ext_own_blocks (const struct ext *fs);

struct ext_group {
  uint64_t block_bitmap, inode_bitmap, inode_table;
  uint32_t free_clusters, free_inodes, used_dirs, unused_inodes; /* at the table's end */
  uint16_t flags;                                                /* EXT_GROUP_… */
};
#define EXT_GROUP_INODE_UNINIT 1u
#define EXT_GROUP_BLOCK_UNINIT 2u
void ext_group (const struct ext *fs, uint32_t group, struct ext_group *is);

/* --- ext-journal.c --- */
/* Walks the journal (inode 8).  *failed: what is in it is not known, and what is in place may be late. */
struct ext_journal *ext_journal_read (struct ext *fs, bool *failed);
void ext_journal_free (struct ext_journal *journal);             /* NULL is fine */
uint32_t ext_journal_blocks (const struct ext_journal *journal); /* its length; NULL: 0 */
/* True: the block's newest committed content is in the journal, and was read. */
bool ext_journal_block (struct ext_journal *journal, struct ext *fs, uint64_t block, void *data);

/* Every content that the journal has of some blocks, in order, of transactions since an earlier snapshot's
 * last one.  version: with data NULL it says whether it wants to see the block; false otherwise ends it.
 * False: not all of them are there any more. */
bool ext_journal_since (struct ext *fs, const struct ext_journal *before,
                        bool (*version) (void *opaque, uint64_t block, const void *data), void *opaque);

/* --- ext-between.c: block bitmaps between two snapshots --- */
struct ext_between;
/* NULL: not known; a block that is in use in both may have been free. */
struct ext_between *ext_between_read (struct ext *now, const struct ext *before);
void ext_between_free (struct ext_between *between); /* NULL is fine */
/* Whether a bit of a group's bitmap was clear in between. */
bool ext_between_was_free (const struct ext_between *between, uint32_t group, uint64_t bit);
/* How many blocks of inode tables were written in between, 1024 at most, and which. */
uint32_t ext_between_inodes (const struct ext_between *between, const uint64_t **blocks);

/* --- ext-freed.c --- */
struct place_freed;
/* By the bitmaps of groups whose descriptors say that they changed.  between (NULL: not known): what was
 * freed and given to another file counts as well. */
void ext_freed (struct ext *now, struct ext *before, const struct ext_between *between,
                struct place_freed *freed);

/* --- ext-inode.c --- */
/* Whether these fs->inode_size bytes can be an inode, of a file or not in use. */
bool ext_is_inode (const struct ext *fs, const uint8_t *inode);
/* Whether it has a mode, links and no time of deletion. */
bool ext_is_file (const uint8_t *inode);
/* Whether it has neither a mode nor a time of deletion: no file, and none that a kernel has deleted. */
bool ext_is_cleared (const uint8_t *inode);
/* Whether the root directory is there, as it is after replay.  False as well if it cannot be read. */
bool ext_has_root (struct ext *fs);
/* Where block `logical` of the file whose i_block[] this is lies; 0: nowhere. */
uint64_t ext_map_block (struct ext *fs, const uint8_t i_block[60], uint32_t logical);
