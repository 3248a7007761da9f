/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pull-sink.h"

#include <string.h>

#define BLOCK GUARDD_BLOCK_SIZE

#define THREADS 2u

struct PullSink {
  const PullRequest *request;
  GAsyncQueue *todo, *done;  /* PullChunk */
  GThread *threads[THREADS]; /* NULL: not started, or joined */
  gint end, failed;          /* atomic: drop what is queued; error is set */
  PullChunk last[THREADS];   /* wake the threads up to end */
  EVP_MD *sha256;
  GMutex lock; /* the request's writer and parent, and: */
  PullResult result;
  GError *error;
};

/* What a thread knows of a block of its chunk before it takes the lock. */
typedef struct {
  bool zero;
  bool stored; /* under the lock */
  guint8 hash[GUARDD_HASH_SIZE];
} Content;

static bool
is_zero (const guint8 *data)
{
  return data[0] == 0 && memcmp (data, data + 1, BLOCK - 1) == 0;
}

static bool
read_content (EVP_MD_CTX *digest, const EVP_MD *sha256, const guint8 *data, Content *content)
{
  content->stored = false;
  content->zero = is_zero (data);
  return content->zero
         || (EVP_DigestInit_ex (digest, sha256, NULL) == 1 && EVP_DigestUpdate (digest, data, BLOCK) == 1
             && EVP_DigestFinal_ex (digest, content->hash, NULL) == 1);
}

/* The number of blocks of the chunk, or 0. */
static guint
read_chunk (PullSink *sink, EVP_MD_CTX *digest, PullChunk *chunk, Content *contents)
{
  guint count = (guint)((chunk->length + BLOCK - 1) / BLOCK);

  if (chunk->length % BLOCK)
    memset (chunk->data + chunk->length, 0, BLOCK - chunk->length % BLOCK);
  for (guint i = 0; i < count; i++)
    if (!read_content (digest, sink->sha256, chunk->data + i * BLOCK, &contents[i]))
      return 0;
  return count;
}

typedef enum {
  KEEP, /* as in the parent */
  ZERO,
  STORE
} Fate;

static Fate
block_fate (const PullRequest *request, const Content *content, const struct guardd_block *old)
{
  /* a baseline is zero where nothing was written */
  if (content->zero)
    return (old ? old->kind == GUARDD_BLOCK_ZERO : !request->bitmap) ? KEEP : ZERO;
  bool same
      = old && old->kind == GUARDD_BLOCK_DATA && memcmp (old->hash, content->hash, GUARDD_HASH_SIZE) == 0;
  return same ? KEEP : STORE;
}

/* Blocks first … first + count - 1, all of one fate. */
static bool
put_run (PullSink *sink, Fate fate, guint64 first, guint count, const guint8 *data, Content *contents)
{
  guint8 hashes[PULL_READ_BLOCKS * GUARDD_HASH_SIZE];

  if (fate == KEEP)
    return true;
  sink->result.changed_bytes += (guint64)count * BLOCK;
  if (fate == ZERO)
    return storage_image_zero (sink->request->writer, first, count, &sink->error);
  sink->result.stored_bytes += (guint64)count * BLOCK;
  for (guint i = 0; i < count; i++) {
    memcpy (hashes + (gsize)i * GUARDD_HASH_SIZE, contents[i].hash, GUARDD_HASH_SIZE);
    contents[i].stored = true;
  }
  return storage_image_write (sink->request->writer, first, count, data, hashes, &sink->error);
}

/* What the parent has there; beyond its end, after the disk has grown, that is nothing. */
static bool
read_parent (PullSink *sink, guint64 first, guint count, struct guardd_block *old)
{
  StorageReader *parent = sink->request->parent;
  guint64 blocks = (storage_image_size (parent) + BLOCK - 1) / BLOCK;
  guint known = first < blocks ? (guint)MIN (count, blocks - first) : 0;

  memset (old + known, 0, (count - known) * sizeof *old);
  return known == 0 || storage_image_blocks (parent, first, known, old, &sink->error);
}

