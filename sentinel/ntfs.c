/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NTFS: records of the MFT in use, clusters in use, the mirror of the first four records, the boot sector's
 * copy in the volume's last sector.
 * Format: linux-ntfs project, "NTFS Documentation" (Russon, Fledel), $MFT, $Bitmap, $MFTMirr.
 */
#include "bytes.h"
#include "probe.h"

#define RUNS_MAX 512u
#define RECORD_MAX 4096u
#define SAMPLE_PIECE 16384u
#define SAMPLE_PIECES 64u

struct ntfs {
  const struct view *view;
  uint32_t sector, cluster, record;
  uint64_t sectors, mft, mirror; /* mft, mirror: bytes */
};

struct stream {
  uint64_t size;
  uint32_t n_runs;
  struct {
    uint64_t offset, length; /* bytes */
  } runs[RUNS_MAX];
  uint8_t resident[RECORD_MAX];
  bool is_resident;
};

static bool
read_boot (const uint8_t *boot, uint64_t length, struct ntfs *fs)
{
  int8_t per_record = (int8_t)boot[0x40];
  uint8_t per_cluster = boot[0x0d];
  fs->sector = le16 (boot + 0x0b);
  if (fs->sector < 256 || fs->sector > 4096 || (fs->sector & (fs->sector - 1)))
    return false;
  /* Above 128 it is a shift: clusters of up to 2 MiB. */
  fs->cluster = per_cluster <= 128 ? fs->sector * per_cluster : fs->sector << (256 - per_cluster) % 32;
  if (fs->cluster == 0 || fs->cluster > 2 * 1024 * 1024)
    return false;
  if (per_record < 0 && per_record >= -12)
    fs->record = 1u << -per_record;
  else
    fs->record = per_record > 0 ? (uint32_t)per_record * fs->cluster : 0;
  fs->sectors = le64 (boot + 0x28);
  if (fs->record < 512 || fs->record > RECORD_MAX || fs->sectors > length / fs->sector
      || le64 (boot + 0x30) > length / fs->cluster || le64 (boot + 0x38) > length / fs->cluster)
    return false;
  fs->mft = le64 (boot + 0x30) * fs->cluster;
  fs->mirror = le64 (boot + 0x38) * fs->cluster;
  return true;
}

/* Reads a record and puts back what the update sequence took out of its sectors' ends. */
static bool
read_record (const struct ntfs *fs, uint64_t at, uint8_t *record)
{
  if (!view_read (fs->view, at, record, fs->record) || memcmp (record, "FILE", 4))
    return false;
  uint32_t usa = le16 (record + 4), n = le16 (record + 6);
  if (n != fs->record / 512 + 1 || usa + 2 * n > fs->record)
    return false;
  for (uint32_t i = 1; i < n; i++) {
    uint8_t *end = record + 512 * i - 2;
    if (memcmp (end, record + usa, 2))
      return false;
    memcpy (end, record + usa + 2 * i, 2);
  }
  return true;
}

static bool
take_runs (const struct ntfs *fs, const uint8_t *at, const uint8_t *end, struct stream *stream)
{
  int64_t lcn = 0;
  while (at < end && *at) {
    unsigned n_length = *at & 15, n_offset = *at >> 4;
    uint64_t length = 0, offset = 0;
    if (n_length == 0 || n_length > 8 || n_offset > 8 || at + 1 + n_length + n_offset > end
        || stream->n_runs == RUNS_MAX)
      return false;
    for (unsigned i = 0; i < n_length; i++)
      length |= (uint64_t)at[1 + i] << (8 * i);
    for (unsigned i = 0; i < n_offset; i++)
      offset |= (uint64_t)at[1 + n_length + i] << (8 * i);
    if (n_offset > 0 && n_offset < 8 && at[n_length + n_offset] & 0x80)
      offset |= UINT64_MAX << (8 * n_offset);
    at += 1 + n_length + n_offset;
    lcn = (int64_t)((uint64_t)lcn + offset);
    uint64_t clusters = fs->view->length / fs->cluster;
    if (n_offset == 0 || (uint64_t)lcn >= clusters || length > clusters - (uint64_t)lcn)
      return false;
    stream->runs[stream->n_runs].offset = (uint64_t)lcn * fs->cluster;
    stream->runs[stream->n_runs++].length = length * fs->cluster;
  }
  return true;
}

