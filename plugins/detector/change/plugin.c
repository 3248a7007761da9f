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
};

#define LIMIT(member) #member, offsetof(struct thresholds, member)
static const struct limit limits[] = {
  { LIMIT (zeroed_bytes), 16u * MIB, LIMIT_BYTES },    { LIMIT (zeroed_percent), 1, LIMIT_PERCENT },
  { LIMIT (encrypted_bytes), 64u * MIB, LIMIT_BYTES }, { LIMIT (encrypted_percent), 45, LIMIT_PERCENT },
  { LIMIT (suspicious_bytes), 4u * MIB, LIMIT_BYTES }, /* 1,000 blocks of 4 KiB */
  { LIMIT (suspicious_percent), 25, LIMIT_PERCENT },   { NULL },
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

static void
judge_zeroed (const struct thresholds *limit, const struct say *to)
{
  const struct guardd_observation *now = to->input->now;
  uint64_t kept = now->changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_KEPT];
  uint64_t metadata = now->changed[GUARDD_CHANGE_TO_ZERO][GUARDD_PLACE_METADATA];
  uint64_t of = allocated (now);
  struct guardd_finding finding
      = { .rule = "in-use-zeroed", .level = GUARDD_LEVEL_CRITICAL, .structure = "", .unit = "bytes" };
  if (metadata > 0) {
    finding.rule = "metadata-zeroed";
    finding.seen = (double)metadata;
    say (to, finding,
         "disk %s: %llu KiB of a filesystem's own tables were zeroed or discarded; it never does that",
         to->input->disk, (unsigned long long)(metadata / 1024));
  }
  if (kept >= limit->zeroed_bytes && kept >= of / 100 * limit->zeroed_percent) {
    finding.rule = "in-use-zeroed";
    finding.seen = (double)kept;
    finding.expected = (double)of * (double)limit->zeroed_percent / 100;
    say (to, finding,
         "disk %s: %llu MiB that were in use, and still are by the filesystem's own map, were zeroed or "
         "discarded "
         "(not fstrim: that frees first)",
         to->input->disk, (unsigned long long)(kept / MIB));
  }
}

static void
judge_encrypted (const struct thresholds *limit, const struct say *to)
{
  const struct guardd_observation *now = to->input->now;
  uint64_t kept = 0, high = now->changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT];
  uint64_t mid = now->changed[GUARDD_CHANGE_LOW_TO_MID][GUARDD_PLACE_KEPT];
  for (unsigned i = 0; i < GUARDD_CHANGE_CLASSES; i++)
    kept += now->changed[i][GUARDD_PLACE_KEPT];
  struct guardd_finding finding = { .structure = "", .unit = "percent of what was overwritten in place" };
  if (high >= limit->suspicious_bytes && high >= kept / 100 * limit->suspicious_percent) {
    bool critical = high >= limit->encrypted_bytes && high >= kept / 100 * limit->encrypted_percent;
    finding.rule = "encryption";
    finding.level = critical ? GUARDD_LEVEL_CRITICAL : GUARDD_LEVEL_WARN;
    finding.seen = 100.0 * (double)high / (double)kept;
    finding.expected = 10;
    say (to, finding,
         "disk %s: %llu MiB of ordinary content were overwritten in place with what looks encrypted (%.0f %% "
         "of what "
         "was overwritten; not compression: that writes new files into free space)",
         to->input->disk, (unsigned long long)(high / MIB), finding.seen);
  } else if (mid + high >= limit->suspicious_bytes && mid >= kept / 100 * limit->suspicious_percent) {
    finding.rule = "partial-encryption";
    finding.level = GUARDD_LEVEL_WARN;
    finding.seen = 100.0 * (double)mid / (double)kept;
    finding.expected = 10;
    say (to, finding,
         "disk %s: entropy rose by 1.5 bits a byte or more in %llu MiB that were overwritten in place: as "
         "when every "
         "few bytes are encrypted",
         to->input->disk, (unsigned long long)(mid / MIB));
  }
}

static int
judge (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_finding *finding), void *opaque)
{
  struct say to = { input, report, opaque, instance };
  judge_zeroed (instance, &to);
  judge_encrypted (instance, &to);
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
