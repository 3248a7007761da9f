/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pull-memory.h"

#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

struct PullMemory {
  guint8 *data;
  size_t soon; /* bytes that will be used for sure */
  GThread *touch;
};

/* Where it is refused, the pages come one after the other when they are used. */
static gpointer
touch_run (gpointer opaque)
{
  const PullMemory *memory = opaque;
  madvise (memory->data, memory->soon, MADV_POPULATE_WRITE);
  return NULL;
}

PullMemory *
pull_memory_new (guint64 expected, GError **error)
{
  void *data = mmap (NULL, PULL_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "no memory for reads of %u MiB",
                 PULL_MEMORY_BYTES >> 20);
    return NULL;
  }
  madvise (data, PULL_MEMORY_BYTES, MADV_HUGEPAGE);
  PullMemory *memory = g_new0 (PullMemory, 1);
  memory->data = data;
  memory->soon = (size_t)MIN (expected, PULL_MEMORY_BYTES);
  if (memory->soon > 0)
    memory->touch = g_thread_try_new ("touch", touch_run, memory, NULL);
  return memory;
}

guint8 *
pull_memory_data (PullMemory *memory)
{
  if (memory->touch)
    g_thread_join (memory->touch);
  memory->touch = NULL;
  return memory->data;
}

void
pull_memory_free (PullMemory *memory)
{
  if (memory == NULL)
    return;
  munmap (pull_memory_data (memory), PULL_MEMORY_BYTES);
  g_free (memory);
}
