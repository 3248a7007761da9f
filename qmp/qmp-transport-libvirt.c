/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's passthrough blocks for as long as QEMU or libvirtd like.  So every transport has a thread that
 * makes the calls; a caller that gives up leaves it behind, and the thread frees what they shared once
 * libvirt lets go.
 */
#include "qmp-transport.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  char *command; /* JSON; NULL: end the thread */
  unsigned int n_fds;
  int *fds; /* duplicates, closed with the request */
  char *reply;
  char *failure;
  int code; /* libvirt's, of the failure */
  bool done, abandoned;
} Request;

/* Shared by the thread and the transport; reference counted. */
typedef struct {
  gint refs;
  virDomainPtr domain;
  GMutex lock;
  GCond changed;
  Request *pending; /* handed to the thread, or being run by it */
  bool taken;       /* the thread has it */
  bool end;
} Shared;

typedef struct {
  QmpTransport base;
  Shared *shared;
  size_t max_message;
} LibvirtTransport;

static void
request_free (Request *request)
{
  for (unsigned int i = 0; i < request->n_fds; i++)
    close (request->fds[i]);
  g_free (request->fds);
  g_free (request->command);
  free (request->reply); /* libvirt's malloc() */
  g_free (request->failure);
  g_free (request);
}

static void
shared_unref (Shared *shared)
{
  if (!g_atomic_int_dec_and_test (&shared->refs))
    return;
  virDomainFree (shared->domain);
  g_mutex_clear (&shared->lock);
  g_cond_clear (&shared->changed);
  g_free (shared);
}

static void
run_request (virDomainPtr domain, Request *request)
{
  unsigned int n_out = 0;
  int *out = NULL;

  /* With descriptors libvirt asks its daemon before every call whether it takes any: a round trip more. */
  int result = request->n_fds == 0
                   ? virDomainQemuMonitorCommand (domain, request->command, &request->reply, 0)
                   : virDomainQemuMonitorCommandWithFiles (domain, request->command, request->n_fds,
                                                           request->fds, &n_out, &out, &request->reply, 0);
  if (result < 0) {
    const virError *last = virGetLastError ();

    request->code = last ? last->code : VIR_ERR_INTERNAL_ERROR;
    request->failure = g_strdup (last && last->message ? last->message : "libvirt gave no reason");
  }
  for (unsigned int i = 0; i < n_out; i++)
    close (out[i]);
  free (out);
}

static gpointer
call_thread (gpointer data)
{
  Shared *shared = data;

  g_mutex_lock (&shared->lock);
  for (;;) {
    Request *request;

    while (!shared->end && !(shared->pending && !shared->taken))
      g_cond_wait (&shared->changed, &shared->lock);
    if (shared->end && !(shared->pending && !shared->taken))
      break;
    request = shared->pending;
    shared->taken = true;
    g_mutex_unlock (&shared->lock);
    run_request (shared->domain, request);
    g_mutex_lock (&shared->lock);
    shared->pending = NULL;
    shared->taken = false;
    request->done = true;
    if (request->abandoned)
      request_free (request);
    g_cond_broadcast (&shared->changed);
  }
  g_mutex_unlock (&shared->lock);
  shared_unref (shared);
  return NULL;
}

static Request *
request_new (json_object *command, const int *fds, size_t n_fds, GError **error)
{
  Request *request = g_new0 (Request, 1);

  request->command = g_strdup (json_object_to_json_string_ext (command, JSON_C_TO_STRING_PLAIN));
  request->fds = g_new0 (int, n_fds + 1);
  for (size_t i = 0; i < n_fds; i++) {
    request->fds[i] = fcntl (fds[i], F_DUPFD_CLOEXEC, 3);
    if (request->fds[i] < 0) {
      g_set_error (error, QMP_ERROR, QMP_ERROR_UNSUPPORTED, "descriptor: %s", g_strerror (errno));
      request_free (request);
      return NULL;
    }
    request->n_fds++;
  }
  return request;
}

