/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A filesystem's counters against what they were. */
#include "loss.h"

#include <string.h>

#define EMPTIED_PART 20u
#define ALL_PERCENT 90u

static bool
fell (uint64_t from, uint64_t to, uint64_t percent, uint64_t floor)
{
  return from != UINT64_MAX && to != UINT64_MAX && to < from && from - to >= floor
         && (double)(from - to) >= (double)from * (double)percent / 100;
}

/* From what something fell. */
struct fall {
  const char *since;   /* "an hour ago", … */
  const char *horizon; /* "1h", … */
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
  if (strcmp (from->horizon, "last-good") != 0 && before->used_inodes != UINT64_MAX)
    say_considered (considered, "not one cleanup: only %llu of it since the last good snapshot",
                    (unsigned long long)(before->used_inodes > now->used_inodes
                                             ? before->used_inodes - now->used_inodes
                                             : 0));
}

/* What all findings of a fall have in common. */
static struct guardd_finding
found (const struct guardd_structure *now, const struct fall *from, enum guardd_level level, const char *rule)
{
  return (struct guardd_finding){ .rule = rule,
                                  .level = level,
                                  .structure = now->path,
                                  .lasting = 1,
                                  .soft = level == GUARDD_LEVEL_WARN,
                                  .horizon = from->horizon };
}

static void
say_inodes (const struct say *to, const struct guardd_structure *now, const struct fall *from,
            enum guardd_level level, const char *rule)
{
  struct say_name name = say_name (to, now);
  struct guardd_finding finding = found (now, from, level, rule);
  finding.slow = GUARDD_SLOW_PEAK;
  finding.seen = (double)now->used_inodes;
  finding.expected = (double)from->inodes;
  finding.unit = "inodes in use";
  struct say_considered considered = { .n = 0 };
  consider (to, now, from, &considered);
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  say (to, finding, "%s: %llu of %llu files and directories are gone since %s (%.0f %%)", name.text,
       (unsigned long long)(from->inodes - now->used_inodes), (unsigned long long)from->inodes, from->since,
       100.0 * (double)(from->inodes - now->used_inodes) / (double)from->inodes);
}

static bool
are_inodes_known (const struct guardd_structure *now, const struct fall *from)
{
  return now->used_inodes != UINT64_MAX && from->inodes != UINT64_MAX && from->inodes != 0;
}

static bool
hardly_a_file_less (const struct guardd_structure *now, const struct fall *from)
{
  return !fell (from->inodes, now->used_inodes, 5, 1);
}

/* Files emptied, or a few that hold most of the bytes deleted. */
static void
say_bytes (const struct say *to, const struct guardd_structure *now, const struct fall *from,
           enum guardd_level level, const char *rule)
{
  struct say_name name = say_name (to, now);
  struct guardd_finding finding = found (now, from, level, rule);
  finding.slow = GUARDD_SLOW_PEAK_BYTES;
  finding.seen = (double)now->used_bytes;
  finding.expected = (double)from->bytes;
  finding.unit = "bytes in use";
  struct say_considered considered = { .n = 0 };
  bool known = are_inodes_known (now, from), hardly = known && hardly_a_file_less (now, from);
  consider (to, now, from, &considered);
  if (hardly)
    say_considered (&considered, "not deletion: %llu of %llu inodes are still in use",
                    (unsigned long long)now->used_inodes, (unsigned long long)from->inodes);
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  say (to, finding, "%s: %.0f %% of what was stored since %s is gone%s", name.text,
       100.0 * (double)(from->bytes - now->used_bytes) / (double)from->bytes, from->since,
       hardly  ? ", with hardly a file less (files emptied, or few big ones deleted)"
       : known ? ", with the files that held it"
               : "");
}

static bool
judge_critical (const struct thresholds *limit, const struct say *to, const struct guardd_structure *now,
                const struct fall *from)
{
  uint64_t floor = are_inodes_known (now, from) ? limit->emptied_bytes : limit->emptied_alone_bytes;
  if (fell (from->inodes, now->used_inodes, limit->critical_percent, limit->critical_inodes))
    say_inodes (to, now, from, GUARDD_LEVEL_CRITICAL, "mass-deletion");
  else if (fell (from->bytes, now->used_bytes, limit->bytes_critical_percent, floor))
    say_bytes (to, now, from, GUARDD_LEVEL_CRITICAL, "mass-emptying");
  else
    return false;
  return true;
}

/* Bytes enough for a warning: a part of a small filesystem, where any file is a large share. */
static uint64_t
many_bytes (const struct thresholds *limit, const struct guardd_structure *now)
{
  uint64_t part = now->total_bytes / EMPTIED_PART;
  uint64_t many = part < limit->emptied_warn_bytes ? part : limit->emptied_warn_bytes;
  return many > limit->emptied_bytes ? many : limit->emptied_bytes;
}

