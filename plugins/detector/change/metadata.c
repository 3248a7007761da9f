/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A filesystem's own tables, zeroed or overwritten: it never does that, so any of it is too much. */
#include "change.h"

static void
judge_ruined (const struct say *to, struct guardd_finding finding)
{
  for (unsigned i = 0; i < GUARDD_CHANGE_CLASSES; i++)
    finding.seen += (double)to->input->now->changed[i][GUARDD_PLACE_RUINED];
  if (finding.seen <= 0)
    return;
  finding.rule = "metadata-overwritten";
  say (to, finding,
       "disk %s: %.0f KiB of a filesystem's own tables (inodes, directories, records of files) were "
       "overwritten "
       "with what is none; not files within them, however random: what stands around those is gone as well",
       to->input->disk, finding.seen / 1024);
}

void
judge_metadata (const struct say *to, const struct say_considered *considered)
{
  double zeroed = zeroed_in (to->input->now->changed, GUARDD_PLACE_METADATA);
  struct guardd_finding finding = { .level = GUARDD_LEVEL_CRITICAL,
                                    .structure = "",
                                    .slow = slow_of (to),
                                    .unit = "bytes",
                                    .horizon = "last-good" };
  judge_ruined (to, finding);
  if (zeroed <= 0)
    return;
  finding.rule = "metadata-zeroed";
  finding.seen = zeroed;
  finding.considered = considered->sentences;
  finding.n_considered = considered->n;
  say (to, finding,
       "disk %s: %.0f KiB of a filesystem's own tables were zeroed or discarded; it never does that",
       to->input->disk, zeroed / 1024);
}
