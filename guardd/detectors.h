/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * detectors.h: all detector plugins that are installed.
 * Threads: detectors_judge() may be called from any, after detectors_open() has returned.
 */
#pragma once

#include "blind.h"
#include "config.h"
#include "verdict.h"

typedef struct Detectors Detectors;

/* Loads every detector-*.so with the parameters of its section of guardd.conf (settings: ConfigDetector). One
 * without a section that cannot be used is left out with a warning; what a section says and the plugin does
 * not accept is an error that names file and line. */
Detectors *detectors_open (const char *plugin_dir, const GPtrArray *settings, GError **error);
void detectors_close (Detectors *detectors); /* NULL is fine */
guint detectors_count (const Detectors *detectors);
/* Adds what they find to `findings`.  One that fails is a finding ("blind"). */
void detectors_judge (const Detectors *detectors, const struct guardd_judge_input *input,
                      GPtrArray *findings);
/* Adds which rules are blind on this disk to `spots` (BlindSpot). */
void detectors_find_blind (const Detectors *detectors, const struct guardd_judge_input *input,
                           GPtrArray *spots);