/* True once it is done; else it belongs to the thread from now on. */
static bool
hand_over (Shared *shared, Request *request, guint timeout_ms)
{
  gint64 deadline = g_get_monotonic_time () + (gint64)timeout_ms * 1000;
  bool done;

  g_mutex_lock (&shared->lock);
  shared->pending = request;
  g_cond_broadcast (&shared->changed);
  while (!request->done && g_cond_wait_until (&shared->changed, &shared->lock, deadline))
    ;
  done = request->done;
  if (!done)
    request->abandoned = true;
  g_mutex_unlock (&shared->lock);
  return done;
}

static json_object *
parse_reply (const Request *request, size_t max_message, GError **error)
{
  json_object *reply;
  json_tokener *tokener;
  size_t length = strlen (request->reply);

  if (length > max_message || length > G_MAXINT) {
    g_set_error (error, QMP_ERROR, QMP_ERROR_PROTOCOL, "a reply over the size limit");
    return NULL;
  }
  tokener = json_tokener_new_ex (64);
  json_tokener_set_flags (tokener, JSON_TOKENER_VALIDATE_UTF8);
  reply = json_tokener_parse_ex (tokener, request->reply, (int)length + 1);
  if (!reply || !json_object_is_type (reply, json_type_object)) {
    json_object_put (reply);
    reply = NULL;
    g_set_error (error, QMP_ERROR, QMP_ERROR_PROTOCOL, "not QMP: %s",
                 json_tokener_error_desc (json_tokener_get_error (tokener)));
  }
  json_tokener_free (tokener);
  return reply;
}

/* Codes that say "you may not" or "not here", as against "not now". */
static bool
is_refusal (int code)
{
  return code == VIR_ERR_ACCESS_DENIED || code == VIR_ERR_OPERATION_DENIED || code == VIR_ERR_NO_SUPPORT
         || code == VIR_ERR_AUTH_FAILED || code == VIR_ERR_AUTH_CANCELLED || code == VIR_ERR_AUTH_UNAVAILABLE;
}

static json_object *
libvirt_call (QmpTransport *transport, json_object *command, const char *id, const int *fds, size_t n_fds,
              guint timeout_ms, GError **error)
{
  LibvirtTransport *t = (LibvirtTransport *)transport;
  Request *request;
  json_object *reply = NULL;

  json_object_object_del (command, "id"); /* libvirt puts one of its own */
  request = request_new (command, fds, n_fds, error);
  if (!request)
    return NULL;
  if (!hand_over (t->shared, request, timeout_ms)) {
    g_set_error (error, QMP_ERROR, QMP_ERROR_TIMEOUT, "no answer through libvirt within %u ms", timeout_ms);
    return NULL;
  }
  if (request->failure)
    g_set_error (error, QMP_ERROR, is_refusal (request->code) ? QMP_ERROR_REFUSED : QMP_ERROR_CONNECT,
                 "libvirt: %s", request->failure);
  else
    reply = parse_reply (request, t->max_message, error);
  request_free (request);
  return reply;
}

static json_object *
libvirt_next_event (QmpTransport *transport, guint timeout_ms, GError **error)
{
  return NULL;
}

static void
libvirt_free (QmpTransport *transport)
{
  LibvirtTransport *t = (LibvirtTransport *)transport;

  g_mutex_lock (&t->shared->lock);
  t->shared->end = true;
  g_cond_broadcast (&t->shared->changed);
  g_mutex_unlock (&t->shared->lock);
  shared_unref (t->shared);
  g_free (t);
}

/* Here, not in qmp-client.c: programs that never call it are then not linked with libvirt, whose libraries
 * take longer to load than most commands take. */
QmpClient *
qmp_client_new_libvirt (virDomainPtr domain, const QmpLimits *limits, GError **error)
{
  static const QmpTransportOps ops = { libvirt_call, libvirt_next_event, libvirt_free };
  QmpLimits complete = qmp_limits_complete (limits);
  LibvirtTransport *t = g_new0 (LibvirtTransport, 1);
  Shared *shared = g_new0 (Shared, 1);

  virDomainRef (domain);
  shared->refs = 2;
  shared->domain = domain;
  g_mutex_init (&shared->lock);
  g_cond_init (&shared->changed);
  t->base.ops = &ops;
  t->shared = shared;
  t->max_message = complete.max_message;
  g_thread_unref (g_thread_new ("qmp-libvirt", call_thread, shared));
  return qmp_client_new_transport (&t->base, &complete);
}
