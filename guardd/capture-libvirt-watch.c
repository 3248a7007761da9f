/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "capture-libvirt-watch.h"

#include "capture.h"

#define LOOK_US 25000
#define HELD_US 500000

struct LibvirtWatch {
  LibvirtBackup *backup;
  LibvirtWorkers *workers;
  gint64 patience_us;
  bool blind;        /* they cannot be seen */
  gint64 busy_since; /* monotonic; 0: nobody was busy at the last look */
  GThread *thread;
  GMutex lock;
  GCond changed;
  bool end;
  gint reason;   /* LibvirtWatchReason; atomic */
  GError *error; /* set before reason */
};

/* For how long, at every look, a thread has been busy; 0: none is. */
static gint64
busy_for (LibvirtWatch *watch, gint64 now)
{
  g_autoptr (GError) error = NULL;
  bool busy = false;
  if (watch->blind)
    return 0;
  if (!libvirt_workers_look (watch->workers, &busy, &error)) {
    g_message ("%s: jobs are kept short until it does", error->message);
    watch->blind = true;
  }
  if (!busy)
    watch->busy_since = 0;
  else if (watch->busy_since == 0)
    watch->busy_since = now;
  return watch->busy_since ? now - watch->busy_since : 0;
}

static LibvirtWatchReason
look (LibvirtWatch *watch, gint64 since)
{
  gint64 now = g_get_monotonic_time ();
  if (!libvirt_backup_check (watch->backup, &watch->error))
    return LIBVIRT_WATCH_SCRATCH;
  if (busy_for (watch, now) > watch->patience_us) {
    g_set_error (&watch->error, CAPTURE_ERROR, CAPTURE_ERROR_BUSY, "somebody else's call waits in libvirt");
    return LIBVIRT_WATCH_WAITER;
  }
  if (watch->blind && now - since > HELD_US) {
    g_set_error (
        &watch->error, CAPTURE_ERROR, CAPTURE_ERROR_BUSY,
        "its disks cannot be read within %d ms, and whether somebody else waits for the guest cannot be "
        "seen: make libvirtd's admin socket reachable (systemctl start libvirtd-admin.socket)",
        HELD_US / 1000);
    return LIBVIRT_WATCH_HELD;
  }
  return LIBVIRT_WATCH_QUIET;
}

static gpointer
watch_thread (gpointer data)
{
  LibvirtWatch *watch = data;
  LibvirtWatchReason reason = LIBVIRT_WATCH_QUIET;
  gint64 since = g_get_monotonic_time (), next = since;
  while (reason == LIBVIRT_WATCH_QUIET) {
    next = MAX (next + LOOK_US, g_get_monotonic_time ());
    g_mutex_lock (&watch->lock);
    while (!watch->end && g_cond_wait_until (&watch->changed, &watch->lock, next))
      ;
    bool end = watch->end;
    g_mutex_unlock (&watch->lock);
    if (end)
      return NULL;
    reason = look (watch, since);
  }
  g_atomic_int_set (&watch->reason, (gint)reason);
  libvirt_backup_abort (watch->backup);
  return NULL;
}

LibvirtWatch *
libvirt_watch_start (LibvirtBackup *backup, LibvirtWorkers *workers, gint64 patience_us)
{
  LibvirtWatch *watch = g_new0 (LibvirtWatch, 1);
  watch->backup = backup;
  watch->workers = workers;
  watch->patience_us = patience_us;
  g_mutex_init (&watch->lock);
  g_cond_init (&watch->changed);
  watch->thread = g_thread_new ("libvirt-watch", watch_thread, watch);
  return watch;
}

bool
libvirt_watch_check (void *opaque, GError **error)
{
  LibvirtWatch *watch = opaque;
  if (g_atomic_int_get (&watch->reason) == LIBVIRT_WATCH_QUIET)
    return true;
  g_propagate_error (error, g_error_copy (watch->error));
  return false;
}

LibvirtWatchReason
libvirt_watch_stop (LibvirtWatch *watch)
{
  if (watch == NULL)
    return LIBVIRT_WATCH_QUIET;
  g_mutex_lock (&watch->lock);
  watch->end = true;
  g_cond_signal (&watch->changed);
  g_mutex_unlock (&watch->lock);
  g_thread_join (watch->thread);
  LibvirtWatchReason reason = (LibvirtWatchReason)g_atomic_int_get (&watch->reason);
  g_clear_error (&watch->error);
  g_mutex_clear (&watch->lock);
  g_cond_clear (&watch->changed);
  g_free (watch);
  return reason;
}
