/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Content that became random: encrypted into new files. */
#include "change.h"

#define CAME_HIGH_PERCENT 50u /* a file's last block is mostly not full, and so of no high entropy */
#define WENT_LOW_PERCENT 60u
/* gpg compresses first: less comes, and of smaller files more blocks are not full. */
#define SHRUNK_HIGH_PERCENT 33u
#define SHRUNK_FILE_MAX 16384u /* bytes, the mean: a quarter of what comes is first blocks, which tell */
#define BLOCK 4096u

static bool
is_about (uint64_t is, uint64_t what, unsigned from_percent, unsigned to_percent)
{
  return is >= what / 100 * from_percent && is <= what / 100 * to_percent;
}

/* As many bytes came, and half of them are of high entropy. */
static bool
is_exchanged (const struct thresholds *limit, const struct guardd_exchange *exchange)
{
  return is_about (exchange->taken_bytes, exchange->freed_bytes, 75, 150)
         && exchange->taken_high_bytes >= limit->suspicious_bytes
         && exchange->taken_high_bytes >= exchange->taken_bytes / 100 * CAME_HIGH_PERCENT;
}

/* Less came, but not by a compressor: of its files each begins with a magic.  Of larger files too few first
 * blocks are in the sample to say so. */
static bool
is_shrunk (const struct thresholds *limit, const struct guardd_exchange *exchange)
{
  return is_about (exchange->taken_bytes, exchange->freed_bytes, 20, 75)
         && exchange->taken_high_bytes >= limit->suspicious_bytes / 4
         && exchange->taken_high_bytes >= exchange->taken_bytes / 100 * SHRUNK_HIGH_PERCENT
         && exchange->taken_bytes / SHRUNK_FILE_MAX <= exchange->new_inodes
         && exchange->taken_packed_bytes / BLOCK <= exchange->new_inodes / 8;
}

/* As many files as before, and what was ordinary content is of high entropy.  Compression says that it is, an
 * upgrade writes what is ordinary, a purge writes nothing. */
void
judge_exchanged (const struct thresholds *limit, const struct say *to, const struct guardd_exchange *exchange)
{
  uint64_t high = exchange->taken_high_bytes, low = exchange->freed_low_bytes;
  if (exchange->freed_inodes < limit->exchanged_files
      || !is_about (exchange->new_inodes, exchange->freed_inodes, 75, 133) || low < limit->suspicious_bytes
      || low < exchange->freed_bytes / 100 * WENT_LOW_PERCENT
      || !(is_exchanged (limit, exchange) || is_shrunk (limit, exchange)))
    return;
  bool critical = high >= limit->encrypted_bytes && exchange->freed_inodes >= limit->exchanged_many_files;
  struct guardd_finding finding = { .rule = "encryption-into-new-files",
                                    .level = critical ? GUARDD_LEVEL_CRITICAL : GUARDD_LEVEL_WARN,
                                    .structure = "",
                                    .slow = slow_of (to),
                                    .seen = (double)exchange->freed_inodes,
                                    .unit = "files deleted" };
  say (to, finding,
       "disk %s: %llu files with %llu MiB of ordinary content were deleted, and as many came, with %llu MiB "
       "of what looks encrypted (not compression: that would be less, or begin as such files do; not an "
       "upgrade: that "
       "would be ordinary content)",
       to->input->disk, (unsigned long long)exchange->freed_inodes, (unsigned long long)(low / MIB),
       (unsigned long long)(high / MIB));
}
