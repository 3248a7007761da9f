/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clusters of an NTFS volume by its $Bitmap, which is written some time after the change, and whose log is
 * not read: a file may have been deleted and its clusters discarded or given to another one while both maps
 * still have them in use.  So they are "in use, by maps that are late", and kept only where the file's record
 * was written meanwhile and says so.
 */
#include "bytes.h"
#include "ntfs-kept.h"
#include "place-map.h"

#define WINDOW 4096u /* bytes of the map: 32,768 clusters */
#define NOTED 65536u /* bytes of the MFT that are compared at a time */
#define NOWHERE UINT64_MAX

struct side {
  struct ntfs fs;
  struct ntfs_stream bitmap, mft;
  uint64_t window_at; /* byte of the map */
  uint8_t window[WINDOW], noted[NOTED];
};

struct ntfs_place {
  struct place_map map;
  struct side now, before;
  struct ntfs_kept *kept;
};

enum use { USE_UNKNOWN, USE_FREE, USE_TAKEN };

static bool
side_open (struct side *side, const struct view *view)
{
  uint8_t boot[512], record[NTFS_RECORD_MAX];
  side->window_at = NOWHERE;
  return ntfs_open (&side->fs, view, boot) == NTFS_FOUND && ntfs_read_record (&side->fs, side->fs.mft, record)
         && ntfs_find_stream (&side->fs, record, NTFS_DATA, &side->mft)
         && ntfs_read_record (&side->fs, side->fs.mft + (uint64_t)NTFS_BITMAP * side->fs.record, record)
         && ntfs_find_stream (&side->fs, record, NTFS_DATA, &side->bitmap);
}

static enum use
side_use (struct side *side, uint64_t cluster)
{
  uint64_t byte = cluster / 8, at = byte / WINDOW * WINDOW;
  if (byte >= side->bitmap.size)
    return USE_UNKNOWN;
  if (side->window_at != at) {
    size_t length = side->bitmap.size - at < WINDOW ? (size_t)(side->bitmap.size - at) : WINDOW;
    side->window_at = NOWHERE;
    if (!ntfs_read_stream (&side->fs, &side->bitmap, at, side->window, length))
      return USE_UNKNOWN;
    side->window_at = at;
  }
  return side->window[byte - at] >> cluster % 8 & 1 ? USE_TAKEN : USE_FREE;
}

/* The boot sector, and the records of the MFT's own files at its start. */
static bool
is_metadata (const struct ntfs *fs, uint64_t offset)
{
  return offset < 4096 || (offset >= fs->mft / 4096 * 4096 && offset < fs->mft + 16ull * fs->record);
}

static bool
is_of_mft (const struct side *side, uint64_t offset)
{
  for (uint32_t i = 0; i < side->mft.n_runs; i++)
    if (offset >= side->mft.runs[i].offset && offset - side->mft.runs[i].offset < side->mft.runs[i].length)
      return true;
  return false;
}

static enum guardd_change_place
place_of (struct place_map *map, uint64_t offset)
{
  struct ntfs_place *place = (struct ntfs_place *)map;
  if (is_metadata (&place->now.fs, offset))
    return GUARDD_PLACE_METADATA;
  uint64_t cluster = offset / place->now.fs.cluster;
  enum use now = side_use (&place->now, cluster), before = side_use (&place->before, cluster);
  if (now == USE_UNKNOWN || before == USE_UNKNOWN)
    return GUARDD_PLACE_UNKNOWN;
  if (now == USE_FREE)
    return GUARDD_PLACE_FREE;
  if (before == USE_FREE)
    return GUARDD_PLACE_NEW;
  return !is_of_mft (&place->now, offset) && ntfs_kept_has (place->kept, offset) ? GUARDD_PLACE_KEPT
                                                                                 : GUARDD_PLACE_LATE;
}

