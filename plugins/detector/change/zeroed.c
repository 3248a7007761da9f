/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in use, zeroed or discarded. */
#include "change.h"

static double
allocated (const struct guardd_observation *seen)
{
  double sum = 0;
  for (uint32_t i = 0; i < seen->n_structures; i++)
    if (say_is_filesystem (&seen->structures[i]) && seen->structures[i].flags & GUARDD_STRUCTURE_COUNTED
        && seen->structures[i].used_bytes != UINT64_MAX)
      sum += (double)seen->structures[i].used_bytes;
  return sum;
}

double
zeroed_in (changes of, enum guardd_change_place place)
{
  return (double)of[GUARDD_CHANGE_TO_ZERO][place] + (double)of[GUARDD_CHANGE_COLLAPSED][place];
}

static void
consider (const struct say *to, changes lately, struct say_considered *considered)
{
  const struct guardd_observation *now = to->input->now, *before = to->input->before;
  double zeroed = 0,
         in_use = zeroed_in (lately, GUARDD_PLACE_KEPT) + zeroed_in (lately, GUARDD_PLACE_METADATA);
  for (unsigned place = 0; place < GUARDD_PLACES; place++)
    zeroed += zeroed_in (lately, place);
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
judge_late (const struct thresholds *limit, const struct say *to, changes lately, double of)
{
  double late = zeroed_in (lately, GUARDD_PLACE_KEPT) + zeroed_in (lately, GUARDD_PLACE_LATE);
  double expected = of / 100 * (double)limit->late_zeroed_percent;
  if (late < (double)limit->late_zeroed_bytes || late < expected)
    return;
  struct guardd_finding finding = { .rule = "in-use-zeroed",
                                    .level = GUARDD_LEVEL_WARN,
                                    .structure = "",
                                    .slow = slow_of (to),
                                    .unit = "bytes",
                                    .horizon = "last-good",
                                    .seen = late,
                                    .expected = expected };
  say (to, finding,
       "disk %s: %.0f MiB of what was in use were zeroed, discarded or overwritten with a pattern; whether "
       "they "
       "were deleted first the filesystem's maps do not say yet",
       to->input->disk, late / MIB);
}

void
judge_zeroed (const struct thresholds *limit, const struct say *to)
{
  changes now = to->input->now->changed, lately = to->input->recent ? to->input->recent->changed : now;
  double kept = zeroed_in (lately, GUARDD_PLACE_KEPT), of = allocated (to->input->now);
  double expected = of / 100 * (double)limit->zeroed_percent, enough = (double)limit->zeroed_enough_bytes;
  struct say_considered considered = { .n = 0 };
  consider (to, lately, &considered);
  judge_metadata (to, &considered);
  if (expected > enough)
    expected = enough;
  if (kept < (double)limit->zeroed_bytes || kept < expected) {
    judge_late (limit, to, lately, of);
    return;
  }
  struct guardd_finding finding = { .level = GUARDD_LEVEL_CRITICAL,
                                    .rule = "in-use-zeroed",
                                    .structure = "",
                                    .slow = slow_of (to),
                                    .unit = "bytes",
                                    .horizon = "last-good",
                                    .considered = considered.sentences,
                                    .n_considered = considered.n,
                                    .seen = kept,
                                    .expected = expected };
  say (to, finding,
       "disk %s: %.0f MiB that were in use, and still are by the filesystem's own map, were zeroed, "
       "discarded or "
       "overwritten with a pattern (not fstrim: that frees first)",
       to->input->disk, kept / MIB);
}
