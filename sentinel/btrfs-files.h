/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs-files.h: how many files a subvolume has lost or got.  Their number stands nowhere, but trees share
 * what did not change: the leaves that only one of two trees has are counted.
 */
#pragma once

#include "btrfs-nodes.h"

struct btrfs_files;

/* NULL: no memory. */
struct btrfs_files *btrfs_files_new (void);
void btrfs_files_free (struct btrfs_files *files);
/* Counts the inodes of one subvolume, now and before.  Of a change that is too large to be read as a whole
 * nothing is counted, or, where most of it is gone, a part. */
void btrfs_files_count (struct btrfs_files *files, struct btrfs_volume *now, struct btrfs_pointer is,
                        struct btrfs_volume *before, struct btrfs_pointer was);
/* Of all that were counted: files and directories that went, less those that came; and the other way round.
 */
uint64_t btrfs_files_gone (const struct btrfs_files *files);
uint64_t btrfs_files_came (const struct btrfs_files *files);
