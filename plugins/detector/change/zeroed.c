/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in use, zeroed or discarded. */
#include "change.h"

static uint64_t
allocated (const struct guardd_observation *seen)
{
  uint64_t sum = 0;
  for (uint32_t i = 0; i < seen->n_structures; i++)
    if (say_is_filesystem (&seen->structures[i]) && seen->structures[i].flags & GUARDD_STRUCTURE_COUNTED
        && seen->structures[i].used_bytes != UINT64_MAX)
      sum += seen->structures[i].used_bytes;
  return sum;
}

double
zeroed_in (changes of, enum guardd_change_place place)
{
  return (double)of[GUARDD_CHANGE_TO_ZERO][place] + (double)of[GUARDD_CHANGE_COLLAPSED][place];
}

static void
consider (const struct say *to, double in_use, struct say_considered *considered)
{
  const struct guardd_observation *now = to->input->now, *before = to->input->before;
  double zeroed = 0;
  for (unsigned place = 0; place < GUARDD_PLACES; place++)
    zeroed += zeroed_in (now->changed, place);
  say_considered (considered,
                  "not fstrim, which discards what is free: of %.0f KiB that became zero, %.0f KiB are in "
                  "use by the filesystem's own maps, before and now",
                  zeroed / 1024, in_use / 1024);
  if (before && before->disk_size == now->disk_size)
    say_considered (considered, "not a resize: the disk has %llu bytes, as before",
                    (unsigned long long)now->disk_size);
}

/* Where maps are late.  A warning only, and of a share of all: what a wiper does in ten minutes counts
 * together.  Deleted and trimmed within the map's delay: then that much is gone, and worth the same. */
static void
judge_late (const struct thresholds *limit, const struct say *to, uint64_t of)
{
  changes changed = to->input->recent ? to->input->recent->changed : to->input->now->changed;
  uint64_t late
      = changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] + changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_LATE];
  if (late < limit->late_zeroed_bytes || late < of / 100 * limit->late_zeroed_percent)
    return;
  struct guardd_finding finding = { .rule = "in-use-zeroed",
                                    .level = GUARDD_LEVEL_WARN,
                                    .structure = "",
                                    .unit = "bytes",
                                    .horizon = "last-good",
                                    .seen = (double)late,
                                    .expected = (double)of * (double)limit->late_zeroed_percent / 100 };
  say (to, finding,
       "disk %s: %llu MiB of what was in use were zeroed or discarded; whether they were deleted first the "
       "filesystem's maps do not say yet",
       to->input->disk, (unsigned long long)(late / MIB));
}

void
judge_zeroed (const struct thresholds *limit, const struct say *to)
{
  const struct guardd_observation *now = to->input->now;
  double kept = zeroed_in (now->changed, GUARDD_PLACE_KEPT);
  double metadata = zeroed_in (now->changed, GUARDD_PLACE_METADATA);
  uint64_t of = allocated (now);
  struct say_considered considered = { .n = 0 };
  consider (to, kept + metadata, &considered);
  judge_metadata (to, &considered);
  if (kept < (double)limit->zeroed_bytes || kept < (double)of / 100 * (double)limit->zeroed_percent) {
    judge_late (limit, to, of);
    return;
  }
  struct guardd_finding finding = { .level = GUARDD_LEVEL_CRITICAL,
                                    .rule = "in-use-zeroed",
                                    .structure = "",
                                    .unit = "bytes",
                                    .horizon = "last-good",
                                    .considered = considered.sentences,
                                    .n_considered = considered.n,
                                    .seen = kept,
                                    .expected = (double)of * (double)limit->zeroed_percent / 100 };
  say (to, finding,
       "disk %s: %.0f MiB that were in use, and still are by the filesystem's own map, were zeroed or "
       "discarded (not fstrim: that frees first)",
       to->input->disk, kept / MIB);
}
