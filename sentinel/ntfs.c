/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ntfs.h"

#include "bytes.h"

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
  if (fs->record < 512 || fs->record > NTFS_RECORD_MAX || fs->sectors > length / fs->sector
      || le64 (boot + 0x30) > length / fs->cluster || le64 (boot + 0x38) > length / fs->cluster)
    return false;
  fs->mft = le64 (boot + 0x30) * fs->cluster;
  fs->mirror = le64 (boot + 0x38) * fs->cluster;
  return true;
}

bool
ntfs_mend_record (const struct ntfs *fs, uint8_t *record)
{
  if (memcmp (record, "FILE", 4))
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

bool
ntfs_read_record (const struct ntfs *fs, uint64_t at, uint8_t *record)
{
  return view_read (fs->view, at, record, fs->record) && ntfs_mend_record (fs, record);
}

static bool
take_runs (const struct ntfs *fs, const uint8_t *at, const uint8_t *end, struct ntfs_stream *stream)
{
  int64_t lcn = 0;
  while (at < end && *at) {
    unsigned n_length = *at & 15, n_offset = *at >> 4;
    uint64_t length = 0, offset = 0;
    if (n_length == 0 || n_length > 8 || n_offset > 8 || at + 1 + n_length + n_offset > end
        || stream->n_runs == NTFS_RUNS_MAX)
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
    bool hole = n_offset == 0;
    if (length > clusters || (!hole && ((uint64_t)lcn >= clusters || length > clusters - (uint64_t)lcn)))
      return false;
    stream->runs[stream->n_runs].offset = hole ? NTFS_HOLE : (uint64_t)lcn * fs->cluster;
    stream->runs[stream->n_runs++].length = length * fs->cluster;
  }
  return true;
}

bool
ntfs_find_stream (const struct ntfs *fs, const uint8_t *record, uint32_t type, struct ntfs_stream *stream)
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
        stream->size = stream->valid = size;
        return true;
      }
      if (length < 64 || le16 (attribute + 32) > length)
        return false;
      stream->size = le64 (attribute + 48);
      stream->valid = le64 (attribute + 16) == 0 ? le64 (attribute + 56) : 0; /* not the file's first part */
      return take_runs (fs, attribute + le16 (attribute + 32), attribute + length, stream);
    }
    at += length;
  }
  return false;
}

bool
ntfs_read_stream (const struct ntfs *fs, const struct ntfs_stream *stream, uint64_t offset, uint8_t *data,
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
    if (stream->runs[i].offset == NTFS_HOLE
        || !view_read (fs->view, stream->runs[i].offset + offset, data, take))
      return false;
    data += take;
    length -= take;
    offset = 0;
  }
  return length == 0;
}

enum ntfs_found
ntfs_open (struct ntfs *fs, const struct view *view, uint8_t *boot)
{
  *fs = (struct ntfs){ .view = view };
  if (!view_read (view, 0, boot, 512) || memcmp (boot + 3, "NTFS    ", 8))
    return NTFS_NONE;
  memcpy (fs->serial, boot + 0x48, sizeof fs->serial);
  return read_boot (boot, view->length, fs) ? NTFS_FOUND : NTFS_DAMAGED;
}
