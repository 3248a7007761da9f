/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loss detector: files and bytes that a filesystem had and no longer has, by its own counters, against
 * the snapshot before and against the most it had within an hour, a day and a week (slow deletion). README.md
 * has the rules, their thresholds and where those come from.
 */
#include "../limit.h"
#include "../say.h"

#include <stdlib.h>
#include <string.h>

struct thresholds {
  uint64_t critical_percent,
      critical_inodes; /* against before and an hour; Veeam's guest index scan: 50 %, 100 */
  uint64_t warn_percent, warn_inodes;
  uint64_t day_percent, week_percent, slow_inodes; /* slow: total within a day, a week */
  uint64_t bytes_warn_percent,
      bytes_critical_percent; /* with hardly an inode less: emptied, or a few big ones */
  uint64_t emptied_bytes;
  uint64_t
      emptied_warn_bytes; /* or a part of a smaller filesystem: there, any temporary file is a third of all */
  uint64_t
      emptied_alone_bytes; /* where no files can be counted, bytes are all that tells of their deletion */
};

#define EMPTIED_PART 20u

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
  { LIMIT (emptied_bytes), 16u << 20, LIMIT_BYTES },
  { LIMIT (emptied_warn_bytes), 1u << 30, LIMIT_BYTES },
  { LIMIT (emptied_alone_bytes), 8u << 20, LIMIT_BYTES },
  { NULL },
};

static bool
fell (uint64_t from, uint64_t to, uint64_t percent, uint64_t floor)
{
  return from != UINT64_MAX && to != UINT64_MAX && to < from && from - to >= floor
         && (double)(from - to) >= (double)from * (double)percent / 100;
}

struct fall {
  const char *since;   /* "an hour ago", … */
  const char *horizon; /* "1h", … */
  bool slow;           /* since a peak */
  uint64_t inodes, bytes;
};

/* What would explain it, and does not. */
static void
consider (const struct say *to, const struct guardd_structure *now, const struct fall *from,
          struct say_considered *considered)
{
  const struct guardd_structure *before = say_find (to->input->before, now->kind, now->path);
  if (before->made == now->made)
    say_considered (considered,
                    "not another filesystem in its place: UUID and time of creation are the same");
  if (before->total_inodes == now->total_inodes && before->total_bytes == now->total_bytes)
    say_considered (considered, "not a resize: the filesystem has %llu bytes, as before",
                    (unsigned long long)now->total_bytes);
  if (!((now->flags | before->flags) & (GUARDD_STRUCTURE_LAGGING | GUARDD_STRUCTURE_SAMPLED)))
    say_considered (considered, "not an old counter: what this filesystem says now was read in full");
  if (from->slow && before->used_inodes != UINT64_MAX)
    say_considered (considered, "not one cleanup: only %llu of it since the last good snapshot",
                    (unsigned long long)(before->used_inodes > now->used_inodes
                                             ? before->used_inodes - now->used_inodes
                                             : 0));
}

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
                                    .unit = "inodes in use",
                                    .soft = level == GUARDD_LEVEL_WARN,
                                    .horizon = from->horizon };
  struct say_considered considered = { .n = 0 };
  consider (to, now, from, &considered);
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  say (to, finding, "%s: %llu of %llu files and directories are gone since %s (%.0f %%)", name.text,
       (unsigned long long)(from->inodes - now->used_inodes), (unsigned long long)from->inodes, from->since,
       100.0 * (double)(from->inodes - now->used_inodes) / (double)from->inodes);
}

/* Returns whether something was found. */
static bool
judge_inodes (const struct thresholds *limit, const struct say *to, const struct guardd_structure *now,
              const struct fall *from)
{
  if (fell (from->inodes, now->used_inodes, limit->critical_percent, limit->critical_inodes))
    say_inodes (to, now, from, GUARDD_LEVEL_CRITICAL, "mass-deletion");
  else if (fell (from->inodes, now->used_inodes, say_relieved (to, "deletion", limit->warn_percent),
                 limit->warn_inodes))
    say_inodes (to, now, from, GUARDD_LEVEL_WARN, "deletion");
  else
    return false;
  return true;
}

