/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buffer-stock.h: memory for disks' content, of which some stays mapped for the next who needs it.
 *
 * To clear 8 MiB of new pages takes a millisecond or two, and longer where guardd's host is itself a guest
 * that gives free pages back.  What is in a buffer is what its last user left there.
 * Threads: any.
 */
#pragma once

#include <glib.h>

#define BUFFER_STOCK_BYTES ((size_t)8 << 20)

typedef struct BufferStock BufferStock;

/* keep: how many unused buffers at most. */
BufferStock *buffer_stock_new (guint keep);
BufferStock *buffer_stock_ref (BufferStock *stock); /* NULL is fine, here and below: nothing is kept */
/* The last frees what is kept. */
void buffer_stock_unref (BufferStock *stock);

/* `bytes` of memory, aligned to pages; only those of BUFFER_STOCK_BYTES are kept.  NULL: there is none. */
guint8 *buffer_stock_take (BufferStock *stock, size_t bytes);
/* Takes over what was taken with these bytes; NULL is fine. */
void buffer_stock_give (BufferStock *stock, guint8 *buffer, size_t bytes);
