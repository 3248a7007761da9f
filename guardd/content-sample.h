/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * content-sample.h: some whole blocks of what a capture stores, copied while they pass, so that nobody has to
 * read them again to see what they are.
 *
 * Which blocks change is not known beforehand (a full read meets all of them, a dirty one may be zero), so
 * they are counted as they come: one is taken, at random, of each `stride` blocks, and when the sample is
 * full every other one goes and the stride doubles.  At random, since filesystems repeat themselves every
 * 128 MiB, and since nobody should know which ones are looked at.
 */
#pragma once

#include "buffer-stock.h"

#include <glib.h>

typedef struct ContentSample ContentSample;

/* At most so many blocks are kept: an even number.  Memory is taken when the first one comes.  The stock may
 * be NULL. */
ContentSample *content_sample_new (BufferStock *buffers, guint blocks_max);
void content_sample_free (ContentSample *sample); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ContentSample, content_sample_free)

/* Blocks first … first + count - 1 have this content; NULL: nobody has it in hand, and their numbers alone
 * are kept (for all blocks of a sample, or none).  From any thread; each block once. */
void content_sample_offer (ContentSample *sample, guint64 first, guint count, const guint8 *data);

/* --- once nothing is offered any more --- */
guint content_sample_length (const ContentSample *sample);
/* Each of them stands for so many. */
guint64 content_sample_stride (const ContentSample *sample);
/* The i-th in order of the disk; *number: of the block.  Borrowed; NULL: only its number was kept. */
const guint8 *content_sample_block (ContentSample *sample, guint i, guint64 *number);
