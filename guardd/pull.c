/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pull-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 20

bool
pull_fail (Pull *pull, const char *what)
{
  if (!pull->error)
    pull->error = g_error_new (G_IO_ERROR, G_IO_ERROR_FAILED, "NBD: %s: %s", what, nbd_get_error ());
  return false;
}

static bool
pull_may_go_on (Pull *pull)
{
  const PullRequest *request = &pull->request;

  return !pull->error && !g_cancellable_set_error_if_cancelled (request->cancellable, &pull->error)
         && (!request->guard || request->guard (request->opaque, &pull->error));
}

bool
pull_turn (Pull *pull, gint64 *since, guint64 *seen)
{
  const PullRequest *request = &pull->request;

  if (!pull_may_go_on (pull))
    return false;
  if (nbd_poll (pull->nbd, POLL_MS) < 0)
    return pull_fail (pull, "connection");
  if (pull->refused && !pull->error)
    g_set_error (&pull->error, G_IO_ERROR, g_io_error_from_errno (pull->refused),
                 "NBD: the server refused: %s", g_strerror (pull->refused));
  if (nbd_aio_is_dead (pull->nbd) || nbd_aio_is_closed (pull->nbd)) {
    g_set_error (&pull->error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED,
                 "NBD: the server closed the connection (did the guest power off?)");
    return false;
  }
  if (*seen != pull->seen) {
    *seen = pull->seen;
    *since = g_get_monotonic_time ();
  } else if (g_get_monotonic_time () - *since > (gint64)request->stall_us) {
    g_set_error (&pull->error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "NBD: the server has been silent for %u s",
                 (guint)(request->stall_us / G_USEC_PER_SEC));
    return false;
  }
  return !pull->error;
}

