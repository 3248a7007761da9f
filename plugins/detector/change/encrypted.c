/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Content that became random: overwritten in place. */
#include "change.h"

#define RANDOM_FLOOR (16.0 * MIB)
#define RANDOM_PERCENT 80 /* NetApp marks such a workload as unsuitable */

bool
is_random_already (const struct guardd_history *history, double *percent)
{
  *percent = history && history->sampled_bytes > 0 ? 100 * history->high_bytes / history->sampled_bytes : 0;
  return history && history->sampled_bytes >= RANDOM_FLOOR && *percent >= RANDOM_PERCENT;
}

/* What was overwritten in place: for certain, or as far as maps say that come late.  Sums that a lying
 * sentinel cannot make overflow. */
struct overwritten {
  double all, high, mid;
};

static struct overwritten
sum (changes of, enum guardd_change_place place)
{
  struct overwritten is = { .high = (double)of[GUARDD_CHANGE_LOW_TO_HIGH][place],
                            .mid = (double)of[GUARDD_CHANGE_LOW_TO_MID][place] };
  for (unsigned i = 0; i < GUARDD_CHANGE_CLASSES; i++)
    is.all += (double)of[i][place];
  return is;
}

static bool
is_share (double part, double all, uint64_t floor, uint64_t percent)
{
  return part > 0 && part >= (double)floor && part >= all / 100 * (double)percent;
}

static void
consider (const struct say *to, double kept, const uint64_t places[GUARDD_PLACES],
          struct say_considered *considered)
{
  double percent;
  say_considered (
      considered,
      "not compression or a backup, which write into free space: %.0f MiB of it lie where files were and "
      "are, %llu MiB where there is, or was, free space",
      kept / MIB, (unsigned long long)((places[GUARDD_PLACE_FREE] + places[GUARDD_PLACE_NEW]) / MIB));
  if (to->input->history && to->input->history->sampled_bytes > 0) {
    is_random_already (to->input->history, &percent);
    say_considered (considered,
                    "not a disk full of compressed or encrypted files: %.0f %% of what was sampled lately "
                    "was random before",
                    percent);
  }
}

static void
say_encrypted (const struct say *to, struct guardd_finding finding, const struct overwritten *is,
               bool certain)
{
  finding.rule = "encryption";
  finding.seen = 100.0 * is->high / is->all;
  say (to, finding,
       "disk %s: %.0f MiB of ordinary content were overwritten in place%s with what looks encrypted (%.0f %% "
       "of what was overwritten; not compression: that writes new files into free space)",
       to->input->disk, is->high / MIB, certain ? "" : ", as far as the filesystem's maps say yet,",
       finding.seen);
}

static void
say_partly (const struct say *to, struct guardd_finding finding, const struct overwritten *is)
{
  finding.rule = "partial-encryption";
  finding.seen = 100.0 * is->mid / is->all;
  say (to, finding,
       "disk %s: entropy rose by 1.5 bits a byte or more in %.0f MiB that were overwritten in place: as when "
       "every few bytes are encrypted",
       to->input->disk, is->mid / MIB);
}

/* Warnings: not on a disk whose content is random anyway, and relieved by false positives. */
static bool
judge_suspicious (const struct thresholds *limit, const struct say *to, struct guardd_finding finding,
                  changes of)
{
  struct overwritten kept = sum (of, GUARDD_PLACE_KEPT), late = sum (of, GUARDD_PLACE_LATE);
  uint64_t full = say_relieved (to, "encryption", limit->suspicious_percent);
  uint64_t late_full = say_relieved (to, "encryption", limit->encrypted_percent);
  uint64_t partial = say_relieved (to, "partial-encryption", limit->suspicious_percent);
  struct say_considered considered = { .n = 0 };
  bool encrypted = is_share (kept.high, kept.all, limit->suspicious_bytes, full);
  bool encrypted_late = is_share (late.high, late.all, limit->late_encrypted_bytes, late_full);
  finding.level = GUARDD_LEVEL_WARN;
  finding.soft = 1;
  finding.considered = considered.sentences;
  if (encrypted || encrypted_late) {
    if (encrypted)
      consider (to, kept.high, of[GUARDD_CHANGE_LOW_TO_HIGH], &considered);
    finding.n_considered = considered.n;
    finding.expected = (double)(encrypted ? full : late_full);
    say_encrypted (to, finding, encrypted ? &kept : &late, encrypted);
    return true;
  }
  if (kept.mid + kept.high < (double)limit->suspicious_bytes || !is_share (kept.mid, kept.all, 0, partial))
    return false;
  consider (to, kept.mid, of[GUARDD_CHANGE_LOW_TO_MID], &considered);
  finding.n_considered = considered.n;
  finding.expected = (double)partial;
  say_partly (to, finding, &kept);
  return true;
}

bool
judge_encrypted (const struct thresholds *limit, const struct say *to, changes of)
{
  struct overwritten kept = sum (of, GUARDD_PLACE_KEPT);
  struct guardd_finding finding = { .structure = "",
                                    .slow = slow_of (to),
                                    .unit = "percent of what was overwritten in place",
                                    .horizon = "last-good" };
  double percent;
  if (!is_share (kept.high, kept.all, limit->encrypted_bytes, limit->encrypted_percent))
    return !is_random_already (to->input->history, &percent) && judge_suspicious (limit, to, finding, of);
  struct say_considered considered = { .n = 0 };
  consider (to, kept.high, of[GUARDD_CHANGE_LOW_TO_HIGH], &considered);
  finding.level = GUARDD_LEVEL_CRITICAL;
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  finding.expected = (double)limit->encrypted_percent;
  say_encrypted (to, finding, &kept, true);
  return true;
}
