/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ntfs-kept.h: clusters of files that are known to be there still.  $Bitmap is late, but a file's record that
 * was written since the snapshot before, as of the same file in use and with the same clusters, says what no
 * map does: the file was there after it was written.  Only of what it had written before, since clusters that
 * a file was given without writing them hold what others left.
 */
#pragma once

#include "ntfs.h"

struct ntfs_kept;

/* NULL: no memory. */
struct ntfs_kept *ntfs_kept_new (void);
void ntfs_kept_free (struct ntfs_kept *kept);
/* Takes up what a record and the same one in the snapshot before, both of fs->record bytes as
 * ntfs_read_record fills them, have in common, if it was written in between.  What is beyond some 64k of runs
 * is left out. */
void ntfs_kept_add (struct ntfs_kept *kept, const struct ntfs *fs, const uint8_t *now, const uint8_t *before);
/* Whether the byte at an offset of the filesystem is of such a file. */
bool ntfs_kept_has (struct ntfs_kept *kept, uint64_t offset);
