/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ntfs-kept.h"

#include "bytes.h"

#include <stdlib.h>

#define RANGES_MAX 65536u

struct range {
  uint64_t offset, length;
};

struct ntfs_kept {
  uint32_t n;
  bool sorted;
  struct ntfs_stream now, before; /* of the record that is compared */
  struct range ranges[RANGES_MAX];
};

struct ntfs_kept *
ntfs_kept_new (void)
{
  return calloc (1, sizeof (struct ntfs_kept));
}

void
ntfs_kept_free (struct ntfs_kept *kept)
{
  free (kept);
}

static bool
is_same_file (const struct ntfs *fs, const uint8_t *now, const uint8_t *before)
{
  return memcmp (now, before, fs->record) != 0 && le16 (now + 22) & le16 (before + 22) & NTFS_IN_USE
         && le16 (now + 16) == le16 (before + 16) && le64 (now + 32) == le64 (before + 32);
}

static void
add_range (struct ntfs_kept *kept, uint64_t offset, uint64_t length)
{
  if (kept->n < RANGES_MAX && length > 0)
    kept->ranges[kept->n++] = (struct range){ offset, length };
  kept->sorted = false;
}

/* Windows overwrites them in place, and with zeros at a shutdown where it is told to. */
static bool
is_paging_file (const struct ntfs *fs, const uint8_t *record, struct ntfs_stream *name)
{
  static const char *const names[] = { "pagefile.sys", "swapfile.sys", "hiberfil.sys" };
  enum { ROOT = 5, LENGTH = 64, NAME = 66 };
  const uint8_t *value = name->resident;
  if (!ntfs_find_stream (fs, record, NTFS_FILE_NAME, name) || !name->is_resident || name->size < NAME
      || (le64 (value) & UINT64_C (0xffffffffffff)) != ROOT || name->size < NAME + 2u * value[LENGTH])
    return false;
  for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
    size_t n = 0;
    while (n < value[LENGTH] && names[i][n] && (le16 (value + NAME + 2 * n) | 0x20) == names[i][n])
      n++;
    if (n == value[LENGTH] && names[i][n] == '\0')
      return true;
  }
  return false;
}

/* What two runs, each from its byte of the file, have in common. */
static void
add_common (struct ntfs_kept *kept, uint64_t at_now, uint64_t now, uint64_t at_before, uint64_t before,
            uint64_t end)
{
  uint64_t start = at_now > at_before ? at_now : at_before;
  if (end > start && now != NTFS_HOLE && before != NTFS_HOLE
      && now + (start - at_now) == before + (start - at_before))
    add_range (kept, now + (start - at_now), end - start);
}

void
ntfs_kept_add (struct ntfs_kept *kept, const struct ntfs *fs, const uint8_t *now, const uint8_t *before)
{
  struct ntfs_stream *is = &kept->now, *was = &kept->before;
  if (!is_same_file (fs, now, before) || is_paging_file (fs, now, is)
      || !ntfs_find_stream (fs, now, NTFS_DATA, is) || !ntfs_find_stream (fs, before, NTFS_DATA, was)
      || is->is_resident || was->is_resident)
    return;
  uint64_t valid = is->valid < was->valid ? is->valid : was->valid, at_now = 0, at_before = 0;
  for (uint32_t i = 0, j = 0; i < is->n_runs && j < was->n_runs;) {
    uint64_t end_now = at_now + is->runs[i].length, end_before = at_before + was->runs[j].length;
    uint64_t end = end_now < end_before ? end_now : end_before;
    add_common (kept, at_now, is->runs[i].offset, at_before, was->runs[j].offset, end < valid ? end : valid);
    if (end_now <= end_before) {
      at_now = end_now;
      i++;
    }
    if (end_before <= end_now) {
      at_before = end_before;
      j++;
    }
  }
}

static int
compare (const void *a, const void *b)
{
  const struct range *x = a, *y = b;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Ranges in order, none over another. */
static void
sort (struct ntfs_kept *kept)
{
  uint32_t n = 0;
  qsort (kept->ranges, kept->n, sizeof kept->ranges[0], compare);
  for (uint32_t i = 0; i < kept->n; i++) {
    struct range *last = n ? &kept->ranges[n - 1] : NULL, *range = &kept->ranges[i];
    if (last && range->offset <= last->offset + last->length) {
      uint64_t end = range->offset + range->length;
      if (end > last->offset + last->length)
        last->length = end - last->offset;
    } else
      kept->ranges[n++] = *range;
  }
  kept->n = n;
  kept->sorted = true;
}

bool
ntfs_kept_has (struct ntfs_kept *kept, uint64_t offset)
{
  if (!kept->sorted)
    sort (kept);
  uint32_t low = 0, high = kept->n;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (kept->ranges[middle].offset <= offset)
      low = middle + 1;
    else
      high = middle;
  }
  return low > 0 && offset - kept->ranges[low - 1].offset < kept->ranges[low - 1].length;
}
