/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The change detector: what changed blocks turned into.  Discarding or zeroing what a filesystem says is in
 * use, and encrypting in place.  ../README.md has the rules, their thresholds and where those come from.
 */
#include "../limit.h"
#include "../say.h"

#include <stdlib.h>

#define MIB (1024u * 1024)

struct thresholds {
  uint64_t zeroed_bytes,
      zeroed_percent; /* zeroed in place, in use before and after; percent of what is in use */
  uint64_t encrypted_bytes, encrypted_percent;   /* critical */
  uint64_t suspicious_bytes, suspicious_percent; /* warn */
  /* Where maps are late, a file that was deleted may have been what was overwritten: a warning at most. */
  uint64_t late_zeroed_bytes, late_zeroed_percent; /* as much as would be worth one if it was deleted first */
  uint64_t late_encrypted_bytes;
  uint64_t exchanged_files, exchanged_many_files; /* encrypted into new ones: warn; critical */
};

#define LIMIT(member) #member, offsetof(struct thresholds, member)
static const struct limit limits[] = {
  { LIMIT (zeroed_bytes), 16u * MIB, LIMIT_BYTES },
  { LIMIT (zeroed_percent), 1, LIMIT_PERCENT },
  { LIMIT (encrypted_bytes), 64u * MIB, LIMIT_BYTES },
  { LIMIT (encrypted_percent), 45, LIMIT_PERCENT },
  { LIMIT (suspicious_bytes), 4u * MIB, LIMIT_BYTES }, /* 1,000 blocks of 4 KiB */
  { LIMIT (suspicious_percent), 25, LIMIT_PERCENT },
  { LIMIT (late_zeroed_bytes), 64u * MIB, LIMIT_BYTES },
  { LIMIT (late_zeroed_percent), 30, LIMIT_PERCENT },
  { LIMIT (late_encrypted_bytes), 16u * MIB, LIMIT_BYTES },
  { LIMIT (exchanged_files), 50, LIMIT_FILES },
  { LIMIT (exchanged_many_files), 500, LIMIT_FILES },
  { NULL },
};

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

#define CAME_HIGH_PERCENT 50u /* a file's last block is mostly not full, and so of no high entropy */
#define WENT_LOW_PERCENT 60u

typedef const uint64_t (*changes)[GUARDD_PLACES];

static void
judge_zeroed (const struct thresholds *limit, const struct say *to)
{
  const struct guardd_observation *now = to->input->now;
  uint64_t kept = now->changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT];
  /* A warning only, and of a share of all: what a wiper does in ten minutes counts together. */
  changes late_of = to->input->recent ? to->input->recent->changed : now->changed;
  uint64_t late
      = late_of[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT] + late_of[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_LATE];
  uint64_t metadata = now->changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_METADATA];
  uint64_t of = allocated (now);
  struct guardd_finding finding = { .level = GUARDD_LEVEL_CRITICAL, .structure = "", .unit = "bytes" };
  if (metadata > 0) {
    finding.rule = "metadata-zeroed";
    finding.seen = (double)metadata;
    say (to, finding,
         "disk %s: %llu KiB of a filesystem's own tables were zeroed or discarded; it never does that",
         to->input->disk, (unsigned long long)(metadata / 1024));
  }
  finding.rule = "in-use-zeroed";
  if (kept >= limit->zeroed_bytes && kept >= of / 100 * limit->zeroed_percent) {
    finding.seen = (double)kept;
    finding.expected = (double)of * (double)limit->zeroed_percent / 100;
    say (to, finding,
         "disk %s: %llu MiB that were in use, and still are by the filesystem's own map, were zeroed or "
         "discarded (not fstrim: that frees first)",
         to->input->disk, (unsigned long long)(kept / MIB));
  } else if (late >= limit->late_zeroed_bytes && late >= of / 100 * limit->late_zeroed_percent) {
    /* Deleted and trimmed within the map's delay: then that much is gone, and worth the same warning. */
    finding.level = GUARDD_LEVEL_WARN;
    finding.seen = (double)late;
    finding.expected = (double)of * (double)limit->late_zeroed_percent / 100;
    say (to, finding,
         "disk %s: %llu MiB of what was in use were zeroed or discarded; whether they were deleted first the "
         "filesystem's maps do not say yet",
         to->input->disk, (unsigned long long)(late / MIB));
  }
}

/* What was overwritten in place: for certain, or as far as maps say that come late. */
struct overwritten {
  uint64_t all, high, mid;
};

