/* SPDX-License-Identifier: GPL-2.0-or-later */
/* say.h: how the detectors of this tree report. */
#pragma once

#include <guardd/detector.h>
#include <stdbool.h>

struct say {
  const struct guardd_judge_input *input;
  void (*report) (void *opaque, const struct guardd_finding *finding);
  void *opaque;
  const void *instance; /* the detector's thresholds */
};

/* "ext filesystem vda/p1" */
struct say_name {
  char text[128];
};
struct say_name say_name (const struct say *say, const struct guardd_structure *is);
bool say_is_filesystem (const struct guardd_structure *is);
/* Why nothing inside of it can be seen (GUARDD_STRUCTURE_OPAQUE). */
const char *say_opaque (const struct guardd_structure *is);
/* before's counterpart: the same kind at the same path; NULL: none. */
const struct guardd_structure *say_find (const struct guardd_observation *seen, uint32_t kind,
                                         const char *path);

/* Benign explanations that were tested and rejected; what does not fit is left out. */
#define SAY_CONSIDERED_MAX 6u
struct say_considered {
  const char *sentences[SAY_CONSIDERED_MAX];
  char text[SAY_CONSIDERED_MAX][256];
  uint32_t n;
};
void say_considered (struct say_considered *considered, const char *format, ...)
    __attribute__ ((format (printf, 2, 3)));

/* A threshold of a soft rule on this guest: higher where people said that it was wrong. */
uint64_t say_relieved (const struct say *say, const char *rule, uint64_t percent);

/* finding's text is made from format; its size_of is set. */
void say (const struct say *say, struct guardd_finding finding, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

struct say_blindness {
  const struct guardd_judge_input *input;
  void (*report) (void *opaque, const struct guardd_blind *blind);
  void *opaque;
};
void say_blind (const struct say_blindness *to, const char *rules, const char *structure, bool late,
                const char *format, ...) __attribute__ ((format (printf, 5, 6)));
