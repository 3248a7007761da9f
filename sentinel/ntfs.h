/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ntfs.h: an NTFS volume's boot sector, MFT records and their streams.
 * Format: linux-ntfs project, "NTFS Documentation" (Russon, Fledel), $MFT, $Bitmap, $MFTMirr.
 */
#pragma once

#include "view.h"

#define NTFS_RUNS_MAX 512u
#define NTFS_RECORD_MAX 4096u
#define NTFS_MFT 0u
#define NTFS_LOGFILE 2u
#define NTFS_BITMAP 6u /* record of the volume's map of clusters */
#define NTFS_FILE_NAME 0x30u
#define NTFS_DATA 0x80u
#define NTFS_RECORD_BITMAP 0xb0u
#define NTFS_IN_USE 1u /* flag of a record, at byte 22 */
#define NTFS_HOLE UINT64_MAX

struct ntfs {
  const struct view *view;
  uint32_t sector, cluster, record;
  uint64_t sectors, mft, mirror; /* mft, mirror: bytes */
  uint8_t serial[8];
};

struct ntfs_stream {
  uint64_t size;
  uint64_t valid; /* bytes that were written; what is behind is what somebody else left there */
  uint32_t n_runs;
  struct {
    uint64_t offset, length; /* bytes; offset NTFS_HOLE: on no cluster */
  } runs[NTFS_RUNS_MAX];
  uint8_t resident[NTFS_RECORD_MAX];
  bool is_resident;
};

enum ntfs_found { NTFS_NONE, NTFS_DAMAGED, NTFS_FOUND };

/* boot: 512 bytes, filled.  The view must outlive fs; there is nothing to close. */
enum ntfs_found ntfs_open (struct ntfs *fs, const struct view *view, uint8_t *boot);
/* Reads a record, of fs->record bytes, and puts back what the update sequence took out of its sectors' ends.
 */
bool ntfs_read_record (const struct ntfs *fs, uint64_t at, uint8_t *record);
/* The same with a record that was read as it is. */
bool ntfs_mend_record (const struct ntfs *fs, uint8_t *record);
/* The unnamed attribute of a type in a record; one that is spread over several records is not found. */
bool ntfs_find_stream (const struct ntfs *fs, const uint8_t *record, uint32_t type,
                       struct ntfs_stream *stream);
/* Not of a stream with holes in that part. */
bool ntfs_read_stream (const struct ntfs *fs, const struct ntfs_stream *stream, uint64_t offset,
                       uint8_t *data, size_t length);