static struct overwritten
sum (changes of, enum guardd_change_place place)
{
  struct overwritten is
      = { .high = of[GUARDD_CHANGE_LOW_TO_HIGH][place], .mid = of[GUARDD_CHANGE_LOW_TO_MID][place] };
  for (unsigned i = 0; i < GUARDD_CHANGE_CLASSES; i++)
    is.all += of[i][place];
  return is;
}

static void
say_encrypted (const struct say *to, const struct overwritten *is, enum guardd_level level, bool certain,
               bool recent)
{
  struct guardd_finding finding = { .rule = "encryption",
                                    .level = level,
                                    .structure = "",
                                    .slow = recent ? GUARDD_SLOW_RECENT : GUARDD_SLOW_NOT,
                                    .seen = 100.0 * (double)is->high / (double)is->all,
                                    .expected = 10,
                                    .unit = "percent of what was overwritten in place" };
  say (to, finding,
       "disk %s: %llu MiB of ordinary content were overwritten in place%s with what looks encrypted (%.0f %% "
       "of what "
       "was overwritten; not compression: that writes new files into free space)",
       to->input->disk, (unsigned long long)(is->high / MIB),
       certain ? "" : ", as far as the filesystem's maps say yet,", finding.seen);
}

/* Returns whether something was found.  recent: in the sum of the last minutes, not in this snapshot alone.
 */
static bool
judge_encrypted (const struct thresholds *limit, const struct say *to, changes of, bool recent)
{
  struct overwritten kept = sum (of, GUARDD_PLACE_KEPT), late = sum (of, GUARDD_PLACE_LATE);
  if (kept.high >= limit->suspicious_bytes && kept.high >= kept.all / 100 * limit->suspicious_percent) {
    bool critical
        = kept.high >= limit->encrypted_bytes && kept.high >= kept.all / 100 * limit->encrypted_percent;
    say_encrypted (to, &kept, critical ? GUARDD_LEVEL_CRITICAL : GUARDD_LEVEL_WARN, true, recent);
  } else if (late.high >= limit->late_encrypted_bytes
             && late.high >= late.all / 100 * limit->encrypted_percent) {
    say_encrypted (to, &late, GUARDD_LEVEL_WARN, false, recent);
  } else if (kept.mid + kept.high >= limit->suspicious_bytes
             && kept.mid >= kept.all / 100 * limit->suspicious_percent) {
    struct guardd_finding finding = { .rule = "partial-encryption",
                                      .level = GUARDD_LEVEL_WARN,
                                      .structure = "",
                                      .slow = recent ? GUARDD_SLOW_RECENT : GUARDD_SLOW_NOT,
                                      .seen = 100.0 * (double)kept.mid / (double)kept.all,
                                      .expected = 10,
                                      .unit = "percent of what was overwritten in place" };
    say (to, finding,
         "disk %s: entropy rose by 1.5 bits a byte or more in %llu MiB that were overwritten in place: as "
         "when every "
         "few bytes are encrypted",
         to->input->disk, (unsigned long long)(kept.mid / MIB));
  } else {
    return false;
  }
  return true;
}

static bool
is_about (uint64_t is, uint64_t what, unsigned from_percent, unsigned to_percent)
{
  return is >= what / 100 * from_percent && is <= what / 100 * to_percent;
}

/* Encrypted into new files, the old ones deleted: as many files as before, as many bytes, and what was
 * ordinary content is of high entropy.  Compression makes it less, an upgrade writes what is ordinary, a
 * purge writes nothing. */
static void
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

static int
judge (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_finding *finding), void *opaque)
{
  struct say to = { input, report, opaque, instance };
  const struct guardd_recent *recent = input->recent;
  judge_zeroed (instance, &to);
  if (!judge_encrypted (instance, &to, input->now->changed, false) && recent)
    judge_encrypted (instance, &to, recent->changed, true);
  judge_exchanged (instance, &to, recent ? &recent->exchange : &input->now->exchange, recent != NULL);
  return 0;
}

static int
instance_open (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
               void **instance)
{
  return limits_open (call, "change", limits, sizeof (struct thresholds), params, n_params, instance);
}

static const struct guardd_detector_ops ops = {
  .size = sizeof ops,
  .open = instance_open,
  .close = free,
  .judge = judge,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_DETECTOR,
  .name = "change",
  .version = GUARDD_VERSION,
  .description = "what is in use, zeroed or encrypted in place",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
