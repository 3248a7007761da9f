/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream.h: blocks on their way into an image's file: gathered to large writes that go past the page cache
 * where the filesystem lets them.  A snapshot is not read again soon; in the cache it would push out what the
 * host's guests need, and copying it there costs more than all else about a block.
 */
#pragma once

#include "instance.h"

typedef struct Stream Stream;

/* fd is borrowed, and stays open for reading and writing until stream_finish() or stream_free(). */
Stream *stream_new (int fd);
void stream_free (Stream *stream); /* drops what is still gathered; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Stream, stream_free)

/* Whole blocks at `offset`, a whole block's.  0, or -1 and errno: then of any block so far. */
int stream_put (Stream *stream, guint64 offset, const void *data, gsize length);
/* All is written (not durable), and fd goes through the page cache again.  0, or -1 and errno. */
int stream_finish (Stream *stream);
