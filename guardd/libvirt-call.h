/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt-call.h: calls of libvirt that wait for a QEMU, with a deadline.
 *
 * libvirt waits for a QEMU that hangs as long as it hangs.  So such a call has a thread of its own; a caller
 * that gives up leaves it behind.
 */
#pragma once

#include <gio/gio.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

/* Codes are libvirt's (virErrorNumber). */
#define LIBVIRT_ERROR (libvirt_error_quark ())
GQuark libvirt_error_quark (void);

/* Puts what libvirt last said in this thread behind `what`; returns false. */
bool libvirt_call_fail (GError **error, const char *what);

/* How many calls guardd itself has under way; shared by all threads.  Who watches libvirtd's threads for
 * other people's calls takes these off. */
typedef struct LibvirtCalls LibvirtCalls;
LibvirtCalls *libvirt_calls_new (void);
void libvirt_calls_free (LibvirtCalls *calls); /* NULL is fine; calls left behind do not need it */
guint libvirt_calls_count (const LibvirtCalls *calls);

typedef bool (*LibvirtFunc) (virDomainPtr domain, gpointer data, GError **error);

typedef struct {
  LibvirtFunc func; /* on the call's thread */
  LibvirtFunc undo; /* after a func that went well although nobody waits for it any more; NULL: nothing */
  guint timeout_ms;
} LibvirtCall;

/* data: from g_atomic_rc_box_new0(); the call takes a reference of its own, freed with data_clear.  After
 * G_IO_ERROR_TIMED_OUT the caller may not look into it: the thread still does. */
bool libvirt_call (LibvirtCalls *calls, virDomainPtr domain, const LibvirtCall *call, gpointer data,
                   GDestroyNotify data_clear, GError **error);
