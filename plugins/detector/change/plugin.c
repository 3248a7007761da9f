/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The change detector: what changed blocks turned into.  Discarding or zeroing what a filesystem says is in
 * use, and encrypting in place.  ../README.md has the rules, their thresholds and where those come from.
 */
#include "../limit.h"
#include "../say.h"

#include <stdlib.h>

#define MIB (1024u * 1024)

#define RANDOM_FLOOR (16.0 * MIB)
#define RANDOM_PERCENT 80 /* NetApp marks such a workload as unsuitable */

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
consider_resize (const struct say *to, struct say_considered *considered)
{
  if (to->input->before && to->input->before->disk_size == to->input->now->disk_size)
    say_considered (considered, "not a resize: the disk has %llu bytes, as before",
                    (unsigned long long)to->input->now->disk_size);
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
  struct say_considered considered = { .n = 0 };
  uint64_t zeroed = 0;
  for (unsigned place = 0; place < GUARDD_PLACES; place++)
    zeroed += now->changed[GUARDD_CHANGE_TO_ZERO][place];
  say_considered (
      &considered,
      "not fstrim, which discards what is free: of %llu KiB that became zero, %llu KiB are in use by "
      "the filesystem's own maps, before and now",
      (unsigned long long)(zeroed / 1024), (unsigned long long)((kept + metadata) / 1024));
  consider_resize (to, &considered);
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  finding.horizon = "last-good";
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

/* Whether most of what changes on this disk looked random before: then little can become so. */
static bool
is_random_already (const struct guardd_history *history, double *percent)
{
  *percent = history && history->sampled_bytes > 0 ? 100 * history->high_bytes / history->sampled_bytes : 0;
  return history && history->sampled_bytes >= RANDOM_FLOOR && *percent >= RANDOM_PERCENT;
}

static void
consider_content (const struct say *to, uint64_t kept, const uint64_t places[GUARDD_PLACES],
                  struct say_considered *considered)
{
  double percent;
  say_considered (
      considered,
      "not compression or a backup, which write into free space: %llu MiB of it lie where files were and "
      "are, %llu MiB where there is, or was, free space",
      (unsigned long long)(kept / MIB),
      (unsigned long long)((places[GUARDD_PLACE_FREE] + places[GUARDD_PLACE_NEW]) / MIB));
  if (to->input->history && to->input->history->sampled_bytes > 0) {
    is_random_already (to->input->history, &percent);
    say_considered (considered,
                    "not a disk full of compressed or encrypted files: %.0f %% of what was sampled lately "
                    "was random before",
                    percent);
  }
}

static void
judge_encrypted (const struct thresholds *limit, const struct say *to)
{
  const struct guardd_observation *now = to->input->now;
  double kept = 0; /* a sum that a lying sentinel cannot make overflow */
  uint64_t high = now->changed[GUARDD_CHANGE_LOW_TO_HIGH][GUARDD_PLACE_KEPT];
  uint64_t mid = now->changed[GUARDD_CHANGE_LOW_TO_MID][GUARDD_PLACE_KEPT];
  uint64_t full = say_relieved (to, "encryption", limit->suspicious_percent);
  uint64_t partial = say_relieved (to, "partial-encryption", limit->suspicious_percent);
  struct say_considered considered = { .n = 0 };
  double percent;
  bool random = is_random_already (to->input->history, &percent);
  for (unsigned i = 0; i < GUARDD_CHANGE_CLASSES; i++)
    kept += (double)now->changed[i][GUARDD_PLACE_KEPT];
  struct guardd_finding finding = { .structure = "",
                                    .unit = "percent of what was overwritten in place",
                                    .horizon = "last-good",
                                    .considered = considered.sentences };
  bool critical
      = high >= limit->encrypted_bytes && (double)high >= kept / 100 * (double)limit->encrypted_percent;
  if (critical || (!random && high >= limit->suspicious_bytes && (double)high >= kept / 100 * (double)full)) {
    consider_content (to, high, now->changed[GUARDD_CHANGE_LOW_TO_HIGH], &considered);
    finding.n_considered = considered.n;
    finding.soft = !critical;
    finding.rule = "encryption";
    finding.level = critical ? GUARDD_LEVEL_CRITICAL : GUARDD_LEVEL_WARN;
    finding.seen = 100.0 * (double)high / kept;
    finding.expected = (double)(critical ? limit->encrypted_percent : full);
    say (to, finding,
         "disk %s: %llu MiB of ordinary content were overwritten in place with what looks encrypted (%.0f %% "
         "of what "
         "was overwritten; not compression: that writes new files into free space)",
         to->input->disk, (unsigned long long)(high / MIB), finding.seen);
  } else if (!random
             && mid >= limit->suspicious_bytes
                           - (high < limit->suspicious_bytes ? high : limit->suspicious_bytes)
             && (double)mid >= kept / 100 * (double)partial && mid > 0) {
    consider_content (to, mid, now->changed[GUARDD_CHANGE_LOW_TO_MID], &considered);
    finding.n_considered = considered.n;
    finding.soft = 1;
    finding.rule = "partial-encryption";
    finding.level = GUARDD_LEVEL_WARN;
    finding.seen = 100.0 * (double)mid / kept;
    finding.expected = (double)partial;
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

/* --- what these rules do not see --- */

#define ZERO_RULES "in-use-zeroed metadata-zeroed"
#define CONTENT_RULES "encryption partial-encryption"

static void
find_blind_changes (const struct say_blindness *to, const struct guardd_history *history)
{
  double percent, changed = history->mapped_bytes + history->unmapped_bytes;
  if (is_random_already (history, &percent))
    say_blind (
        to, CONTENT_RULES, "", false,
        "%.0f %% of what was sampled lately was random before (encrypted, compressed, media): only what is "
        "critical is told",
        percent);
  if (changed > 0 && history->unmapped_bytes >= changed / 2)
    say_blind (
        to, ZERO_RULES " " CONTENT_RULES, "", false,
        "of %.0f %% of what changed lately, nothing says whether it is in use: no map of it can be read",
        100 * history->unmapped_bytes / changed);
}

static int
blind (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_blind *blind), void *opaque)
{
  const struct say_blindness to = { input, report, opaque };
  if (input->before == NULL)
    say_blind (&to, ZERO_RULES " " CONTENT_RULES, "", false,
               "this is the first look at the disk: what its blocks were before is not known");
  for (uint32_t i = 0; i < input->now->n_structures; i++)
    if (input->now->structures[i].flags & GUARDD_STRUCTURE_OPAQUE)
      say_blind (&to, ZERO_RULES " " CONTENT_RULES, input->now->structures[i].path, false,
                 "encrypted by the guest: all of it looks random, and nothing says what is in use");
  if (input->history)
    find_blind_changes (&to, input->history);
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
  .blind = blind,
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
