/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "seal.h"

#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define BATCH_PAGES 64u
#define BLOCKS_PER_L2 (GUARDD_BLOCK_SIZE / 8)

/* Adjacent pages go out in one write. */
typedef struct {
  const Seal *seal;
  const struct guardd_call *call;
  guint64 offset;
  gsize length;
  guint8 data[BATCH_PAGES * OVERLAY_PAGE];
} Batch;

static int
batch_flush (Batch *batch)
{
  const guint8 *data = batch->data;
  while (batch->length > 0) {
    ssize_t n = pwrite (batch->seal->data_fd, data, batch->length, (off_t)batch->offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail (batch->call, n < 0 ? errno : EIO, "%s/%s: cannot write", batch->seal->path,
                   batch->seal->data_name);
    data += n;
    batch->offset += (guint64)n;
    batch->length -= (gsize)n;
  }
  return 0;
}

static int
batch_page (void *opaque, guint64 offset, const guint8 *page)
{
  Batch *batch = opaque;
  if (batch->length > 0
      && (offset != batch->offset + batch->length || batch->length + OVERLAY_PAGE > sizeof batch->data)) {
    int result = batch_flush (batch);
    if (result != 0)
      return result;
  }
  if (batch->length == 0)
    batch->offset = offset;
  memcpy (batch->data + batch->length, page, OVERLAY_PAGE);
  batch->length += OVERLAY_PAGE;
  return 0;
}

typedef struct {
  const GArray *entries;
  guint next;
} ArrayWalk;

static int
array_walk_next (void *opaque, IndexEntry *entry)
{
  ArrayWalk *walk = opaque;
  if (walk->next == walk->entries->len)
    return 0;
  *entry = g_array_index (walk->entries, IndexEntry, walk->next++);
  return 1;
}

int
index_walk_next (void *opaque, IndexEntry *entry)
{
  IndexWalk *walk = opaque;
  if (walk->next == index_count (walk->index))
    return 0;
  return index_get (walk->index, walk->call, walk->next++, entry) ? 1 : -1;
}

static int
count (OverlaySource source, void *opaque, guint64 *n_data, guint64 *l2_tables)
{
  IndexEntry entry;
  guint64 last = G_MAXUINT64;
  int more;
  *n_data = *l2_tables = 0;
  while ((more = source (opaque, &entry)) > 0) {
    *n_data += entry.offset != 0;
    *l2_tables += entry.block / BLOCKS_PER_L2 != last;
    last = entry.block / BLOCKS_PER_L2;
  }
  return more;
}

int
seal_count (Index *index, const struct guardd_call *call, guint64 *n_data, guint64 *l2_tables)
{
  IndexWalk walk = { index, call, 0 };
  return count (index_walk_next, &walk, n_data, l2_tables);
}

int
seal_overlay (const Seal *seal, const struct guardd_call *call, struct guardd_image_info *info)
{
  /* Data is on its way to the disk while index and metadata are made, and one fsync() commits for both files.
   */
  sync_file_range (seal->data_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  auto_fd index = index_begin (call, seal->dir_fd, seal->path, seal->index_name, seal->facts, seal->entries,
                               info->index_hash);
  if (index < 0)
    return -1;
  OverlayLayout layout;
  ArrayWalk walk = { seal->entries, 0 };
  guint64 n_data, l2_tables;
  count (array_walk_next, &walk, &n_data, &l2_tables);
  overlay_layout (&layout, seal->facts->size, n_data, l2_tables);
  if (ftruncate (seal->data_fd, (off_t)layout.file_size) < 0)
    return fail (call, errno, "%s/%s: cannot write", seal->path, seal->data_name);
  g_autofree Batch *batch = g_new0 (Batch, 1);
  batch->seal = seal;
  batch->call = call;
  walk.next = 0;
  if (overlay_emit (&layout, seal->facts->backing, array_walk_next, &walk, batch_page, batch) != 0
      || batch_flush (batch) != 0)
    return -1;
  if (fsync (seal->data_fd) < 0)
    return fail (call, errno, "%s/%s: cannot make it durable", seal->path, seal->data_name);
  if (index_sync (call, index, seal->path, seal->index_name) < 0)
    return -1;
  info->stored_bytes = n_data * GUARDD_BLOCK_SIZE;
  info->changed_blocks = seal->entries->len;
  return 0;
}
