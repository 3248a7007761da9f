/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NTFS: records of the MFT in use, clusters in use, the mirror of the first four records, the boot sector's
 * copy in the volume's last sector.
 */
#include "bytes.h"
#include "ntfs.h"
#include "probe.h"

#define SAMPLE_PIECE 16384u
#define SAMPLE_PIECES 64u

/* Counts the bits of a stream; of one over a mebibyte, by pieces that are the same every time. */
static bool
count_bits (const struct ntfs *fs, const struct ntfs_stream *stream, uint64_t *bits, bool *sampled)
{
  bytes_autofree uint8_t *piece = malloc (SAMPLE_PIECE);
  uint64_t step = SAMPLE_PIECE, seen = 0, sum = 0;
  if (piece == NULL || stream->size == 0)
    return false;
  if (stream->size > (uint64_t)SAMPLE_PIECE * SAMPLE_PIECES) {
    step = stream->size / SAMPLE_PIECES;
    *sampled = true;
  }
  for (uint64_t at = 0; at < stream->size; at += step) {
    size_t length = stream->size - at < SAMPLE_PIECE ? (size_t)(stream->size - at) : SAMPLE_PIECE;
    if (!ntfs_read_stream (fs, stream, at, piece, length))
      return false;
    for (size_t i = 0; i < length; i++)
      sum += (unsigned)__builtin_popcount (piece[i]);
    seen += length;
  }
  *bits = (uint64_t)((double)sum * (double)stream->size / (double)seen);
  return true;
}

/* What a file of the volume's own has of it; of those that begin with so much after mkntfs. */
static uint64_t
own_bytes (const struct ntfs *fs, unsigned record_number, struct ntfs_stream *stream)
{
  uint8_t record[NTFS_RECORD_MAX];
  if (!ntfs_read_record (fs, fs->mft + (uint64_t)record_number * fs->record, record)
      || !ntfs_find_stream (fs, record, NTFS_DATA, stream) || stream->is_resident)
    return 0;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < stream->n_runs; i++)
    bytes += stream->runs[i].length;
  return bytes;
}

static bool
count (const struct ntfs *fs, struct guardd_structure *ntfs)
{
  bytes_autofree struct ntfs_stream *stream = malloc (sizeof *stream);
  uint8_t record[NTFS_RECORD_MAX];
  uint64_t records, clusters;
  bool sampled = false;
  if (stream == NULL || !ntfs_read_record (fs, fs->mft, record)
      || !ntfs_find_stream (fs, record, NTFS_RECORD_BITMAP, stream)
      || !count_bits (fs, stream, &records, &sampled))
    return false;
  ntfs->total_inodes = stream->size * 8;
  if (!ntfs_read_record (fs, fs->mft + (uint64_t)NTFS_BITMAP * fs->record, record)
      || !ntfs_find_stream (fs, record, NTFS_DATA, stream) || !count_bits (fs, stream, &clusters, &sampled))
    return false;
  ntfs->used_inodes = records;
  ntfs->used_bytes = clusters * fs->cluster;
  if (ntfs->used_bytes > ntfs->total_bytes)
    ntfs->used_bytes = ntfs->total_bytes; /* bits behind the end are set */
  uint64_t own = own_bytes (fs, NTFS_MFT, stream) + own_bytes (fs, NTFS_LOGFILE, stream)
                 + own_bytes (fs, NTFS_BITMAP, stream);
  ntfs->used_bytes = ntfs->used_bytes > own ? ntfs->used_bytes - own : 0;
  ntfs->flags
      |= GUARDD_STRUCTURE_COUNTED | GUARDD_STRUCTURE_LAGGING | (sampled ? GUARDD_STRUCTURE_SAMPLED : 0);
  return true;
}

static bool
copies_agree (const struct ntfs *fs, const uint8_t *boot)
{
  uint8_t record[NTFS_RECORD_MAX], copy[512];
  if (!ntfs_read_record (fs, fs->mirror, record))
    return false;
  /* Behind the sectors that the volume says it has; mkntfs on a whole disk leaves room for it. */
  return !view_read (fs->view, fs->sectors * fs->sector, copy, sizeof copy)
         || memcmp (copy + 3, boot + 3, 8) == 0;
}

bool
probe_ntfs (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t boot[512];
  struct ntfs fs;
  enum ntfs_found found = ntfs_open (&fs, view, boot);
  if (found == NTFS_NONE)
    return false;
  struct guardd_structure *ntfs = probe_add (probe, GUARDD_STRUCTURE_NTFS, view, path);
  if (ntfs == NULL)
    return true;
  memcpy (ntfs->uuid, fs.serial, sizeof fs.serial);
  if (found == NTFS_DAMAGED) {
    ntfs->flags |= GUARDD_STRUCTURE_DAMAGED;
    return true;
  }
  ntfs->total_bytes = fs.sectors * fs.sector;
  if (!count (&fs, ntfs))
    ntfs->flags |= GUARDD_STRUCTURE_DAMAGED;
  if (!copies_agree (&fs, boot))
    ntfs->flags |= GUARDD_STRUCTURE_BACKUP_BAD;
  return true;
}
