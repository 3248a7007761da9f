/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loss detector: files and bytes that a filesystem had and no longer has, by its own counters, against
 * the snapshot before and against the most it held within an hour, a day and a week (slow deletion). What
 * came within the last half hour and goes again is no loss. README.md has the rules, their thresholds and
 * where those come from.
 */
#include "loss.h"

#include "../limit.h"

#include <stdlib.h>

#define LIMIT(member) #member, offsetof(struct thresholds, member)
static const struct limit limits[] = {
  { LIMIT (critical_percent), 50, LIMIT_PERCENT },
  { LIMIT (critical_inodes), 100, LIMIT_FILES },
  { LIMIT (warn_percent), 20, LIMIT_PERCENT },
  { LIMIT (warn_inodes), 200, LIMIT_FILES },
  { LIMIT (day_percent), 20, LIMIT_PERCENT },
  { LIMIT (week_percent), 35, LIMIT_PERCENT },
  { LIMIT (slow_inodes), 400, LIMIT_FILES },
  { LIMIT (bytes_warn_percent), 30, LIMIT_PERCENT },
  { LIMIT (bytes_critical_percent), 70, LIMIT_PERCENT },
  { LIMIT (slow_bytes_percent), 50, LIMIT_PERCENT },
  { LIMIT (emptied_bytes), 16u << 20, LIMIT_BYTES },
  { LIMIT (emptied_warn_bytes), 1u << 30, LIMIT_BYTES },
  { LIMIT (emptied_alone_percent), 50, LIMIT_PERCENT },
  { LIMIT (emptied_alone_bytes), 8u << 20, LIMIT_BYTES },
  { NULL },
};

static int
judge (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_finding *finding), void *opaque)
{
  struct say to = { input, report, opaque, instance };
  for (uint32_t i = 0; input->before && i < input->now->n_structures; i++)
    judge_structure (instance, &to, i);
  return 0;
}

/* --- what these rules do not see --- */

#define FILE_RULES "mass-deletion deletion slow-deletion"
#define BYTE_RULES "mass-emptying emptying slow-emptying"

static void
find_blind (const struct say_blindness *to, const struct guardd_structure *is)
{
  if (is->flags & GUARDD_STRUCTURE_OPAQUE && is->length > 0)
    say_blind (to, FILE_RULES " " BYTE_RULES, is->path, false,
               "%s: neither files nor bytes in use can be counted", say_opaque (is));
  else if (is->kind == GUARDD_STRUCTURE_UNKNOWN)
    say_blind (to, FILE_RULES " " BYTE_RULES, is->path, false,
               "what is there is of no kind that is known here: nothing in it can be counted");
  else if (!say_is_filesystem (is))
    return;
  else if (!(is->flags & GUARDD_STRUCTURE_COUNTED))
    say_blind (to, FILE_RULES " " BYTE_RULES, is->path, false, "its counters could not be read");
  else {
    if (is->used_inodes == UINT64_MAX)
      say_blind (to, FILE_RULES, is->path, false,
                 "how many files it has is not counted where it can be seen; bytes alone are compared");
    if (is->used_bytes == UINT64_MAX)
      say_blind (to, BYTE_RULES, is->path, false, "how many bytes are in use is not known");
    if (is->flags & GUARDD_STRUCTURE_LAGGING)
      say_blind (to, FILE_RULES " " BYTE_RULES, is->path, true,
                 "its counters reach the disk late: as a rule within some 75 seconds");
  }
}

static int
blind (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_blind *blind), void *opaque)
{
  const struct say_blindness to = { input, report, opaque };
  if (input->before == NULL)
    say_blind (&to, FILE_RULES " " BYTE_RULES, "", false,
               "this is the first look at the disk: there is nothing to compare it with");
  for (uint32_t i = 0; i < input->now->n_structures; i++)
    find_blind (&to, &input->now->structures[i]);
  return 0;
}

static int
instance_open (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
               void **instance)
{
  return limits_open (call, "loss", limits, sizeof (struct thresholds), params, n_params, instance);
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
  .name = "loss",
  .version = GUARDD_VERSION,
  .description = "files and bytes that a filesystem no longer has, fast or slowly",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
