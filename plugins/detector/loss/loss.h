/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loss.h: the rules of the loss detector.  ../README.md has them, their thresholds and where those come from.
 */
#pragma once

#include "../say.h"

struct thresholds {
  uint64_t critical_percent,
      critical_inodes; /* against before and an hour; Veeam's guest index scan: 50 %, 100 */
  uint64_t warn_percent, warn_inodes;
  uint64_t day_percent, week_percent, slow_inodes;     /* slow: total within a day, a week */
  uint64_t bytes_warn_percent, bytes_critical_percent; /* warn: with hardly an inode less */
  uint64_t slow_bytes_percent;                         /* within a day or a week */
  uint64_t emptied_bytes;
  uint64_t
      emptied_warn_bytes; /* or a part of a smaller filesystem: there, any temporary file is a third of all */
  /* Where no files can be counted, bytes are all that tells of their deletion; but a balance of btrfs has for
   * a while what it moves twice. */
  uint64_t emptied_alone_percent, emptied_alone_bytes;
};

/* What the structure with this index has no longer: one finding at most, the worst. */
void judge_structure (const struct thresholds *limit, const struct say *to, uint32_t index);
