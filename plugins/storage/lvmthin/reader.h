/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reader.h: image_open … image_diff and image_verify of the storage contract.  What a block is, the indexes
 * say; the volume is activated when content is first asked for.
 */
#pragma once

#include "instance.h"

int reader_open (void *instance, const struct guardd_call *call, const char *directory, const char *disk,
                 void **reader);
void reader_release (void *reader);
uint64_t reader_size (void *reader);
int reader_read (void *reader, const struct guardd_call *call, uint64_t offset, void *data, size_t len);
int reader_blocks (void *reader, const struct guardd_call *call, uint64_t first, uint64_t count,
                   struct guardd_block *blocks);
int reader_next_data (void *reader, const struct guardd_call *call, uint64_t from, uint64_t *first,
                      uint64_t *count);
int reader_diff (void *from, void *to, const struct guardd_call *call,
                 int (*each) (void *opaque, const struct guardd_block *block), void *opaque);
int reader_verify (void *instance, const struct guardd_call *call, const char *directory, const char *disk,
                   const uint8_t *index_hash);
