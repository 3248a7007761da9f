/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "buffer-stock.h"

#include <sys/mman.h>

struct BufferStock {
  guint keep;
  GPtrArray *unused;
  GMutex lock; /* of unused */
};

static void
buffer_free (gpointer buffer)
{
  munmap (buffer, BUFFER_STOCK_BYTES);
}

BufferStock *
buffer_stock_new (guint keep)
{
  BufferStock *stock = g_atomic_rc_box_new0 (BufferStock);
  stock->keep = keep;
  stock->unused = g_ptr_array_new_with_free_func (buffer_free);
  g_mutex_init (&stock->lock);
  return stock;
}

BufferStock *
buffer_stock_ref (BufferStock *stock)
{
  return stock ? g_atomic_rc_box_acquire (stock) : NULL;
}

static void
stock_clear (gpointer data)
{
  BufferStock *stock = data;
  g_ptr_array_unref (stock->unused);
  g_mutex_clear (&stock->lock);
}

void
buffer_stock_unref (BufferStock *stock)
{
  if (stock)
    g_atomic_rc_box_release_full (stock, stock_clear);
}

/* Large pages where there are any: clearing thousands of small ones would take longer than reading into
 * them. */
static guint8 *
buffer_new (size_t bytes)
{
  void *buffer = mmap (NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (buffer == MAP_FAILED)
    return NULL;
  madvise (buffer, bytes, MADV_HUGEPAGE);
  return buffer;
}

guint8 *
buffer_stock_take (BufferStock *stock, size_t bytes)
{
  guint8 *buffer = NULL;
  if (stock && bytes == BUFFER_STOCK_BYTES) {
    g_mutex_lock (&stock->lock);
    if (stock->unused->len > 0)
      buffer = g_ptr_array_steal_index (stock->unused, stock->unused->len - 1);
    g_mutex_unlock (&stock->lock);
  }
  return buffer ? buffer : buffer_new (bytes);
}

void
buffer_stock_give (BufferStock *stock, guint8 *buffer, size_t bytes)
{
  if (stock && buffer && bytes == BUFFER_STOCK_BYTES) {
    g_mutex_lock (&stock->lock);
    if (stock->unused->len < stock->keep)
      g_ptr_array_add (stock->unused, g_steal_pointer (&buffer));
    g_mutex_unlock (&stock->lock);
  }
  if (buffer)
    munmap (buffer, bytes);
}
