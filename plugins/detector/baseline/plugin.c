/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The baseline detector: what no threshold forbids, but this guest does not do.  Its evidence is soft: one
 * family of it, however strong, decides nothing, and in its first days a guest has no habits.
 * ../README.md has the rules, their thresholds and where those come from.
 */
#include "rules.h"

#include "../limit.h"

#include <stddef.h>
#include <stdlib.h>

#define MIB ((uint64_t)1 << 20)

#define LIMIT(member) #member, offsetof(struct thresholds, member)
static const struct limit limits[] = {
  { LIMIT (settle_days), 7, 7, 365 },
  { LIMIT (samples), 8, 2, 1344 },
  { LIMIT (spreads), 6, 3, 100 },
  { LIMIT (score_percent), 70, LIMIT_PERCENT },
  { LIMIT (changed_bytes), 64 * MIB, LIMIT_BYTES },
  { LIMIT (zeroed_bytes), 64 * MIB, LIMIT_BYTES },
  { LIMIT (lost_inodes), 100, LIMIT_FILES },
  { LIMIT (lost_bytes), 64 * MIB, LIMIT_BYTES },
  { LIMIT (risen_bytes), 16 * MIB, LIMIT_BYTES },
  { LIMIT (steady_percent), 10, LIMIT_PERCENT },
  { LIMIT (steady_inodes), 400, LIMIT_FILES },
  { NULL },
};

static int
judge (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_finding *finding), void *opaque)
{
  const struct say to = { input, report, opaque, instance };
  if (input->history == NULL || !history_is_settled (instance, input->history))
    return 0;
  judge_unusual (instance, &to);
  judge_steady (instance, &to);
  return 0;
}

static int
blind (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_blind *blind), void *opaque)
{
  const struct say_blindness to = { input, report, opaque };
  const struct thresholds *limit = instance;
  const struct guardd_history *history = input->history;
  double changed = history ? history->mapped_bytes + history->unmapped_bytes : 0;
  if (history == NULL || !history_is_settled (limit, history))
    say_blind (
        &to, "unusual steady-loss", "", false,
        "what is usual on this disk is being learnt: for %.1f days so far, of %llu, with %u hours seen",
        history ? (double)history->age_s / 86400 : 0.0, (unsigned long long)limit->settle_days,
        history ? history->features[0].all.samples : 0);
  else if (changed > 0 && history->unmapped_bytes >= changed / 2)
    say_blind (
        &to, "unusual", "", false,
        "content is no evidence here: of %.0f %% of what changed lately, nothing says whether it is in use",
        100 * history->unmapped_bytes / changed);
  return 0;
}

static int
instance_open (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
               void **instance)
{
  return limits_open (call, "baseline", limits, sizeof (struct thresholds), params, n_params, instance);
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
  .name = "baseline",
  .version = GUARDD_VERSION,
  .description = "what this guest does not usually do at this hour",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
