/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * place.h: what changed blocks belong to, by the filesystem's own maps.  Discarding what is free is
 * housekeeping; discarding what is in use is destruction: nothing else tells the two apart.
 */
#pragma once

#include "probe.h"
#include "wire.h"

/* Adds every run to seen->changed, those of a sample (all but what became zero) `factor` times.  before: the
 * disk in the snapshot before; its size may be 0. */
void place_runs (struct guardd_observation *seen, const struct probe_views *views, struct view_source *before,
                 const struct wire_run *runs, uint32_t n_runs, uint64_t factor);
