/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The change detector: what changed blocks turned into.  Discarding or zeroing what a filesystem says is in
 * use, and encrypting in place or into new files.
 */
#include "change.h"

#include "../limit.h"

#include <stdlib.h>

#define LIMIT(member) #member, offsetof(struct thresholds, member)
static const struct limit limits[] = {
  { LIMIT (zeroed_bytes), 16u * MIB, LIMIT_BYTES },
  { LIMIT (zeroed_percent), 1, LIMIT_PERCENT },
  { LIMIT (zeroed_enough_bytes), 1024u * MIB, LIMIT_BYTES },
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

int
slow_of (const struct say *to)
{
  return to->input->recent ? GUARDD_SLOW_RECENT : GUARDD_SLOW_NOT;
}

static int
judge (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_finding *finding), void *opaque)
{
  struct say to = { input, report, opaque, instance };
  const struct guardd_recent *recent = input->recent;
  judge_zeroed (instance, &to);
  if (!judge_encrypted (instance, &to, input->now->changed) && recent)
    judge_encrypted (instance, &to, recent->changed);
  judge_exchanged (instance, &to, recent ? &recent->exchange : &input->now->exchange);
  return 0;
}

/* --- what these rules do not see --- */

#define ZERO_RULES "in-use-zeroed metadata-zeroed metadata-overwritten"
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
    if (input->now->structures[i].flags & GUARDD_STRUCTURE_OPAQUE && input->now->structures[i].length > 0)
      say_blind (&to, ZERO_RULES " " CONTENT_RULES, input->now->structures[i].path, false,
                 "%s: nothing says what of it is in use", say_opaque (&input->now->structures[i]));
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
  .description = "what is in use, zeroed, overwritten or encrypted in place",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
