/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * detectors.h: all detector plugins that are installed.
 * Threads: detectors_judge() may be called from any, after detectors_open() has returned.
 */
#pragma once

#include "verdict.h"

typedef struct Detectors Detectors;

/* Loads every detector-*.so; one that cannot be used is left out with a warning. */
Detectors *detectors_open (const char *plugin_dir);
void detectors_close (Detectors *detectors); /* NULL is fine */
guint detectors_count (const Detectors *detectors);
/* Adds what they find to `findings`.  One that fails is a finding ("blind"). */
void detectors_judge (const Detectors *detectors, const struct guardd_judge_input *input,
                      GPtrArray *findings);
