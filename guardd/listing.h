/* SPDX-License-Identifier: GPL-2.0-or-later */
/* listing.h: what the difference of two lists of files says of a guest.  Pure. */
#pragma once

#include "verdict.h"

/* difference: as docs/protocol.md's "diff" has it, from a process that is not trusted: a member that is
 * missing or of another type counts as nothing.  encrypting: the blocks look as if something were.  Findings
 * are added; their disk is "", and they last until the files are listed again. */
void listing_judge (json_object *difference, bool encrypting, GPtrArray *findings);
/* Of these, what speaks of encryption: names and content. */
void listing_judge_encrypted (json_object *difference, bool encrypting, GPtrArray *findings);
/* One sentence on what is gone; g_free(). */
char *listing_summary (json_object *difference);
/* What an alert has room for: the sums, and the first few of each list.  json_object_put(). */
json_object *listing_excerpt (json_object *difference);