/* Where files were deleted their number is what says whether that is much, unless nearly all bytes went. */
static bool
judge_emptying (const struct thresholds *limit, const struct say *to, const struct guardd_structure *now,
                const struct fall *from, const char *rule, uint64_t percent)
{
  bool known = are_inodes_known (now, from);
  uint64_t most = known || percent > limit->emptied_alone_percent ? percent : limit->emptied_alone_percent;
  uint64_t own = say_relieved (to, rule, most), fast = say_relieved (to, "emptying", most);
  if (!fell (from->bytes, now->used_bytes, own > fast ? own : fast,
             known ? many_bytes (limit, now) : limit->emptied_alone_bytes)
      || (known && !hardly_a_file_less (now, from)))
    return false;
  say_bytes (to, now, from, GUARDD_LEVEL_WARN, rule);
  return true;
}

static bool
judge_deletion (const struct thresholds *limit, const struct say *to, const struct guardd_structure *now,
                const struct fall *from)
{
  if (!fell (from->inodes, now->used_inodes, say_relieved (to, "deletion", limit->warn_percent),
             limit->warn_inodes))
    return false;
  say_inodes (to, now, from, GUARDD_LEVEL_WARN, "deletion");
  return true;
}

/* Of what came within the last half hour.  Nearly all of a filesystem is never a build or an archive that
 * goes again: who wipes a guest that has just been restored is an intruder.  Files that held only bytes for a
 * while are not asked for. */
static bool
judge_young (const struct thresholds *limit, const struct say *to, const struct guardd_structure *now,
             const struct fall *from)
{
  bool known = are_inodes_known (now, from);
  uint64_t half = say_relieved (to, "deletion", limit->critical_percent);
  if (fell (from->inodes, now->used_inodes, ALL_PERCENT, limit->critical_inodes))
    say_inodes (to, now, from, GUARDD_LEVEL_CRITICAL, "mass-deletion");
  else if (!known && fell (from->bytes, now->used_bytes, ALL_PERCENT, limit->emptied_bytes))
    say_bytes (to, now, from, GUARDD_LEVEL_CRITICAL, "mass-emptying");
  else if (fell (from->inodes, now->used_inodes, half, limit->warn_inodes))
    say_inodes (to, now, from, GUARDD_LEVEL_WARN, "deletion");
  else
    return false;
  return true;
}

static bool
judge_slow (const struct thresholds *limit, const struct say *to, const struct guardd_structure *now,
            const struct fall *from, uint64_t percent)
{
  /* What is deleted at once is deleted within a day, too: who calls the one false means the other. */
  uint64_t slow = say_relieved (to, "slow-deletion", percent), fast = say_relieved (to, "deletion", percent);
  if (!fell (from->inodes, now->used_inodes, slow > fast ? slow : fast, limit->slow_inodes))
    return judge_emptying (limit, to, now, from, "slow-emptying", limit->slow_bytes_percent);
  say_inodes (to, now, from, GUARDD_LEVEL_WARN, "slow-deletion");
  return true;
}

/* Nothing is known of a peak of 0. */
static uint64_t
at_most (uint64_t value, uint64_t peak)
{
  return peak > 0 && peak < value ? peak : value;
}

static struct fall
fall_from_peak (const struct guardd_peak *peak, const char *since, const char *horizon)
{
  return (struct fall){ since, horizon, peak->used_inodes, peak->used_bytes };
}

void
judge_structure (const struct thresholds *limit, const struct say *to, uint32_t index)
{
  static const struct guardd_peak none[GUARDD_HORIZONS];
  const struct guardd_structure *now = &to->input->now->structures[index];
  const struct guardd_structure *before = say_find (to->input->before, now->kind, now->path);
  if (!say_is_filesystem (now) || before == NULL || !(now->flags & before->flags & GUARDD_STRUCTURE_COUNTED)
      || memcmp (now->uuid, before->uuid, sizeof now->uuid) != 0)
    return; /* another filesystem is the structure detector's */
  const struct guardd_peak *peaks = to->input->peaks ? to->input->peaks[index] : none;
  const struct fall hour = fall_from_peak (&peaks[GUARDD_HORIZON_HOUR], "an hour ago", "1h");
  const struct fall day = fall_from_peak (&peaks[GUARDD_HORIZON_DAY], "a day ago", "24h");
  const struct fall week = fall_from_peak (&peaks[GUARDD_HORIZON_WEEK], "a week ago", "7d");
  /* Of what was there last, what came just before is not missed. */
  const struct fall last
      = { "the last good snapshot", "last-good", at_most (before->used_inodes, hour.inodes),
          at_most (before->used_bytes, hour.bytes) };
  const struct fall young = { last.since, last.horizon, before->used_inodes, before->used_bytes };
  if (judge_critical (limit, to, now, &last) || judge_critical (limit, to, now, &hour)
      || judge_young (limit, to, now, &young) || judge_deletion (limit, to, now, &last)
      || judge_emptying (limit, to, now, &last, "emptying", limit->bytes_warn_percent)
      || judge_emptying (limit, to, now, &hour, "emptying", limit->bytes_warn_percent)
      || judge_slow (limit, to, now, &day, limit->day_percent))
    return;
  judge_slow (limit, to, now, &week, limit->week_percent);
}