static bool
pull_connect (Pull *pull)
{
  const PullRequest *request = &pull->request;
  gint64 since = g_get_monotonic_time (), size;
  guint64 seen = 0;

  pull->nbd = nbd_create ();
  if (!pull->nbd || nbd_set_export_name (pull->nbd, request->export) < 0
      || nbd_add_meta_context (pull->nbd, pull->context) < 0
      || (pull->zero && nbd_add_meta_context (pull->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0)
      || nbd_set_pread_initialize (pull->nbd, false) < 0 /* on_read() takes only what is complete */) {
    close (request->socket);
    return pull_fail (pull, "set-up");
  }
  if (nbd_aio_connect_socket (pull->nbd, request->socket) < 0)
    return pull_fail (pull, "connect");
  while (nbd_aio_is_connecting (pull->nbd))
    if (!pull_turn (pull, &since, &seen))
      return false;
  if (!nbd_aio_is_ready (pull->nbd))
    return pull_fail (pull, "handshake");
  size = nbd_get_size (pull->nbd);
  if (size < 0 || (guint64)size != request->size) {
    g_set_error (&pull->error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                 "NBD: the export has %" G_GINT64_FORMAT " bytes, the disk %" G_GUINT64_FORMAT, size,
                 request->size);
    return false;
  }
  if (nbd_can_meta_context (pull->nbd, pull->context) != 1) {
    g_set_error (&pull->error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "NBD: the server does not offer %s",
                 pull->context);
    return false;
  }
  return true;
}

/* libnbd does not mind an answer that leaves bytes out.  QEMU's pieces are in order and without gaps
 * (nbd_co_send_sparse_read()); from anybody else only such are taken. */
static int
on_chunk (void *opaque, const void *data, size_t length, uint64_t offset, unsigned int status, int *error)
{
  PullRead *slot = opaque;

  if (status != LIBNBD_READ_ERROR && offset == slot->chunk.offset + slot->covered)
    slot->covered += length;
  return 0;
}

static int
on_read (void *opaque, int *error)
{
  PullRead *slot = opaque;
  Pull *pull = slot->pull;

  pull->busy--;
  pull->seen++;
  if (!*error && !pull->error && slot->covered != slot->chunk.length)
    g_set_error (&pull->error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                 "NBD: the server gave %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                 " bytes at %" G_GUINT64_FORMAT,
                 slot->covered, slot->chunk.length, slot->chunk.offset);
  if (*error || pull->error) {
    slot->busy = false;
    if (*error)
      pull->refused = *error;
  } else {
    pull->sinking++;
    pull_sink_put (pull->sink, &slot->chunk);
  }
  return 1;
}

static bool
send_read (PullRead *slot, guint64 offset, guint64 length)
{
  slot->chunk.offset = offset;
  slot->chunk.length = length;
  slot->covered = 0;
  if (nbd_aio_pread_structured (slot->pull->nbd, slot->chunk.data, length, offset,
                                (nbd_chunk_callback){ .callback = on_chunk, .user_data = slot },
                                (nbd_completion_callback){ .callback = on_read, .user_data = slot }, 0)
      < 0)
    return pull_fail (slot->pull, "read");
  slot->busy = true;
  slot->pull->busy++;
  return true;
}

/* Slots that the sink has done with; waits for one when nothing else is under way. */
static void
take_back (Pull *pull)
{
  guint64 wait = pull->busy == 0 && pull->sinking == PULL_IN_FLIGHT ? POLL_MS * 1000 : 0;
  PullChunk *chunk;

  while (pull->sinking > 0 && (chunk = pull_sink_take (pull->sink, wait)) != NULL) {
    ((PullRead *)chunk)->busy = false;
    pull->sinking--;
    pull->seen++;
    wait = 0;
  }
}

/* Sends as many reads as there are free slots; *index and *at: the extent and the byte that come next. */
static bool
send_reads (Pull *pull, guint *index, guint64 *at)
{
  for (guint i = 0; i < PULL_IN_FLIGHT && *index < pull->extents->len; i++) {
    const PullExtent *extent = &g_array_index (pull->extents, PullExtent, *index);
    guint64 end = MIN (extent->end, pull->request.size), length;

    if (pull->reads[i].busy)
      continue;
    *at = MAX (*at, extent->start);
    length = MIN (PULL_READ_BYTES, end - *at);
    if (!send_read (&pull->reads[i], *at, length))
      return false;
    *at += length;
    if (*at >= end)
      ++*index;
  }
  return true;
}

static bool
pull_bytes (Pull *pull)
{
  gint64 since = g_get_monotonic_time ();
  guint64 seen = pull->seen, at = 0;
  guint index = 0;

  while (index < pull->extents->len || pull->busy) {
    take_back (pull);
    if (pull_sink_failed (pull->sink))
      break;
    if (!send_reads (pull, &index, &at)
        || !(pull->busy ? pull_turn (pull, &since, &seen) : pull_may_go_on (pull)))
      return false;
  }
  return !pull->error;
}

static void
pull_prepare (Pull *pull)
{
  pull->extents = g_array_new (FALSE, FALSE, sizeof (PullExtent));
  pull->context = pull->request.bitmap ? g_strdup_printf ("qemu:dirty-bitmap:%s", pull->request.bitmap)
                                       : g_strdup (LIBNBD_CONTEXT_BASE_ALLOCATION);
  if (pull->request.bitmap && pull->request.parent)
    pull->zero = g_array_new (FALSE, FALSE, sizeof (PullExtent));
  for (guint i = 0; i < PULL_STATUS_IN_FLIGHT; i++)
    pull->status[i].pull = pull;
}

static bool
pull_alloc (Pull *pull)
{
  pull->memory = buffer_stock_take (pull->request.buffers, BUFFER_STOCK_BYTES);
  if (!pull->memory) {
    g_set_error (&pull->error, G_IO_ERROR, G_IO_ERROR_FAILED, "no memory to read %zu bytes into",
                 BUFFER_STOCK_BYTES);
    return false;
  }
  if (!(pull->sink = pull_sink_new (&pull->request, &pull->error)))
    return false;
  for (guint i = 0; i < PULL_IN_FLIGHT; i++) {
    pull->reads[i].pull = pull;
    pull->reads[i].chunk.data = pull->memory + i * PULL_READ_BYTES;
  }
  return true;
}

static void
pull_disconnect (Pull *pull)
{
  if (!pull->nbd)
    return;
  if (!pull->error)
    nbd_aio_disconnect (pull->nbd, 0); /* a courtesy; the close below ends it anyway */
  nbd_close (pull->nbd);
  pull->nbd = NULL;
}

void
pull_free (Pull *pull)
{
  if (!pull)
    return;
  pull_disconnect (pull);
  pull_sink_free (pull->sink); /* before its buffers */
  buffer_stock_give (pull->request.buffers, pull->memory, BUFFER_STOCK_BYTES);
  g_array_unref (pull->extents);
  g_clear_pointer (&pull->zero, g_array_unref);
  g_free (pull->context);
  g_clear_error (&pull->error);
  g_free (pull);
}

Pull *
pull_open (const PullRequest *request, GError **error)
{
  g_autoptr (Pull) pull = g_new0 (Pull, 1);

  pull->request = *request;
  pull_prepare (pull);
  if (pull_connect (pull))
    return g_steal_pointer (&pull);
  g_propagate_error (error, g_steal_pointer (&pull->error));
  return NULL;
}

bool
pull_read (Pull *pull, GError **error)
{
  bool ok = pull_alloc (pull) && pull_map (pull) && pull_bytes (pull);

  pull_disconnect (pull);
  /* a failed callback leaves its error behind although the loop around it went through */
  if (ok && !pull->error)
    return true;
  g_propagate_error (error, g_steal_pointer (&pull->error));
  return false;
}

bool
pull_finish (Pull *pull, PullResult *result, GError **error)
{
  g_autoptr (Pull) self = pull;

  if (pull_sink_finish (pull->sink, &pull->result, &pull->error)
      && pull_zero_gone (&pull->request, pull->extents, pull->zero, &pull->result, &pull->error)) {
    *result = pull->result;
    return true;
  }
  g_propagate_error (error, g_steal_pointer (&pull->error));
  return false;
}
