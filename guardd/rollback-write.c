/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rollback-write.h"

#include <libnbd.h>
#include <string.h>
#include <unistd.h>

#define RUN_BLOCKS 16u /* adjacent blocks that go out in one request */

typedef struct {
  guint64 differing, zero;
} Measure;

static int
measure_block (void *opaque, const struct guardd_block *block)
{
  Measure *measure = opaque;
  measure->differing += GUARDD_BLOCK_SIZE;
  if (block->kind == GUARDD_BLOCK_ZERO)
    measure->zero += GUARDD_BLOCK_SIZE;
  return 0;
}

bool
rollback_measure (StorageReader *from, StorageReader *to, guint64 *differing, guint64 *zero, GError **error)
{
  Measure measure = { 0 };
  if (!storage_image_diff (from, to, measure_block, &measure, error))
    return false;
  *differing = measure.differing;
  *zero = measure.zero;
  return true;
}

typedef struct {
  StorageReader *to;
  guint64 size;
  guint8 *data;
  GError *error;
} Check;

/* Reading compares with the hash. */
static int
check_block (void *opaque, const struct guardd_block *block)
{
  Check *check = opaque;
  guint64 offset = block->number * GUARDD_BLOCK_SIZE;
  gsize length = (gsize)MIN (GUARDD_BLOCK_SIZE, check->size - offset);
  if (block->kind == GUARDD_BLOCK_ZERO)
    return 0;
  return storage_image_read (check->to, offset, check->data, length, &check->error) ? 0 : -1;
}

bool
rollback_check (StorageReader *from, StorageReader *to, GError **error)
{
  Check check = { .to = to, .size = storage_image_size (to), .data = g_malloc (GUARDD_BLOCK_SIZE) };
  bool ok = storage_image_diff (from, to, check_block, &check, check.error ? NULL : error);
  g_free (check.data);
  if (check.error) {
    g_clear_error (error);
    g_propagate_error (error, check.error);
    return false;
  }
  return ok;
}

typedef struct {
  const RollbackWrite *write;
  struct nbd_handle *nbd;
  guint64 first, count; /* the run collected */
  enum guardd_block_kind kind;
  guint8 *data;
  guint64 written;
  GError *error;
} Writer;

static bool
writer_fail (Writer *writer, const char *what)
{
  if (writer->error == NULL)
    g_set_error (&writer->error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: cannot %s: %s", writer->write->path,
                 what, nbd_get_error () ?: "unknown error");
  return false;
}

static bool
writer_flush (Writer *writer)
{
  guint64 offset = writer->first * GUARDD_BLOCK_SIZE;
  guint64 length = MIN (writer->count * GUARDD_BLOCK_SIZE, writer->write->size - offset);
  if (writer->count == 0)
    return true;
  writer->count = 0;
  if (writer->kind == GUARDD_BLOCK_ZERO) {
    if (nbd_zero (writer->nbd, length, offset, 0) < 0)
      return writer_fail (writer, "write zeroes");
  } else {
    if (!storage_image_read (writer->write->to, offset, writer->data, length, &writer->error))
      return false;
    if (nbd_pwrite (writer->nbd, writer->data, length, offset, 0) < 0)
      return writer_fail (writer, "write");
  }
  writer->written += length;
  if (writer->write->progress)
    writer->write->progress (writer->written, writer->write->opaque);
  return true;
}

static int
writer_block (void *opaque, const struct guardd_block *block)
{
  Writer *writer = opaque;
  bool adjacent = writer->count > 0 && writer->count < RUN_BLOCKS && block->kind == writer->kind
                  && block->number == writer->first + writer->count;
  if (!adjacent) {
    if (!writer_flush (writer))
      return 1;
    writer->first = block->number;
    writer->kind = block->kind;
  }
  writer->count++;
  return 0;
}

/* The socket is libnbd's from here on. */
static bool
writer_connect (Writer *writer, int socket)
{
  writer->nbd = nbd_create ();
  if (writer->nbd == NULL || nbd_connect_socket (writer->nbd, socket) < 0)
    return writer_fail (writer, "connect to qemu-nbd");
  int64_t size = nbd_get_size (writer->nbd);
  if (size >= 0 && (guint64)size == (writer->write->size + 511) / 512 * 512)
    return true;
  g_set_error (&writer->error, G_IO_ERROR, G_IO_ERROR_FAILED,
               "%s: has %" G_GINT64_FORMAT " bytes, not %" G_GUINT64_FORMAT, writer->write->path,
               (gint64)size, writer->write->size);
  return false;
}

static bool
writer_run (Writer *writer)
{
  g_autoptr (GError) stopped = NULL;
  if (!storage_image_diff (writer->write->from, writer->write->to, writer_block, writer, &stopped)) {
    if (writer->error == NULL)
      writer->error = g_steal_pointer (&stopped);
    return false;
  }
  if (!writer_flush (writer))
    return false;
  if (nbd_flush (writer->nbd, 0) < 0)
    return writer_fail (writer, "flush");
  return nbd_shutdown (writer->nbd, 0) == 0 || writer_fail (writer, "close");
}

bool
rollback_write (const RollbackWrite *write, guint64 *written, GError **error)
{
  Writer writer = { .write = write };
  NbdImage image = { .path = write->path, .format = write->format, .writable = true };
  int socket;
  NbdServer *server = nbd_server_start (write->run_dir, &image, &socket, error);
  if (server == NULL)
    return false;
  writer.data = g_malloc ((gsize)RUN_BLOCKS * GUARDD_BLOCK_SIZE);
  bool ok = writer_connect (&writer, socket) && writer_run (&writer);
  if (!ok) {
    g_autofree char *words = nbd_server_words (server);
    if (strcmp (words, "no message") != 0)
      g_prefix_error (&writer.error, "qemu-nbd: %s: ", words);
  }
  nbd_close (writer.nbd);
  g_free (writer.data);
  /* Its exit status counts: a write-back that failed at close is one that failed. */
  if (ok)
    ok = nbd_server_stop (server, error);
  else
    nbd_server_abort (server);
  if (writer.error)
    g_propagate_error (error, writer.error);
  *written = writer.written;
  return ok;
}
