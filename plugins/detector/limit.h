/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit.h: the thresholds of a detector as data: a [detector] of guardd.conf sets them.  One that is unknown
 * or out of bounds is refused, saying what is accepted.
 */
#pragma once

#include <guardd/detector.h>

struct limit {
  const char *key; /* "warn_percent"; ends in its unit */
  size_t offset;   /* of its uint64_t in the detector's own struct */
  uint64_t usual, least, most;
};

#define LIMIT_PERCENT 1, 100
#define LIMIT_FILES 1, 1000000000
#define LIMIT_BYTES 4096, (uint64_t)1 << 50 /* may be written as 64M */

/* A struct of `size` bytes with all of `limits` (ended by a NULL key) set; free() it.  Fails as open() does.
 */
int limits_open (const struct guardd_call *call, const char *detector, const struct limit *limits,
                 size_t size, const struct guardd_param *params, size_t n_params, void **instance);
