/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source-disk.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool
source_store (const Source *source)
{
  int fd = open (source->path, O_WRONLY | O_CLOEXEC);
  bool ok = fd >= 0;
  for (guint64 done = 0; ok && done < source->size;) {
    ssize_t n = pwrite (fd, source->now + done, source->size - done, (off_t)done);
    ok = n > 0;
    done += ok ? (guint64)n : 0;
  }
  ok = ok && fsync (fd) == 0;
  if (fd >= 0)
    close (fd);
  return ok;
}

bool
source_holds (const Source *source, const guint8 *content)
{
  g_autofree guint8 *data = g_malloc (source->size);
  int fd = open (source->path, O_RDONLY | O_CLOEXEC);
  bool ok = fd >= 0;
  for (guint64 done = 0; ok && done < source->size;) {
    ssize_t n = pread (fd, data + done, source->size - done, (off_t)done);
    ok = n > 0;
    done += ok ? (guint64)n : 0;
  }
  if (fd >= 0)
    close (fd);
  return ok && memcmp (data, content, source->size) == 0;
}

void
source_change (Source *source, GRand *random, guint writes)
{
  for (guint i = 0; i < writes; i++) {
    guint64 at = (guint64)g_rand_int_range (random, 0, (gint32)(source->size / 4096)) * 4096;
    guint64 most = (guint64)g_rand_int_range (random, 1, 3 * BLOCK), length = MIN (source->size - at, most);
    memset (source->now + at, g_rand_int_range (random, 0, 4) ? g_rand_int_range (random, 1, 256) : 0,
            length);
  }
  memset (source->now, 0, BLOCK);
  source->now[source->size - 1] ^= 0x55;
}
