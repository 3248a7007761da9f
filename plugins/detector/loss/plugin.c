/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loss detector: files and bytes that a filesystem had and no longer has, by its own counters, against
 * the snapshot before and against the most it had within an hour, a day and a week (slow deletion). README.md
 * has the rules, their thresholds and where those come from.
 */
#include "../say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct thresholds {
  unsigned
      critical_percent; /* of inodes, against before, an hour, a day: Veeam's guest index scan has 50 % */
  unsigned warn_percent;
  unsigned day_percent, week_percent; /* slow: total within a day, a week */
  unsigned bytes_warn_percent,
      bytes_critical_percent; /* with hardly an inode less: emptied, or a few big ones */
};

static const struct thresholds defaults = { 50, 20, 20, 35, 30, 70 };

#define CRITICAL_INODES 100u /* fewer deleted files are nobody's catastrophe (Veeam: 100) */
#define WARN_INODES 200u
#define SLOW_INODES 400u
#define BYTES_FLOOR (16u << 20)
/* Of a filesystem that counts no files where we can see it, bytes are all that tells of their deletion. */
#define BYTES_FLOOR_ALONE (8u << 20)

static const struct {
  const char *key;
  size_t offset;
} parameters[] = {
  { "critical_percent", offsetof (struct thresholds, critical_percent) },
  { "warn_percent", offsetof (struct thresholds, warn_percent) },
  { "day_percent", offsetof (struct thresholds, day_percent) },
  { "week_percent", offsetof (struct thresholds, week_percent) },
  { "bytes_warn_percent", offsetof (struct thresholds, bytes_warn_percent) },
  { "bytes_critical_percent", offsetof (struct thresholds, bytes_critical_percent) },
};

static bool
fell (uint64_t from, uint64_t to, unsigned percent, uint64_t floor)
{
  return from != UINT64_MAX && to != UINT64_MAX && to < from && from - to >= floor
         && (double)(from - to) >= (double)from * percent / 100;
}

struct fall {
  const char *since; /* "an hour ago", … */
  bool slow;         /* since a peak */
  uint64_t inodes, bytes;
};

static void
say_inodes (const struct say *to, const struct guardd_structure *now, const struct fall *from,
            enum guardd_level level, const char *rule)
{
  struct say_name name = say_name (to, now);
  struct guardd_finding finding = { .rule = rule,
                                    .level = level,
                                    .structure = now->path,
                                    .lasting = 1,
                                    .slow = from->slow,
                                    .seen = (double)now->used_inodes,
                                    .expected = (double)from->inodes,
                                    .unit = "inodes in use" };
  say (to, finding, "%s: %llu of %llu files and directories are gone since %s (%.0f %%)", name.text,
       (unsigned long long)(from->inodes - now->used_inodes), (unsigned long long)from->inodes, from->since,
       100.0 * (double)(from->inodes - now->used_inodes) / (double)from->inodes);
}

/* Returns whether something was found. */
static bool
judge_inodes (const struct thresholds *limits, const struct say *to, const struct guardd_structure *now,
              const struct fall *from)
{
  if (fell (from->inodes, now->used_inodes, limits->critical_percent, CRITICAL_INODES))
    say_inodes (to, now, from, GUARDD_LEVEL_CRITICAL, "mass-deletion");
  else if (fell (from->inodes, now->used_inodes, limits->warn_percent, WARN_INODES))
    say_inodes (to, now, from, GUARDD_LEVEL_WARN, "deletion");
  else
    return false;
  return true;
}

