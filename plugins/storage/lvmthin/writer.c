/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer.h"

#include "../common/stream.h"
#include "clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

/* How much is written between two looks at the thin pool. */
#define LOOK_BYTES ((guint64)64 << 20)

typedef struct {
  Record record;
  Volume *volume;
  int fd;
  Stream *stream;        /* into fd */
  GArray *entries;       /* of what is written: the overlay's, or the base's */
  guint64 discard_bytes; /* whole ones of these are made zero by discarding them; 0: none */
  bool cloned;           /* the volume is a clone, and was not read */
  guint64 unlooked;      /* bytes written since the last look */
} Writer;

static void
writer_free (Writer *writer)
{
  stream_free (writer->stream);
  fd_close (&writer->fd);
  volume_release (writer->volume);
  record_clear (&writer->record);
  g_array_unref (writer->entries);
  g_free (writer);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Writer, writer_free)

static int
writer_open_volume (Writer *writer, const struct guardd_call *call)
{
  ThinPool *pool = writer->record.instance->pool;
  guint64 size = index_blocks (writer->record.facts.size) * GUARDD_BLOCK_SIZE;
  if (thin_pool_check_room (pool, call) < 0)
    return -1;
  writer->volume = writer->record.parent ? volume_copy (pool, call, writer->record.lv, writer->record.parent)
                                         : volume_create (pool, call, writer->record.lv, size);
  if (writer->volume == NULL || volume_extend (writer->volume, call, size) < 0)
    return -1;
  writer->fd = open (volume_path (writer->volume), O_RDWR | O_CLOEXEC);
  if (writer->fd < 0)
    return fail (call, errno, "%s: cannot open for writing", volume_path (writer->volume));
  writer->discard_bytes = writer->record.parent ? thin_pool_discard_bytes (pool) : 0;
  writer->stream = stream_new (writer->fd);
  return 0;
}

int
writer_create (void *opaque, const struct guardd_call *call, const struct guardd_image_spec *spec, void **out)
{
  g_autoptr (Writer) writer = g_new0 (Writer, 1);
  writer->fd = -1;
  writer->entries = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  if (record_open (&writer->record, opaque, call, spec) < 0)
    return -1;
  if (writer_open_volume (writer, call) < 0) {
    fd_close (&writer->fd);
    g_clear_pointer (&writer->volume, volume_release);
    record_discard (&writer->record);
    return -1;
  }
  *out = g_steal_pointer (&writer);
  return 0;
}

void *
writer_new_cloned (ThinInstance *instance, const struct guardd_call *call,
                   const struct guardd_image_spec *spec)
{
  g_autoptr (Writer) writer = g_new0 (Writer, 1);
  writer->fd = -1;
  writer->cloned = true;
  writer->entries = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  return record_open (&writer->record, instance, call, spec) < 0 ? NULL : g_steal_pointer (&writer);
}

const Record *
writer_record (const void *writer)
{
  return &((const Writer *)writer)->record;
}

static int
writer_fail (const Writer *writer, const struct guardd_call *call, int errno_value, const char *what)
{
  return fail (call, errno_value, "%s: cannot %s", volume_path (writer->volume), what);
}

static int
writer_check_range (const Writer *writer, const struct guardd_call *call, guint64 first, guint64 count)
{
  guint64 blocks = index_blocks (writer->record.facts.size);
  if (first <= blocks && count <= blocks - first)
    return 0;
  return writer_fail (writer, call, EINVAL, "write beyond the disk's end");
}

/* The guests' disks may be in the same thin pool: it must not be us who fills it. */
static int
writer_look (Writer *writer, const struct guardd_call *call, guint64 bytes)
{
  writer->unlooked += bytes;
  if (writer->unlooked < LOOK_BYTES)
    return 0;
  writer->unlooked = 0;
  return thin_pool_check_room (writer->record.instance->pool, call);
}

int
writer_write (void *opaque, const struct guardd_call *call, guint64 first, guint64 count, const void *data,
              const guint8 *hashes)
{
  Writer *writer = opaque;
  if (writer_check_range (writer, call, first, count) < 0
      || writer_look (writer, call, count * GUARDD_BLOCK_SIZE) < 0)
    return -1;
  if (stream_put (writer->stream, first * GUARDD_BLOCK_SIZE, data, count * GUARDD_BLOCK_SIZE) < 0)
    return writer_fail (writer, call, errno, "write");
  for (guint64 i = 0; i < count; i++) {
    guint64 block = first + i;
    IndexEntry entry = { .block = block };
    entry.offset = writer->record.base ? block * GUARDD_BLOCK_SIZE : entry_offset (block);
    memcpy (entry.hash, hashes + i * GUARDD_HASH_SIZE, GUARDD_HASH_SIZE);
    g_array_append_val (writer->entries, entry);
  }
  return 0;
}

static int
zero_range (const Writer *writer, const struct guardd_call *call, unsigned long how, guint64 begin,
            guint64 end)
{
  guint64 range[2] = { begin, end - begin };
  if (begin >= end || ioctl (writer->fd, how, range) == 0)
    return 0;
  return writer_fail (writer, call, errno, "make blocks zero");
}

int
writer_zero (void *opaque, const struct guardd_call *call, guint64 first, guint64 n)
{
  Writer *writer = opaque;
  guint64 begin = first * GUARDD_BLOCK_SIZE, end = (first + n) * GUARDD_BLOCK_SIZE;
  if (writer_check_range (writer, call, first, n) < 0)
    return -1;
  if (writer->record.base)
    return 0; /* what is not written is zero */
  /* What is unmapped reads as zero, but only whole chunks are unmapped. */
  guint64 chunk = writer->discard_bytes, middle = end, middle_end = end;
  if (chunk > 0) {
    middle = MIN (end, (begin + chunk - 1) / chunk * chunk);
    middle_end = MAX (middle, end / chunk * chunk);
  }
  if (zero_range (writer, call, BLKZEROOUT, begin, middle) < 0
      || zero_range (writer, call, BLKDISCARD, middle, middle_end) < 0
      || zero_range (writer, call, BLKZEROOUT, middle_end, end) < 0)
    return -1;
  for (guint64 i = 0; i < n; i++) {
    IndexEntry entry = { .block = first + i };
    g_array_append_val (writer->entries, entry);
  }
  return 0;
}

static int
writer_finish (Writer *writer, const struct guardd_call *call, struct guardd_image_info *info)
{
  if (stream_finish (writer->stream) < 0)
    return writer_fail (writer, call, errno, "write");
  if (fsync (writer->fd) < 0)
    return writer_fail (writer, call, errno, "make it durable");
  fd_close (&writer->fd);
  if (volume_protect (writer->volume, call) < 0)
    return -1;
  return record_write (&writer->record, call, writer->volume, writer->entries, false, info);
}

static void
writer_discard (Writer *writer)
{
  g_clear_pointer (&writer->stream, stream_free);
  fd_close (&writer->fd);
  g_clear_pointer (&writer->volume, volume_release);
  record_discard (&writer->record);
}

int
writer_seal (void *opaque, const struct guardd_call *call, struct guardd_image_info *info)
{
  g_autoptr (Writer) writer = opaque;
  int result = writer->cloned ? clone_seal (&writer->record, call, info) : writer_finish (writer, call, info);
  if (result < 0)
    writer_discard (writer);
  return result;
}

void
writer_abort (void *opaque)
{
  g_autoptr (Writer) writer = opaque;
  writer_discard (writer);
}
