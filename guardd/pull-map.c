/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pull-private.h"

#include <errno.h>

#define BLOCK GUARDD_BLOCK_SIZE
/* one status request; lengths in the protocol have 32 bits, and this is whole blocks */
#define STATUS_BYTES ((G_GUINT64_CONSTANT (1) << 32) - BLOCK)
/* A dirty bitmap of 16 TiB has 2^28 blocks; alternating ones would be 2^27 extents. A server that says
 * more is lying. */
#define MAX_EXTENTS (1u << 27)

/* NBD protocol, base:allocation and qemu:dirty-bitmap (QEMU docs/interop/nbd.txt) */
#define STATE_ZERO 2u
#define STATE_DIRTY 1u

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
  PullSlot *slot = opaque;
  Pull *pull = slot->pull;
  bool dirty = pull->request.bitmap != NULL;
  guint64 found = 0;

  if (pull->zero && g_str_equal (context, LIBNBD_CONTEXT_BASE_ALLOCATION))
    note_zero (pull, slot->offset, entries, n);
  if (!g_str_equal (context, pull->context))
    return 0;
  for (size_t i = 0; i + 1 < n && slot->covered < slot->length; i += 2) {
    guint64 length = MIN (entries[i], slot->length - slot->covered);

    if (dirty ? entries[i + 1] & STATE_DIRTY : !(entries[i + 1] & STATE_ZERO)) {
      pull_extents_add (pull->extents, slot->offset + slot->covered, length);
      found += (length + BLOCK - 1) / BLOCK * BLOCK; /* as the bitmap counts the disk's last block */
    }
    slot->covered += length;
  }
  if (dirty && pull->request.reach)
    pull_reach_found (pull->request.reach, pull->request.reach_disk, found);
  if (pull->extents->len > MAX_EXTENTS) {
    *error = EPROTO;
    return -1;
  }
  return 0;
}

static int
on_status (void *opaque, int *error)
{
  PullSlot *slot = opaque;

  slot->busy = false;
  slot->pull->busy--;
  slot->pull->seen++;
  if (*error)
    slot->pull->refused = *error;
  return 1;
}

static bool
send_status (PullSlot *slot, guint64 offset, guint64 length)
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

static bool
is_all_found (const Pull *pull)
{
  return pull->request.reach && pull_reach_all (pull->request.reach, pull->request.reach_disk);
}

/* The next thing to ask for: the rest of an answer that was short, else the next stretch. */
static bool
refill_status (Pull *pull, PullSlot *slot, guint64 *next)
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
  if (*next < size && !is_all_found (pull)) {
    guint64 length = MIN (STATUS_BYTES, size - *next);

    *next += length;
    return send_status (slot, *next - length, length);
  }
  slot->length = slot->covered = 0;
  return true;
}

bool
pull_map (Pull *pull)
{
  gint64 since = g_get_monotonic_time ();
  guint64 seen = pull->seen, next = 0;

  for (;;) {
    for (guint i = 0; i < PULL_STATUS_IN_FLIGHT; i++)
      if (!pull->status[i].busy && !refill_status (pull, &pull->status[i], &next))
        return false;
    if (!pull->busy)
      break;
    if (!pull_turn (pull, &since, &seen))
      return false;
  }
  if (pull->request.reach)
    pull_reach_mapped (pull->request.reach, pull->request.reach_disk);
  pull_extents_sort (pull->extents);
  if (pull->zero) {
    g_autoptr (GArray) zero = g_steal_pointer (&pull->zero);

    pull_extents_sort (zero);
    pull->zero = pull_extents_take (&pull->extents, zero, pull->request.size);
  }
  return true;
}
