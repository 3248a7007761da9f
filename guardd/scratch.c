/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* qcow2 version 3, docs/interop/qcow2.txt of QEMU; all numbers big endian */
#define QCOW2_MAGIC 0x514649fbu
#define HEADER_LENGTH 104
#define MIN_CLUSTER_BITS 16
#define MAX_CLUSTER_BITS 21
#define CLUSTERS_WANTED (G_GUINT64_CONSTANT (1) << 20)

struct Scratch {
  int fd;
  guint64 limit;
  bool in_memory;
};

guint
scratch_cluster_bits (guint64 size)
{
  guint bits = MIN_CLUSTER_BITS;

  while (bits < MAX_CLUSTER_BITS && size >> bits > CLUSTERS_WANTED)
    bits++;
  return bits;
}

static void
put32 (guint8 *at, guint32 value)
{
  value = GUINT32_TO_BE (value);
  memcpy (at, &value, sizeof value);
}

static void
put64 (guint8 *at, guint64 value)
{
  value = GUINT64_TO_BE (value);
  memcpy (at, &value, sizeof value);
}

static bool
write_at (int fd, const void *data, size_t length, guint64 offset)
{
  return pwrite (fd, data, length, (off_t)offset) == (ssize_t)length;
}

/* Header | refcount table | refcount block | L1 table; everything behind that reads as zero. */
static bool
write_empty_qcow2 (int fd, guint64 size)
{
  guint bits = scratch_cluster_bits (size);
  guint64 cluster = G_GUINT64_CONSTANT (1) << bits;
  guint64 per_l2 = cluster / 8 * cluster;
  guint64 l1_entries = MAX (1, (size + per_l2 - 1) / per_l2);
  guint64 l1_clusters = (l1_entries * 8 + cluster - 1) / cluster;
  guint64 used = 3 + l1_clusters;
  guint8 header[HEADER_LENGTH] = { 0 }, pointer[8];
  guint16 one = GUINT16_TO_BE (1);

  put32 (header, QCOW2_MAGIC);
  put32 (header + 4, 3);
  put32 (header + 20, bits);
  put64 (header + 24, size);
  put32 (header + 36, (guint32)l1_entries);
  put64 (header + 40, 3 * cluster);
  put64 (header + 48, cluster);
  put32 (header + 56, 1);
  put32 (header + 96, 4); /* 16-bit refcounts */
  put32 (header + 100, HEADER_LENGTH);
  put64 (pointer, 2 * cluster);
  if (ftruncate (fd, (off_t)(used * cluster)) < 0 || !write_at (fd, header, sizeof header, 0)
      || !write_at (fd, pointer, sizeof pointer, cluster))
    return false;
  for (guint64 i = 0; i < used; i++)
    if (!write_at (fd, &one, sizeof one, 2 * cluster + 2 * i))
      return false;
  return true;
}

Scratch *
scratch_new (const char *directory, guint64 size, guint64 limit, GError **error)
{
  Scratch *scratch;
  guint64 rounded = (size + 511) & ~G_GUINT64_CONSTANT (511);
  int fd = directory ? open (directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
                     : memfd_create ("guardd-scratch", MFD_CLOEXEC);

  if (fd < 0 || !write_empty_qcow2 (fd, rounded)) {
    int saved = errno;

    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved), "scratch %s%s: %s",
                 directory ? "in " : "memory", directory ? directory : "", g_strerror (saved));
    if (fd >= 0)
      close (fd);
    return NULL;
  }
  scratch = g_new0 (Scratch, 1);
  scratch->fd = fd;
  scratch->limit = limit;
  scratch->in_memory = directory == NULL;
  return scratch;
}

bool
scratch_reset (Scratch *scratch, guint64 size, guint64 limit)
{
  guint64 rounded = (size + 511) & ~G_GUINT64_CONSTANT (511);
  if (!scratch->in_memory || ftruncate (scratch->fd, 0) < 0)
    return false;
  scratch->limit = limit;
  return size == 0 || write_empty_qcow2 (scratch->fd, rounded);
}

void
scratch_free (Scratch *scratch)
{
  if (!scratch)
    return;
  /* A QEMU that keeps its descriptor (paused, or hung) must not keep the memory. */
  if (ftruncate (scratch->fd, 0) < 0)
    g_debug ("scratch: cannot truncate, ignoring");
  scratch_leave (scratch);
}

void
scratch_leave (Scratch *scratch)
{
  if (!scratch)
    return;
  close (scratch->fd);
  g_free (scratch);
}

int
scratch_fd (const Scratch *scratch)
{
  return scratch->fd;
}

bool
scratch_check (const Scratch *scratch, GError **error)
{
  struct stat st;

  if (fstat (scratch->fd, &st) < 0 || (guint64)st.st_blocks * 512 <= scratch->limit)
    return true;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
               "the guest overwrote more than %" G_GUINT64_FORMAT
               " MiB while it was read: set scratch_dir, or raise scratch_memory or scratch_disk",
               scratch->limit >> 20);
  return false;
}