/* Whole records of the MFT as it is now. */
static void
note_records (struct ntfs_place *place, uint64_t offset, size_t length)
{
  struct side *is = &place->now, *was = &place->before;
  if (!view_read (is->fs.view, offset, is->noted, length)
      || !view_read (was->fs.view, offset, was->noted, length))
    return;
  for (size_t at = 0; at < length; at += is->fs.record) {
    uint8_t *now = is->noted + at, *before = was->noted + at;
    if (memcmp (now, before, is->fs.record) != 0 && is_of_mft (was, offset + at)
        && ntfs_mend_record (&is->fs, now) && ntfs_mend_record (&was->fs, before))
      ntfs_kept_add (place->kept, &is->fs, now, before);
  }
}

/* Records that begin in the stretch. */
static uint64_t
place_note (struct place_map *map, uint64_t offset, uint64_t length, uint64_t most)
{
  struct ntfs_place *place = (struct ntfs_place *)map;
  const struct ntfs_stream *mft = &place->now.mft;
  uint64_t record = place->now.fs.record, read = 0;
  for (uint32_t i = 0; i < mft->n_runs; i++) {
    uint64_t start = mft->runs[i].offset, n = mft->runs[i].length / record;
    if (start >= offset + length || start + n * record <= offset)
      continue;
    uint64_t first = offset > start ? (offset - start + record - 1) / record : 0;
    uint64_t end = (offset + length - start + record - 1) / record;
    for (end = end < n ? end : n; first < end && read + 2 * NOTED <= most; first += NOTED / record) {
      uint64_t left = end - first;
      note_records (place, start + first * record, (left < NOTED / record ? left : NOTED / record) * record);
      read += 2 * NOTED; /* now and before */
    }
  }
  return read;
}

/* Records keep their magic when their file is deleted.  One that could not be written whole says so. */
static bool
is_record (const struct ntfs *fs, const uint8_t *record)
{
  return (memcmp (record, "FILE", 4) == 0 && le16 (record + 6) == fs->record / 512 + 1)
         || memcmp (record, "BAAD", 4) == 0;
}

/* *records: how many there are in a piece; false: it cannot be read, or is no piece of whole records. */
static bool
count_records (const struct ntfs *fs, uint64_t offset, uint32_t *records)
{
  uint8_t data[PLACE_PIECE];
  *records = 0;
  if (sizeof data % fs->record != 0 || !view_read (fs->view, offset, data, sizeof data))
    return false;
  for (uint32_t at = 0; at < sizeof data; at += fs->record)
    *records += is_record (fs, data + at);
  return true;
}

static bool
place_ruined (struct place_map *map, uint64_t offset, enum guardd_change_place where)
{
  const struct ntfs_place *place = (struct ntfs_place *)map;
  uint32_t is, was;
  return (where == GUARDD_PLACE_LATE || where == GUARDD_PLACE_METADATA) && is_of_mft (&place->now, offset)
         && is_of_mft (&place->before, offset) && count_records (&place->before.fs, offset, &was)
         && was == PLACE_PIECE / place->before.fs.record && count_records (&place->now.fs, offset, &is)
         && is * 2 < was;
}

static void
place_close (struct place_map *map)
{
  ntfs_kept_free (((struct ntfs_place *)map)->kept);
  free (map);
}

/* Freed by place_close(), which gcc 12's analyzer does not see. */
struct place_map *
ntfs_place_open (const struct view *now, const struct view *before)
{
  struct ntfs_place *place = calloc (1, sizeof *place);
  if (place == NULL)
    return NULL;
  place->map = (struct place_map){
    .of = place_of, .note = place_note, .ruined = place_ruined, .close = place_close
  };
  place->kept = ntfs_kept_new ();
  if (place->kept && side_open (&place->now, now) && side_open (&place->before, before)
      && place->now.fs.cluster == place->before.fs.cluster && place->now.fs.record == place->before.fs.record
      && memcmp (place->now.fs.serial, place->before.fs.serial, sizeof place->now.fs.serial) == 0)
    return &place->map;
  place_close (&place->map);
  return NULL;
}
