/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Content that became random: encrypted into new files. */
#include "change.h"

#define CAME_HIGH_PERCENT 50u /* a file's last block is mostly not full, and so of no high entropy */
#define WENT_LOW_PERCENT 60u

static bool
is_about (uint64_t is, uint64_t what, unsigned from_percent, unsigned to_percent)
{
  return is >= what / 100 * from_percent && is <= what / 100 * to_percent;
}

/* As many files as before, as many bytes, and what was ordinary content is of high entropy.  Compression
 * makes it less, an upgrade writes what is ordinary, a purge writes nothing. */
void
judge_exchanged (const struct thresholds *limit, const struct say *to, const struct guardd_exchange *exchange,
                 bool recent)
{
  uint64_t all = exchange->taken_bytes, high = exchange->taken_high_bytes, low = exchange->freed_low_bytes;
  if (exchange->freed_inodes < limit->exchanged_files
      || !is_about (exchange->new_inodes, exchange->freed_inodes, 75, 133) || low < limit->suspicious_bytes
      || high < limit->suspicious_bytes || !is_about (all, exchange->freed_bytes, 75, 150)
      || high < all / 100 * CAME_HIGH_PERCENT || low < exchange->freed_bytes / 100 * WENT_LOW_PERCENT)
    return;
  bool critical = high >= limit->encrypted_bytes && exchange->freed_inodes >= limit->exchanged_many_files;
  struct guardd_finding finding = { .rule = "encryption-into-new-files",
                                    .level = critical ? GUARDD_LEVEL_CRITICAL : GUARDD_LEVEL_WARN,
                                    .structure = "",
                                    .slow = recent ? GUARDD_SLOW_RECENT : GUARDD_SLOW_NOT,
                                    .seen = (double)exchange->freed_inodes,
                                    .unit = "files deleted" };
  say (
      to, finding,
      "disk %s: %llu files with %llu MiB of ordinary content were deleted, and as many came, with %llu MiB "
      "of what "
      "looks encrypted (not compression: that would be less; not an upgrade: that would be ordinary content)",
      to->input->disk, (unsigned long long)exchange->freed_inodes, (unsigned long long)(low / MIB),
      (unsigned long long)(high / MIB));
}
