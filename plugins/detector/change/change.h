/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * change.h: the rules of the change detector.  ../README.md has them, their thresholds and where those come
 * from.
 */
#pragma once

#include "../say.h"

#include <stdbool.h>

#define MIB (1024u * 1024)

struct thresholds {
  uint64_t zeroed_bytes,
      zeroed_percent;           /* zeroed in place, in use before and after; percent of what is in use */
  uint64_t zeroed_enough_bytes; /* so much is, whatever the percentage */
  uint64_t encrypted_bytes, encrypted_percent;   /* critical */
  uint64_t suspicious_bytes, suspicious_percent; /* warn */
  /* Where maps are late, a file that was deleted may have been what was overwritten: a warning at most. */
  uint64_t late_zeroed_bytes, late_zeroed_percent; /* as much as would be worth one if it was deleted first */
  uint64_t late_encrypted_bytes;
  uint64_t exchanged_files, exchanged_many_files; /* encrypted into new ones: warn; critical */
};

typedef const uint64_t (*changes)[GUARDD_PLACES];

/* Where what was found began: in any of the last minutes' snapshots, where those are remembered. */
int slow_of (const struct say *to);

/* Bytes that became zero, or a few bytes over and over. */
double zeroed_in (changes of, enum guardd_change_place place);

/* What is in use was zeroed or discarded. */
void judge_zeroed (const struct thresholds *limit, const struct say *to);

/* A filesystem's own tables were zeroed or overwritten. */
void judge_metadata (const struct say *to, const struct say_considered *considered);

/* What was overwritten in place became random, or partly so.  Returns whether something was found. */
bool judge_encrypted (const struct thresholds *limit, const struct say *to, changes of);

/* Encrypted into new files, the old ones deleted. */
void judge_exchanged (const struct thresholds *limit, const struct say *to,
                      const struct guardd_exchange *exchange);

/* Whether most of what changes on this disk looked random before: then little can become so.  *percent: how
 * much of what was sampled lately. */
bool is_random_already (const struct guardd_history *history, double *percent);
