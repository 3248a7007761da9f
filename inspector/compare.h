/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compare.h: what is gone between two inventories of a guest.
 *
 * One pass over both, bounded memory: a million files are no more than their inventories' length in time.
 */
#pragma once

#include <stdbool.h>
#include <zlib.h>

/* Writes the difference as docs/protocol.md's "diff" has it to the descriptor `out`.  False with a message on
 * stderr. */
bool compare_inventories (gzFile older, gzFile newer, int out);
