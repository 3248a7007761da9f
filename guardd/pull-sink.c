/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pull-sink.h"

#include <string.h>

#define BLOCK GUARDD_BLOCK_SIZE

struct PullSink {
  const PullRequest *request;
  GAsyncQueue *todo, *done; /* PullChunk */
  GThread *thread;          /* NULL: not started, or joined */
  gint end, failed;         /* atomic: drop what is queued; error is set */
  PullChunk last;           /* wakes the thread up to end */
  /* the thread's, the caller's after pull_sink_finish() */
  EVP_MD_CTX *digest;
  EVP_MD *sha256;
  PullResult result;
  GError *error;
};

static bool
is_zero (const guint8 *data)
{
  return data[0] == 0 && memcmp (data, data + 1, BLOCK - 1) == 0;
}

static bool
hash_block (PullSink *sink, const guint8 *data, guint8 *hash)
{
  if (EVP_DigestInit_ex (sink->digest, sink->sha256, NULL) == 1
      && EVP_DigestUpdate (sink->digest, data, BLOCK) == 1
      && EVP_DigestFinal_ex (sink->digest, hash, NULL) == 1)
    return true;
  g_set_error (&sink->error, G_IO_ERROR, G_IO_ERROR_FAILED, "SHA-256 failed");
  return false;
}

static bool
put_block (PullSink *sink, guint64 number, const guint8 *data, const struct guardd_block *old)
{
  const PullRequest *request = sink->request;
  guint8 hash[GUARDD_HASH_SIZE];

  if (is_zero (data)) {
    /* a baseline is zero where nothing was written */
    if (old ? old->kind == GUARDD_BLOCK_ZERO : !request->bitmap)
      return true;
    sink->result.changed_bytes += BLOCK;
    return storage_image_zero (request->writer, number, 1, &sink->error);
  }
  if (!hash_block (sink, data, hash))
    return false;
  if (old && old->kind == GUARDD_BLOCK_DATA && memcmp (old->hash, hash, sizeof hash) == 0)
    return true;
  sink->result.changed_bytes += BLOCK;
  sink->result.stored_bytes += BLOCK;
  return storage_image_write (request->writer, number, data, hash, &sink->error);
}

static void
put_chunk (PullSink *sink, PullChunk *chunk)
{
  const PullRequest *request = sink->request;
  struct guardd_block old[PULL_READ_BLOCKS];
  guint64 first = chunk->offset / BLOCK;
  guint64 count = (chunk->length + BLOCK - 1) / BLOCK;
  bool compare = request->parent && !request->bitmap;

  sink->result.read_bytes += chunk->length;
  if (chunk->length % BLOCK)
    memset (chunk->data + chunk->length, 0, BLOCK - chunk->length % BLOCK);
  if (compare && !storage_image_blocks (request->parent, first, count, old, &sink->error))
    return;
  for (guint64 i = 0; i < count; i++)
    if (!put_block (sink, first + i, chunk->data + i * BLOCK, compare ? &old[i] : NULL))
      return;
}

/* After an error chunks only pass through. */
static gpointer
sink_thread (gpointer data)
{
  PullSink *sink = data;
  PullChunk *chunk;

  while ((chunk = g_async_queue_pop (sink->todo)) != &sink->last) {
    if (!sink->error && !g_atomic_int_get (&sink->end))
      put_chunk (sink, chunk);
    if (sink->error)
      g_atomic_int_set (&sink->failed, 1);
    g_async_queue_push (sink->done, chunk);
  }
  return NULL;
}

static void
sink_join (PullSink *sink)
{
  if (!sink->thread)
    return;
  g_async_queue_push (sink->todo, &sink->last);
  g_thread_join (g_steal_pointer (&sink->thread));
}

PullSink *
pull_sink_new (const PullRequest *request, GError **error)
{
  g_autoptr (PullSink) sink = g_new0 (PullSink, 1);

  sink->request = request;
  sink->todo = g_async_queue_new ();
  sink->done = g_async_queue_new ();
  sink->sha256 = EVP_MD_fetch (NULL, "SHA256", NULL);
  sink->digest = EVP_MD_CTX_new ();
  if (sink->sha256 && sink->digest)
    return g_steal_pointer (&sink);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "OpenSSL has no SHA-256");
  return NULL;
}

void
pull_sink_free (PullSink *sink)
{
  if (!sink)
    return;
  g_atomic_int_set (&sink->end, 1);
  sink_join (sink);
  g_async_queue_unref (sink->todo);
  g_async_queue_unref (sink->done);
  EVP_MD_CTX_free (sink->digest);
  EVP_MD_free (sink->sha256);
  g_clear_error (&sink->error);
  g_free (sink);
}

void
pull_sink_put (PullSink *sink, PullChunk *chunk)
{
  if (!sink->thread)
    sink->thread = g_thread_new ("sink", sink_thread, sink);
  g_async_queue_push (sink->todo, chunk);
}

PullChunk *
pull_sink_take (PullSink *sink, guint64 timeout_us)
{
  return timeout_us ? g_async_queue_timeout_pop (sink->done, timeout_us) : g_async_queue_try_pop (sink->done);
}

bool
pull_sink_failed (PullSink *sink)
{
  return g_atomic_int_get (&sink->failed);
}

bool
pull_sink_finish (PullSink *sink, PullResult *result, GError **error)
{
  sink_join (sink);
  if (sink->error) {
    g_propagate_error (error, g_steal_pointer (&sink->error));
    return false;
  }
  *result = sink->result;
  return true;
}
