/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-private.h"

#include <fcntl.h>

/* Shared with the thread, which a pool that hangs keeps. */
struct PoolFlush {
  int fd;
  bool ended; /* under lock */
  GMutex lock;
  GCond changed;
};

static void
flush_clear (gpointer data)
{
  PoolFlush *flush = data;
  close (flush->fd);
  g_mutex_clear (&flush->lock);
  g_cond_clear (&flush->changed);
}

static gpointer
flush_thread (gpointer data)
{
  PoolFlush *flush = data;
  fsync (flush->fd); /* what fails here fails again in the seal, which tells */
  g_mutex_lock (&flush->lock);
  flush->ended = true;
  g_cond_signal (&flush->changed);
  g_mutex_unlock (&flush->lock);
  g_atomic_rc_box_release_full (flush, flush_clear);
  return NULL;
}

PoolFlush *
pool_flush_begin (const Pool *pool)
{
  /* not pool->fd itself: a descriptor is told of an error once */
  int fd = openat (pool->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return NULL;
  PoolFlush *flush = g_atomic_rc_box_new0 (PoolFlush);
  flush->fd = fd;
  g_mutex_init (&flush->lock);
  g_cond_init (&flush->changed);
  g_thread_unref (g_thread_new ("flush", flush_thread, g_atomic_rc_box_acquire (flush)));
  return flush;
}

void
pool_flush_end (PoolFlush *flush, guint64 timeout_us)
{
  if (flush == NULL)
    return;
  gint64 deadline = g_get_monotonic_time () + (gint64)timeout_us;
  g_mutex_lock (&flush->lock);
  while (!flush->ended && g_cond_wait_until (&flush->changed, &flush->lock, deadline))
    ;
  g_mutex_unlock (&flush->lock);
  g_atomic_rc_box_release_full (flush, flush_clear);
}
