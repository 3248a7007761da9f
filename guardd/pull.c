/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pull-extents.h"
#include "pull-sink.h"

#include <errno.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK GUARDD_BLOCK_SIZE
#define IN_FLIGHT 8u
/* one status request; lengths in the protocol have 32 bits, and this is whole blocks */
#define STATUS_BYTES ((G_GUINT64_CONSTANT (1) << 32) - BLOCK)
#define STATUS_IN_FLIGHT 16
#define POLL_MS 20
/* A dirty bitmap of 16 TiB has 2^28 blocks; alternating ones would be 2^27 extents. A server that says
 * more is lying. */
#define MAX_EXTENTS (1u << 27)

/* NBD protocol, base:allocation and qemu:dirty-bitmap (QEMU docs/interop/nbd.txt) */
#define STATE_ZERO 2u
#define STATE_DIRTY 1u

/* One status request under way. */
typedef struct {
  Pull *pull;
  guint64 offset, length;
  guint64 covered; /* what the answer told of */
  bool busy;
} Slot;

/* One read: free, under way, or in the sink. */
typedef struct {
  PullChunk chunk; /* first: the sink gives it back */
  Pull *pull;
  guint64 covered; /* bytes that have come */
  bool busy;
} ReadSlot;

struct Pull {
  PullRequest request;
  struct nbd_handle *nbd;
  char *context;
  GArray *extents; /* what is read */
  GArray *zero;    /* what the server says to be zero of what the bitmap says; NULL: it is not asked */
  Slot status[STATUS_IN_FLIGHT];
  ReadSlot reads[IN_FLIGHT];
  guint busy;    /* requests of either kind under way */
  guint sinking; /* reads in the sink */
  guint64 seen;  /* completions, to tell progress from silence */
  int refused;   /* errno with which a request ended; why a connection broke, nbd_poll() says better */
  PullSink *sink;
  guint8 *memory; /* of the reads */
  PullResult result;
  GError *error;
};

static bool
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

