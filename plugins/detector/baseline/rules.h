/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rules.h: the rules of the baseline detector. */
#pragma once

#include "../say.h"

struct thresholds {
  uint64_t settle_days;   /* before that nothing is unusual */
  uint64_t samples;       /* of an hour of the week, before it is compared with itself */
  uint64_t spreads;       /* from the median: from here on a family counts */
  uint64_t score_percent; /* of all families together */
  /* What a spread is at least: less than this means nothing on any guest. */
  uint64_t changed_bytes, zeroed_bytes, lost_inodes, lost_bytes, risen_bytes;
  uint64_t steady_percent, steady_inodes; /* lost while the sum of small losses ran */
};

bool history_is_settled (const struct thresholds *limit, const struct guardd_history *history);
void judge_unusual (const struct thresholds *limit, const struct say *to);
void judge_steady (const struct thresholds *limit, const struct say *to);