/* The unnamed attribute of a type in a record; one that is spread over several records is not found. */
static bool
find_stream (const struct ntfs *fs, const uint8_t *record, uint32_t type, struct stream *stream)
{
  uint32_t at = le16 (record + 20);
  stream->n_runs = 0;
  while (at + 24 <= fs->record && le32 (record + at) != 0xffffffff) {
    const uint8_t *attribute = record + at;
    uint32_t length = le32 (attribute + 4);
    if (length < 24 || length > fs->record - at)
      return false;
    if (le32 (attribute) == type && attribute[9] == 0) {
      stream->is_resident = attribute[8] == 0;
      if (stream->is_resident) {
        uint32_t size = le32 (attribute + 16), offset = le16 (attribute + 20);
        if (offset > length || size > length - offset)
          return false;
        memcpy (stream->resident, attribute + offset, size);
        stream->size = size;
        return true;
      }
      if (length < 64 || le16 (attribute + 32) > length)
        return false;
      stream->size = le64 (attribute + 48);
      return take_runs (fs, attribute + le16 (attribute + 32), attribute + length, stream);
    }
    at += length;
  }
  return false;
}

static bool
read_stream (const struct ntfs *fs, const struct stream *stream, uint64_t offset, uint8_t *data,
             size_t length)
{
  if (stream->is_resident) {
    if (offset > stream->size || length > stream->size - offset)
      return false;
    memcpy (data, stream->resident + offset, length);
    return true;
  }
  for (uint32_t i = 0; i < stream->n_runs && length > 0; i++) {
    uint64_t run = stream->runs[i].length;
    if (offset >= run) {
      offset -= run;
      continue;
    }
    size_t take = run - offset < length ? (size_t)(run - offset) : length;
    if (!view_read (fs->view, stream->runs[i].offset + offset, data, take))
      return false;
    data += take;
    length -= take;
    offset = 0;
  }
  return length == 0;
}

/* Counts the bits of a stream; of one over a mebibyte, by pieces that are the same every time. */
static bool
count_bits (const struct ntfs *fs, const struct stream *stream, uint64_t *bits, bool *sampled)
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
    if (!read_stream (fs, stream, at, piece, length))
      return false;
    for (size_t i = 0; i < length; i++)
      sum += (unsigned)__builtin_popcount (piece[i]);
    seen += length;
  }
  *bits = (uint64_t)((double)sum * (double)stream->size / (double)seen);
  return true;
}

static bool
count (const struct ntfs *fs, struct guardd_structure *ntfs)
{
  bytes_autofree struct stream *stream = malloc (sizeof *stream);
  uint8_t record[RECORD_MAX];
  uint64_t records, clusters;
  bool sampled = false;
  if (stream == NULL || !read_record (fs, fs->mft, record) || !find_stream (fs, record, 0xb0, stream)
      || !count_bits (fs, stream, &records, &sampled))
    return false;
  ntfs->total_inodes = stream->size * 8;
  if (!read_record (fs, fs->mft + 6ull * fs->record, record) || !find_stream (fs, record, 0x80, stream)
      || !count_bits (fs, stream, &clusters, &sampled))
    return false;
  ntfs->used_inodes = records;
  ntfs->used_bytes = clusters * fs->cluster;
  if (ntfs->used_bytes > ntfs->total_bytes)
    ntfs->used_bytes = ntfs->total_bytes; /* bits behind the end are set */
  ntfs->flags
      |= GUARDD_STRUCTURE_COUNTED | GUARDD_STRUCTURE_LAGGING | (sampled ? GUARDD_STRUCTURE_SAMPLED : 0);
  return true;
}

static bool
copies_agree (const struct ntfs *fs, const uint8_t *boot)
{
  uint8_t record[RECORD_MAX], copy[512];
  if (!read_record (fs, fs->mirror, record))
    return false;
  /* Behind the sectors that the volume says it has; mkntfs on a whole disk leaves room for it. */
  return !view_read (fs->view, fs->sectors * fs->sector, copy, sizeof copy)
         || memcmp (copy + 3, boot + 3, 8) == 0;
}

bool
probe_ntfs (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t boot[512];
  struct ntfs fs = { .view = view };
  if (!view_read (view, 0, boot, sizeof boot) || memcmp (boot + 3, "NTFS    ", 8))
    return false;
  struct guardd_structure *ntfs = probe_add (probe, GUARDD_STRUCTURE_NTFS, view, path);
  if (ntfs == NULL)
    return true;
  memcpy (ntfs->uuid, boot + 0x48, 8);
  if (!read_boot (boot, view->length, &fs)) {
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
