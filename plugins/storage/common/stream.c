/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GATHER_BYTES ((gsize)1 << 20)
#define GATHERS 4
/* As much as this is written from where it is, copying nothing. */
#define ENOUGH_BYTES (GATHER_BYTES / 4)
#define ALIGNMENT 4096

/* A stretch of the file. */
typedef struct {
  guint8 *bytes; /* GATHER_BYTES */
  guint64 offset;
  gsize length;
} Gather;

struct Stream {
  int fd;
  Gather gathers[GATHERS], last; /* last: ends the thread */
  Gather *filling;               /* NULL: none yet */
  GAsyncQueue *full, *idle;      /* Gather */
  GThread *thread;               /* writes; NULL: not started, or joined */
  gint failure, direct;          /* atomic; errno, bool */
};

static bool
set_direct (int fd, bool on)
{
  int flags = fcntl (fd, F_GETFL);
  return flags >= 0 && fcntl (fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

/* A filesystem may take the flag and refuse the write: open(2), "EINVAL".  0 or errno; any thread. */
static int
write_out (Stream *stream, guint64 offset, const guint8 *bytes, gsize length)
{
  for (gsize done = 0; done < length;) {
    ssize_t n = pwrite (stream->fd, bytes + done, length - done, (off_t)(offset + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == EINVAL && g_atomic_int_compare_and_exchange (&stream->direct, 1, 0)
        && set_direct (stream->fd, false))
      continue;
    if (n <= 0)
      return n < 0 ? errno : EIO;
    done += (gsize)n;
  }
  /* through the cache: start now, so that the last fsync() is short */
  if (!g_atomic_int_get (&stream->direct))
    sync_file_range (stream->fd, (off_t)offset, (off_t)length, SYNC_FILE_RANGE_WRITE);
  return 0;
}

static gpointer
stream_thread (gpointer data)
{
  Stream *stream = data;
  Gather *gather;
  while ((gather = g_async_queue_pop (stream->full)) != &stream->last) {
    int failure = g_atomic_int_get (&stream->failure)
                      ? 0
                      : write_out (stream, gather->offset, gather->bytes, gather->length);
    if (failure)
      g_atomic_int_set (&stream->failure, failure);
    g_async_queue_push (stream->idle, gather);
  }
  return NULL;
}

static void
stream_join (Stream *stream)
{
  if (stream->thread == NULL)
    return;
  g_async_queue_push (stream->full, &stream->last);
  g_thread_join (g_steal_pointer (&stream->thread));
}

Stream *
stream_new (int fd)
{
  Stream *stream = g_new0 (Stream, 1);
  stream->fd = fd;
  stream->direct = set_direct (fd, true);
  stream->full = g_async_queue_new ();
  stream->idle = g_async_queue_new ();
  for (guint i = 0; i < GATHERS; i++)
    g_async_queue_push (stream->idle, &stream->gathers[i]);
  return stream;
}

void
stream_free (Stream *stream)
{
  if (stream == NULL)
    return;
  g_atomic_int_compare_and_exchange (&stream->failure, 0, ECANCELED);
  stream_join (stream);
  for (guint i = 0; i < GATHERS; i++)
    free (stream->gathers[i].bytes);
  g_async_queue_unref (stream->full);
  g_async_queue_unref (stream->idle);
  g_free (stream);
}

static int
stream_result (Stream *stream)
{
  int failure = g_atomic_int_get (&stream->failure);
  if (failure == 0)
    return 0;
  errno = failure;
  return -1;
}

static void
stream_flush (Stream *stream)
{
  if (stream->filling == NULL)
    return;
  if (stream->thread == NULL)
    stream->thread = g_thread_new ("stream", stream_thread, stream);
  g_async_queue_push (stream->full, g_steal_pointer (&stream->filling));
}

/* Waits when all are still being written. */
static Gather *
stream_next (Stream *stream, guint64 offset)
{
  Gather *gather = g_async_queue_pop (stream->idle);
  gather->offset = offset;
  gather->length = 0;
  if (gather->bytes == NULL)
    gather->bytes = aligned_alloc (ALIGNMENT, GATHER_BYTES);
  if (gather->bytes == NULL) {
    g_async_queue_push (stream->idle, gather);
    errno = ENOMEM;
    return NULL;
  }
  return gather;
}

static int
gather_block (Stream *stream, guint64 offset, const guint8 *data)
{
  const Gather *open = stream->filling;
  if (open && (offset != open->offset + open->length || open->length == GATHER_BYTES))
    stream_flush (stream);
  if (stream->filling == NULL)
    stream->filling = stream_next (stream, offset);
  if (stream->filling == NULL)
    return -1;
  memcpy (stream->filling->bytes + stream->filling->length, data, GUARDD_BLOCK_SIZE);
  stream->filling->length += GUARDD_BLOCK_SIZE;
  return 0;
}

int
stream_put (Stream *stream, guint64 offset, const void *data, gsize length)
{
  if (stream_result (stream) < 0)
    return -1;
  if (length < ENOUGH_BYTES) {
    for (gsize done = 0; done < length; done += GUARDD_BLOCK_SIZE)
      if (gather_block (stream, offset + done, (const guint8 *)data + done) < 0)
        return -1;
    return 0;
  }
  int failure = write_out (stream, offset, data, length);
  if (failure == 0)
    return 0;
  g_atomic_int_set (&stream->failure, failure);
  errno = failure;
  return -1;
}

int
stream_finish (Stream *stream)
{
  stream_flush (stream);
  stream_join (stream);
  if (stream_result (stream) < 0)
    return -1;
  return stream->direct && !set_direct (stream->fd, false) ? -1 : 0;
}
