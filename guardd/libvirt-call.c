/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "libvirt-call.h"

#include <libvirt/virterror.h>

G_DEFINE_QUARK (guardd - libvirt - error, libvirt_error)

struct LibvirtCalls {
  gint count; /* atomic */
};

/* Shared by the caller and the thread. */
typedef struct {
  LibvirtCalls *calls; /* reference */
  virDomainPtr domain;
  LibvirtCall call;
  gpointer data;
  GDestroyNotify data_clear;
  GMutex lock;
  GCond changed;
  bool done, abandoned, ok;
  GError *error;
} Shared;

bool
libvirt_call_fail (GError **error, const char *what)
{
  const virError *last = virGetLastError ();
  g_set_error (error, LIBVIRT_ERROR, last ? last->code : VIR_ERR_INTERNAL_ERROR, "libvirt: %s: %s", what,
               last && last->message ? last->message : "no reason given");
  return false;
}

LibvirtCalls *
libvirt_calls_new (void)
{
  return g_atomic_rc_box_new0 (LibvirtCalls);
}

void
libvirt_calls_free (LibvirtCalls *calls)
{
  if (calls)
    g_atomic_rc_box_release (calls);
}

guint
libvirt_calls_count (const LibvirtCalls *calls)
{
  return (guint)g_atomic_int_get (&calls->count);
}

static void
shared_clear (gpointer pointer)
{
  Shared *shared = pointer;
  g_atomic_rc_box_release_full (shared->data, shared->data_clear);
  virDomainFree (shared->domain);
  libvirt_calls_free (shared->calls);
  g_clear_error (&shared->error);
  g_mutex_clear (&shared->lock);
  g_cond_clear (&shared->changed);
}

static void
shared_unref (Shared *shared)
{
  g_atomic_rc_box_release_full (shared, shared_clear);
}

static gpointer
call_thread (gpointer pointer)
{
  Shared *shared = pointer;
  const LibvirtCall *call = &shared->call;
  GError *error = NULL;
  g_atomic_int_inc (&shared->calls->count);
  bool ok = call->func (shared->domain, shared->data, &error);
  g_atomic_int_add (&shared->calls->count, -1);
  g_mutex_lock (&shared->lock);
  shared->done = true;
  shared->ok = ok;
  shared->error = error;
  bool late = ok && shared->abandoned && call->undo;
  g_cond_signal (&shared->changed);
  g_mutex_unlock (&shared->lock);
  if (late)
    call->undo (shared->domain, shared->data, NULL);
  shared_unref (shared);
  return NULL;
}

static Shared *
shared_new (LibvirtCalls *calls, virDomainPtr domain, const LibvirtCall *call, gpointer data,
            GDestroyNotify data_clear)
{
  Shared *shared = g_atomic_rc_box_new0 (Shared);
  virDomainRef (domain);
  shared->calls = g_atomic_rc_box_acquire (calls);
  shared->domain = domain;
  shared->call = *call;
  shared->data = g_atomic_rc_box_acquire (data);
  shared->data_clear = data_clear;
  g_mutex_init (&shared->lock);
  g_cond_init (&shared->changed);
  return shared;
}

bool
libvirt_call (LibvirtCalls *calls, virDomainPtr domain, const LibvirtCall *call, gpointer data,
              GDestroyNotify data_clear, GError **error)
{
  Shared *shared = shared_new (calls, domain, call, data, data_clear);
  gint64 deadline = g_get_monotonic_time () + (gint64)call->timeout_ms * 1000;
  g_thread_unref (g_thread_new ("libvirt-call", call_thread, g_atomic_rc_box_acquire (shared)));
  g_mutex_lock (&shared->lock);
  while (!shared->done && g_cond_wait_until (&shared->changed, &shared->lock, deadline))
    ;
  bool ok = shared->done && shared->ok;
  if (!shared->done) {
    shared->abandoned = true;
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                 "libvirt has not answered within %u s: does the guest's QEMU hang?",
                 call->timeout_ms / 1000);
  } else if (!ok)
    g_propagate_error (error, g_steal_pointer (&shared->error));
  g_mutex_unlock (&shared->lock);
  shared_unref (shared);
  return ok;
}