/* Files emptied, or a few that hold most of the bytes deleted: the inodes stay. */
static bool
judge_bytes (const struct thresholds *limits, const struct say *to, const struct guardd_structure *now,
             const struct fall *from)
{
  bool inodes_known = now->used_inodes != UINT64_MAX && from->inodes != UINT64_MAX && from->inodes != 0;
  uint64_t floor = inodes_known ? BYTES_FLOOR : BYTES_FLOOR_ALONE;
  unsigned most = inodes_known ? limits->bytes_critical_percent : limits->critical_percent;
  if (!fell (from->bytes, now->used_bytes, limits->bytes_warn_percent, floor)
      || (inodes_known && fell (from->inodes, now->used_inodes, 5, 1)))
    return false;
  bool critical = fell (from->bytes, now->used_bytes, most, floor);
  struct say_name name = say_name (to, now);
  struct guardd_finding finding = { .rule = critical ? "mass-emptying" : "emptying",
                                    .level = critical ? GUARDD_LEVEL_CRITICAL : GUARDD_LEVEL_WARN,
                                    .structure = now->path,
                                    .lasting = 1,
                                    .seen = (double)now->used_bytes,
                                    .expected = (double)from->bytes,
                                    .unit = "bytes in use" };
  say (to, finding, "%s: %.0f %% of what was stored since %s is gone%s", name.text,
       100.0 * (double)(from->bytes - now->used_bytes) / (double)from->bytes, from->since,
       inodes_known ? ", with hardly a file less (files emptied, or few big ones deleted)" : "");
  return true;
}

static bool
judge_slow (const struct say *to, const struct guardd_structure *now, const struct fall *from,
            unsigned percent)
{
  if (!fell (from->inodes, now->used_inodes, percent, SLOW_INODES))
    return false;
  say_inodes (to, now, from, GUARDD_LEVEL_WARN, "slow-deletion");
  return true;
}

static void
judge_structure (const struct thresholds *limits, const struct say *to, uint32_t index)
{
  const struct guardd_structure *now = &to->input->now->structures[index];
  const struct guardd_structure *before = say_find (to->input->before, now->kind, now->path);
  if (!say_is_filesystem (now) || before == NULL || !(now->flags & before->flags & GUARDD_STRUCTURE_COUNTED)
      || memcmp (now->uuid, before->uuid, sizeof now->uuid) != 0)
    return; /* another filesystem is the structure detector's */
  struct fall last = { "the last good snapshot", false, before->used_inodes, before->used_bytes };
  bool found = judge_inodes (limits, to, now, &last) || judge_bytes (limits, to, now, &last);
  if (found || to->input->peaks == NULL)
    return;
  const struct guardd_peak *peaks = to->input->peaks[index];
  struct fall hour = { "an hour ago", true, peaks[GUARDD_HORIZON_HOUR].used_inodes, 0 };
  struct fall day = { "a day ago", true, peaks[GUARDD_HORIZON_DAY].used_inodes, 0 };
  struct fall week = { "a week ago", true, peaks[GUARDD_HORIZON_WEEK].used_inodes, 0 };
  if (fell (hour.inodes, now->used_inodes, limits->critical_percent, CRITICAL_INODES))
    say_inodes (to, now, &hour, GUARDD_LEVEL_CRITICAL, "mass-deletion");
  else if (!judge_slow (to, now, &day, limits->day_percent))
    judge_slow (to, now, &week, limits->week_percent);
}

static int
judge (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_finding *finding), void *opaque)
{
  struct say to = { input, report, opaque };
  for (uint32_t i = 0; input->before && i < input->now->n_structures; i++)
    judge_structure (instance, &to, i);
  return 0;
}

static int
set_parameter (struct thresholds *limits, const struct guardd_param *param)
{
  char *end;
  unsigned long value = strtoul (param->value, &end, 10);
  if (end == param->value || *end || value < 1 || value > 100)
    return -1;
  for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
    if (strcmp (parameters[i].key, param->key) == 0) {
      *(unsigned *)((char *)limits + parameters[i].offset) = (unsigned)value;
      return 0;
    }
  return -1;
}

static int
instance_open (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
               void **instance)
{
  struct thresholds *limits = malloc (sizeof *limits);
  if (limits == NULL)
    return -1;
  *limits = defaults;
  for (size_t i = 0; i < n_params; i++)
    if (set_parameter (limits, &params[i])) {
      call->error (call->opaque, EINVAL,
                   "detector loss: its parameters are critical_percent, warn_percent, day_percent, "
                   "week_percent, bytes_warn_percent, bytes_critical_percent, from 1 to 100");
      free (limits);
      return -1;
    }
  *instance = limits;
  return 0;
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