static bool
put_chunk (PullSink *sink, const PullChunk *chunk, Content *contents, guint count)
{
  const PullRequest *request = sink->request;
  struct guardd_block old[PULL_READ_BLOCKS];
  guint64 first = chunk->offset / BLOCK;
  bool compare = request->parent && !request->bitmap;

  if (count == 0) {
    g_set_error (&sink->error, G_IO_ERROR, G_IO_ERROR_FAILED, "SHA-256 failed");
    return false;
  }
  sink->result.read_bytes += chunk->length;
  if (compare && !read_parent (sink, first, count, old))
    return false;
  for (guint at = 0; at < count;) {
    Fate fate = block_fate (request, &contents[at], compare ? &old[at] : NULL);
    guint end = at + 1;

    while (end < count && block_fate (request, &contents[end], compare ? &old[end] : NULL) == fate)
      end++;
    if (!put_run (sink, fate, first + at, end - at, chunk->data + (gsize)at * BLOCK, &contents[at]))
      return false;
    at = end;
  }
  return true;
}

/* After the lock: copying holds up no writing. */
static void
offer_stored (const PullSink *sink, const PullChunk *chunk, const Content *contents, guint count)
{
  for (guint at = 0, end; at < count; at = end) {
    for (end = at; end < count && contents[end].stored; end++)
      ;
    if (end > at)
      content_sample_offer (sink->request->sample, chunk->offset / BLOCK + at, end - at,
                            chunk->data + (gsize)at * BLOCK);
    else
      end++;
  }
}

static void
take_in (PullSink *sink, EVP_MD_CTX *digest, PullChunk *chunk)
{
  Content contents[PULL_READ_BLOCKS];
  guint count = read_chunk (sink, digest, chunk, contents);

  g_mutex_lock (&sink->lock);
  if (!sink->error && !put_chunk (sink, chunk, contents, count))
    g_atomic_int_set (&sink->failed, 1);
  g_mutex_unlock (&sink->lock);
  if (sink->request->sample)
    offer_stored (sink, chunk, contents, count);
}

/* After an error chunks only pass through. */
static gpointer
sink_thread (gpointer data)
{
  PullSink *sink = data;
  EVP_MD_CTX *digest = EVP_MD_CTX_new ();
  PullChunk *chunk;

  while ((chunk = g_async_queue_pop (sink->todo))->data) {
    if (!g_atomic_int_get (&sink->failed) && !g_atomic_int_get (&sink->end))
      take_in (sink, digest, chunk);
    g_async_queue_push (sink->done, chunk);
  }
  EVP_MD_CTX_free (digest);
  return NULL;
}

static void
sink_join (PullSink *sink)
{
  for (guint i = 0; i < THREADS; i++)
    if (sink->threads[i])
      g_async_queue_push (sink->todo, &sink->last[i]);
  for (guint i = 0; i < THREADS; i++)
    if (sink->threads[i])
      g_thread_join (g_steal_pointer (&sink->threads[i]));
}

PullSink *
pull_sink_new (const PullRequest *request, GError **error)
{
  g_autoptr (PullSink) sink = g_new0 (PullSink, 1);

  sink->request = request;
  sink->todo = g_async_queue_new ();
  sink->done = g_async_queue_new ();
  sink->sha256 = EVP_MD_fetch (NULL, "SHA256", NULL);
  g_mutex_init (&sink->lock);
  if (sink->sha256)
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
  EVP_MD_free (sink->sha256);
  g_clear_error (&sink->error);
  g_mutex_clear (&sink->lock);
  g_free (sink);
}

void
pull_sink_put (PullSink *sink, PullChunk *chunk)
{
  for (guint i = 0; i < THREADS && !sink->threads[THREADS - 1]; i++)
    sink->threads[i] = g_thread_new ("sink", sink_thread, sink);
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