/* Files emptied, or a few that hold most of the bytes deleted: the inodes stay. */
static bool
judge_bytes (const struct thresholds *limit, const struct say *to, const struct guardd_structure *now,
             const struct fall *from)
{
  bool inodes_known = now->used_inodes != UINT64_MAX && from->inodes != UINT64_MAX && from->inodes != 0;
  uint64_t floor = inodes_known ? limit->emptied_bytes : limit->emptied_alone_bytes;
  uint64_t most = inodes_known ? limit->bytes_critical_percent : limit->critical_percent;
  uint64_t least = say_relieved (to, "emptying", limit->bytes_warn_percent);
  uint64_t part = now->total_bytes / EMPTIED_PART;
  uint64_t many = part < limit->emptied_warn_bytes ? part : limit->emptied_warn_bytes;
  bool critical = fell (from->bytes, now->used_bytes, most, floor);
  /* A balance of btrfs has for a while what it moves twice: a fall by less than half says nothing there. */
  bool some = inodes_known && fell (from->bytes, now->used_bytes, least, many > floor ? many : floor);
  if ((!critical && !some) || (inodes_known && fell (from->inodes, now->used_inodes, 5, 1)))
    return false;
  struct say_name name = say_name (to, now);
  struct guardd_finding finding = { .rule = critical ? "mass-emptying" : "emptying",
                                    .level = critical ? GUARDD_LEVEL_CRITICAL : GUARDD_LEVEL_WARN,
                                    .structure = now->path,
                                    .lasting = 1,
                                    .seen = (double)now->used_bytes,
                                    .expected = (double)from->bytes,
                                    .unit = "bytes in use",
                                    .soft = !critical,
                                    .horizon = from->horizon };
  struct say_considered considered = { .n = 0 };
  consider (to, now, from, &considered);
  if (inodes_known)
    say_considered (&considered, "not deletion: %llu of %llu inodes are still in use",
                    (unsigned long long)now->used_inodes, (unsigned long long)from->inodes);
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  say (to, finding, "%s: %.0f %% of what was stored since %s is gone%s", name.text,
       100.0 * (double)(from->bytes - now->used_bytes) / (double)from->bytes, from->since,
       inodes_known ? ", with hardly a file less (files emptied, or few big ones deleted)" : "");
  return true;
}

static bool
judge_slow (const struct thresholds *limit, const struct say *to, const struct guardd_structure *now,
            const struct fall *from, uint64_t percent)
{
  /* What is deleted at once is deleted within a day, too: who calls the one false means the other. */
  uint64_t slow = say_relieved (to, "slow-deletion", percent), fast = say_relieved (to, "deletion", percent);
  if (!fell (from->inodes, now->used_inodes, slow > fast ? slow : fast, limit->slow_inodes))
    return false;
  say_inodes (to, now, from, GUARDD_LEVEL_WARN, "slow-deletion");
  return true;
}

static void
judge_structure (const struct thresholds *limit, const struct say *to, uint32_t index)
{
  const struct guardd_structure *now = &to->input->now->structures[index];
  const struct guardd_structure *before = say_find (to->input->before, now->kind, now->path);
  if (!say_is_filesystem (now) || before == NULL || !(now->flags & before->flags & GUARDD_STRUCTURE_COUNTED)
      || memcmp (now->uuid, before->uuid, sizeof now->uuid) != 0)
    return; /* another filesystem is the structure detector's */
  struct fall last
      = { "the last good snapshot", "last-good", false, before->used_inodes, before->used_bytes };
  bool found = judge_inodes (limit, to, now, &last) || judge_bytes (limit, to, now, &last);
  if (found || to->input->peaks == NULL)
    return;
  const struct guardd_peak *peaks = to->input->peaks[index];
  struct fall hour = { "an hour ago", "1h", true, peaks[GUARDD_HORIZON_HOUR].used_inodes, 0 };
  struct fall day = { "a day ago", "24h", true, peaks[GUARDD_HORIZON_DAY].used_inodes, 0 };
  struct fall week = { "a week ago", "7d", true, peaks[GUARDD_HORIZON_WEEK].used_inodes, 0 };
  if (fell (hour.inodes, now->used_inodes, limit->critical_percent, limit->critical_inodes))
    say_inodes (to, now, &hour, GUARDD_LEVEL_CRITICAL, "mass-deletion");
  else if (!judge_slow (limit, to, now, &day, limit->day_percent))
    judge_slow (limit, to, now, &week, limit->week_percent);
}

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
#define BYTE_RULES "mass-emptying emptying"

static void
find_blind (const struct say_blindness *to, const struct guardd_structure *is)
{
  if (is->flags & GUARDD_STRUCTURE_OPAQUE)
    say_blind (to, FILE_RULES " " BYTE_RULES, is->path, false,
               "encrypted by the guest: neither files nor bytes in use can be counted");
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
