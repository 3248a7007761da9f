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
/* before's counterpart: the same kind at the same path; NULL: none. */
const struct guardd_structure *say_find (const struct guardd_observation *seen, uint32_t kind,
                                         const char *path);

/* finding's text is made from format; its size_of is set. */
void say (const struct say *say, struct guardd_finding finding, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));