/* One turn of the loop: guard, cancellation, one poll. Fails after stall_us without any completion. */
static bool
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
      || nbd_set_pread_initialize (pull->nbd, false) < 0 /* the memory is this pull's alone */) {
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

/* --- which extents --- */

/* Short of the answer to the other context or beyond it: only what is dirty is asked for. */
static void
note_zero (Pull *pull, guint64 offset, const uint32_t *entries, size_t n)
{
  for (size_t i = 0; i + 1 < n; i += 2) {
    PullExtent extent = { offset, offset + entries[i] };

    offset = extent.end;
    if (entries[i + 1] & STATE_ZERO && pull->zero->len < MAX_EXTENTS)
      g_array_append_val (pull->zero, extent);
  }
}

/* entries: pairs of length and flags; n counts both. */
static int
on_extents (void *opaque, const char *context, uint64_t offset, uint32_t *entries, size_t n, int *error)
{
  Slot *slot = opaque;
  Pull *pull = slot->pull;
  bool dirty = pull->request.bitmap != NULL;

  if (pull->zero && g_str_equal (context, LIBNBD_CONTEXT_BASE_ALLOCATION))
    note_zero (pull, slot->offset, entries, n);
  if (!g_str_equal (context, pull->context))
    return 0;
  for (size_t i = 0; i + 1 < n && slot->covered < slot->length; i += 2) {
    guint64 length = MIN (entries[i], slot->length - slot->covered);

    if (dirty ? entries[i + 1] & STATE_DIRTY : !(entries[i + 1] & STATE_ZERO))
      pull_extents_add (pull->extents, slot->offset + slot->covered, length);
    slot->covered += length;
  }
  if (pull->extents->len > MAX_EXTENTS) {
    *error = EPROTO;
    return -1;
  }
  return 0;
}

static int
on_status (void *opaque, int *error)
{
  Slot *slot = opaque;

  slot->busy = false;
  slot->pull->busy--;
  slot->pull->seen++;
  if (*error)
    slot->pull->refused = *error;
  return 1;
}

static bool
send_status (Slot *slot, guint64 offset, guint64 length)
{
  slot->offset = offset;
  slot->length = length;
  slot->covered = 0;
  if (nbd_aio_block_status (slot->pull->nbd, length, offset,
                            (nbd_extent_callback){ .callback = on_extents, .user_data = slot },
                            (nbd_completion_callback){ .callback = on_status, .user_data = slot }, 0)
      < 0)
    return pull_fail (slot->pull, "block status");
  slot->busy = true;
  slot->pull->busy++;
  return true;
}

/* The next thing to ask for: the rest of an answer that was short, else the next stretch. */
static bool
refill_status (Pull *pull, Slot *slot, guint64 *next)
{
  guint64 size = pull->request.size;

  if (slot->length > slot->covered) {
    if (slot->covered == 0) {
      g_set_error (&pull->error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                   "NBD: the server told nothing of the blocks at %" G_GUINT64_FORMAT, slot->offset);
      return false;
    }
    return send_status (slot, slot->offset + slot->covered, slot->length - slot->covered);
  }
  if (*next < size) {
    guint64 length = MIN (STATUS_BYTES, size - *next);

    *next += length;
    return send_status (slot, *next - length, length);
  }
  slot->length = slot->covered = 0;
  return true;
}

static bool
pull_map (Pull *pull)
{
  gint64 since = g_get_monotonic_time ();
  guint64 seen = pull->seen, next = 0;

  for (;;) {
    for (guint i = 0; i < STATUS_IN_FLIGHT; i++)
      if (!pull->status[i].busy && !refill_status (pull, &pull->status[i], &next))
        return false;
    if (!pull->busy)
      break;
    if (!pull_turn (pull, &since, &seen))
      return false;
  }
  pull_extents_sort (pull->extents);
  if (pull->zero) {
    g_autoptr (GArray) zero = g_steal_pointer (&pull->zero);

    pull_extents_sort (zero);
    pull->zero = pull_extents_take (&pull->extents, zero, pull->request.size);
  }
  return true;
}

/* --- the bytes --- */

/* libnbd does not mind an answer that leaves bytes out.  QEMU's pieces are in order and without gaps
 * (nbd_co_send_sparse_read()); from anybody else only such are taken. */
static int
on_chunk (void *opaque, const void *data, size_t length, uint64_t offset, unsigned int status, int *error)
{
  ReadSlot *slot = opaque;

  if (status != LIBNBD_READ_ERROR && offset == slot->chunk.offset + slot->covered)
    slot->covered += length;
  return 0;
}

static int
on_read (void *opaque, int *error)
{
  ReadSlot *slot = opaque;
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
send_read (ReadSlot *slot, guint64 offset, guint64 length)
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
  guint64 wait = pull->busy == 0 && pull->sinking == IN_FLIGHT ? POLL_MS * 1000 : 0;
  PullChunk *chunk;

  while (pull->sinking > 0 && (chunk = pull_sink_take (pull->sink, wait)) != NULL) {
    ((ReadSlot *)chunk)->busy = false;
    pull->sinking--;
    pull->seen++;
    wait = 0;
  }
}

/* Sends as many reads as there are free slots; *index and *at: the extent and the byte that come next. */
static bool
send_reads (Pull *pull, guint *index, guint64 *at)
{
  for (guint i = 0; i < IN_FLIGHT && *index < pull->extents->len; i++) {
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

static bool
pull_alloc (Pull *pull)
{
  pull->extents = g_array_new (FALSE, FALSE, sizeof (PullExtent));
  pull->context = pull->request.bitmap ? g_strdup_printf ("qemu:dirty-bitmap:%s", pull->request.bitmap)
                                       : g_strdup (LIBNBD_CONTEXT_BASE_ALLOCATION);
  if (pull->request.bitmap && pull->request.parent)
    pull->zero = g_array_new (FALSE, FALSE, sizeof (PullExtent));
  if (!(pull->memory = pull_memory_new (IN_FLIGHT, &pull->error))
      || !(pull->sink = pull_sink_new (&pull->request, &pull->error)))
    return false;
  for (guint i = 0; i < IN_FLIGHT; i++) {
    pull->reads[i].pull = pull;
    pull->reads[i].chunk.data = pull->memory + i * PULL_READ_BYTES;
  }
  for (guint i = 0; i < STATUS_IN_FLIGHT; i++)
    pull->status[i].pull = pull;
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
  pull_memory_free (pull->memory, IN_FLIGHT);
  g_array_unref (pull->extents);
  g_clear_pointer (&pull->zero, g_array_unref);
  g_free (pull->context);
  g_clear_error (&pull->error);
  g_free (pull);
}

Pull *
pull_read (const PullRequest *request, GError **error)
{
  g_autoptr (Pull) pull = g_new0 (Pull, 1);
  bool ok;

  pull->request = *request;
  ok = pull_alloc (pull);
  if (!ok)
    close (request->socket);
  ok = ok && pull_connect (pull) && pull_map (pull) && pull_bytes (pull);
  pull_disconnect (pull);
  /* a failed callback leaves its error behind although the loop around it went through */
  if (ok && !pull->error)
    return g_steal_pointer (&pull);
  g_propagate_error (error, g_steal_pointer (&pull->error));
  return NULL;
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
