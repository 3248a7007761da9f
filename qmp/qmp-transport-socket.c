/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp-codec.h"
#include "qmp-transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE 65536
#define MAX_FDS 16

typedef struct {
  QmpTransport base;
  int fd;
  QmpLimits limits;
  QmpCodec *codec;
  GQueue messages; /* json_object: parsed, not looked at yet */
  GQueue events;   /* json_object: kept until fetched, at most limits.max_events */
  char buffer[READ_SIZE];
} SocketTransport;

static bool
fail_errno (GError **error, const char *what)
{
  g_set_error (error, QMP_ERROR, QMP_ERROR_HANGUP, "%s: %s", what, g_strerror (errno));
  return false;
}

/* Waits until the socket is ready; deadline in monotonic microseconds. */
static bool
wait_ready (SocketTransport *t, short events, gint64 deadline, GError **error)
{
  for (;;) {
    struct pollfd fd = { .fd = t->fd, .events = events };
    gint64 left = deadline - g_get_monotonic_time ();
    int n = poll (&fd, 1, left > 0 ? (int)MIN ((left + 999) / 1000, G_MAXINT) : 0);

    if (n > 0)
      return true;
    if (n < 0 && errno != EINTR)
      return fail_errno (error, "poll");
    if (n == 0 && g_get_monotonic_time () >= deadline) {
      g_set_error (error, QMP_ERROR, QMP_ERROR_TIMEOUT, "no answer within the deadline");
      return false;
    }
  }
}

/* The descriptors go with the first byte; more than one sendmsg() may be needed for the rest. */
static ssize_t
send_some (int fd, const char *data, size_t length, const int *fds, size_t n_fds)
{
  struct iovec iov = { .iov_base = (void *)data, .iov_len = length };
  char control[CMSG_SPACE (sizeof (int) * MAX_FDS)] = { 0 };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

  if (n_fds > 0) {
    struct cmsghdr *header;

    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE (sizeof (int) * n_fds);
    header = CMSG_FIRSTHDR (&message);
    g_assert (header); /* there is room for one */
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN (sizeof (int) * n_fds);
    memcpy (CMSG_DATA (header), fds, sizeof (int) * n_fds);
  }
  return sendmsg (fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool
send_all (SocketTransport *t, json_object *message, const int *fds, size_t n_fds, gint64 deadline,
          GError **error)
{
  size_t length, at = 0;
  g_autofree char *wire = qmp_codec_encode (message, &length);

  while (at < length) {
    ssize_t n = send_some (t->fd, wire + at, length - at, fds, n_fds);

    if (n > 0) {
      at += (size_t)n;
      n_fds = 0;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
      return fail_errno (error, "send");
    } else if (!wait_ready (t, POLLOUT, deadline, error)) {
      return false;
    }
  }
  return true;
}

/* A peer has no business sending descriptors: without a control buffer the kernel discards them
 * (recvmsg(2), MSG_CTRUNC), so none can pile up here. */
static bool
receive (SocketTransport *t, gint64 deadline, GError **error)
{
  ssize_t n;

  if (!wait_ready (t, POLLIN, deadline, error))
    return false;
  n = recv (t->fd, t->buffer, sizeof t->buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return true;
  if (n < 0)
    return fail_errno (error, "receive");
  if (n == 0) {
    g_set_error (error, QMP_ERROR, QMP_ERROR_HANGUP, "the monitor was closed%s",
                 qmp_codec_is_inside (t->codec) ? " in the middle of a message" : "");
    return false;
  }
  return qmp_codec_feed (t->codec, t->buffer, (size_t)n, &t->messages, error);
}

static void
keep_event (SocketTransport *t, json_object *event)
{
  if (t->base.handler != NULL) {
    t->base.handler (event, t->base.handler_opaque);
    json_object_put (event);
    return;
  }
  g_queue_push_tail (&t->events, event);
  if (t->events.length > t->limits.max_events)
    json_object_put (g_queue_pop_head (&t->events));
}

static bool
id_matches (json_object *message, const char *id)
{
  json_object *found;

  return json_object_object_get_ex (message, "id", &found) && json_object_is_type (found, json_type_string)
         && g_str_equal (json_object_get_string (found), id);
}

/* Takes queued messages: events are kept, the reply is returned, what answers nobody is dropped. An error
 * without id can only be about a command that QEMU could not read: the one just sent. */
static json_object *
take_reply (SocketTransport *t, const char *id)
{
  json_object *message;

  while ((message = g_queue_pop_head (&t->messages))) {
    if (json_object_object_get_ex (message, "event", NULL))
      keep_event (t, message);
    else if (id_matches (message, id)
             || (json_object_object_get_ex (message, "error", NULL)
                 && !json_object_object_get_ex (message, "id", NULL)))
      return message;
    else
      json_object_put (message);
  }
  return NULL;
}

static json_object *
socket_call (QmpTransport *transport, json_object *command, const char *id, const int *fds, size_t n_fds,
             guint timeout_ms, GError **error)
{
  SocketTransport *t = (SocketTransport *)transport;
  gint64 deadline = g_get_monotonic_time () + (gint64)timeout_ms * 1000;
  json_object *reply;

  if (n_fds > MAX_FDS) {
    g_set_error (error, QMP_ERROR, QMP_ERROR_UNSUPPORTED, "more than %d descriptors at once", MAX_FDS);
    return NULL;
  }
  if (!send_all (t, command, fds, n_fds, deadline, error))
    return NULL;
  while (!(reply = take_reply (t, id)))
    if (!receive (t, deadline, error))
      return NULL;
  return reply;
}

static json_object *
socket_next_event (QmpTransport *transport, guint timeout_ms, GError **error)
{
  SocketTransport *t = (SocketTransport *)transport;
  gint64 deadline = g_get_monotonic_time () + (gint64)timeout_ms * 1000;
  GError *local = NULL;

  for (;;) {
    json_object *stray = take_reply (t, "");

    json_object_put (stray);
    if (t->events.length > 0)
      return g_queue_pop_head (&t->events);
    if (!stray && !receive (t, deadline, &local))
      break;
  }
  if (g_error_matches (local, QMP_ERROR, QMP_ERROR_TIMEOUT))
    g_clear_error (&local);
  else
    g_propagate_error (error, local);
  return NULL;
}

static void
put_message (gpointer message)
{
  json_object_put (message);
}

static void
socket_free (QmpTransport *transport)
{
  SocketTransport *t = (SocketTransport *)transport;

  close (t->fd);
  qmp_codec_free (t->codec);
  g_queue_clear_full (&t->messages, put_message);
  g_queue_clear_full (&t->events, put_message);
  g_free (t);
}

QmpTransport *
qmp_transport_socket_new (int fd, const QmpLimits *limits)
{
  static const QmpTransportOps ops = { socket_call, socket_next_event, socket_free };
  SocketTransport *t = g_new0 (SocketTransport, 1);

  t->base.ops = &ops;
  t->fd = fd;
  t->limits = *limits;
  t->codec = qmp_codec_new (limits->max_message);
  g_queue_init (&t->messages);
  g_queue_init (&t->events);
  return &t->base;
}

bool
qmp_transport_socket_negotiate (QmpTransport *transport, GError **error)
{
  SocketTransport *t = (SocketTransport *)transport;
  gint64 deadline = g_get_monotonic_time () + (gint64)t->limits.connect_ms * 1000;
  json_object *command, *reply, *greeting;
  bool ok;

  while (!(greeting = g_queue_pop_head (&t->messages)))
    if (!receive (t, deadline, error))
      return false;
  ok = json_object_object_get_ex (greeting, "QMP", NULL);
  json_object_put (greeting);
  if (!ok) {
    g_set_error (error, QMP_ERROR, QMP_ERROR_PROTOCOL, "not QMP: the first message is no greeting");
    return false;
  }
  command = json_object_new_object ();
  json_object_object_add (command, "execute", json_object_new_string ("qmp_capabilities"));
  json_object_object_add (command, "id", json_object_new_string ("caps"));
  reply = socket_call (transport, command, "caps", NULL, 0, t->limits.connect_ms, error);
  json_object_put (command);
  if (!reply)
    return false;
  ok = json_object_object_get_ex (reply, "return", NULL);
  json_object_put (reply);
  if (!ok)
    g_set_error (error, QMP_ERROR, QMP_ERROR_PROTOCOL, "not QMP: capabilities were refused");
  return ok;
}

int
qmp_transport_socket_connect (const char *path, guint timeout_ms, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct timeval timeout = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
  int fd;

  if (strlen (path) >= sizeof address.sun_path) {
    g_set_error (error, QMP_ERROR, QMP_ERROR_CONNECT, "%s: too long for a socket's name", path);
    return -1;
  }
  memcpy (address.sun_path, path, strlen (path) + 1);
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  /* SO_SNDTIMEO bounds connect() where the peer's backlog is full */
  if (fd < 0 || setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0
      || connect (fd, (struct sockaddr *)&address, sizeof address) < 0) {
    g_set_error (error, QMP_ERROR, QMP_ERROR_CONNECT, "%s: %s", path, g_strerror (errno));
    if (fd >= 0)
      close (fd);
    return -1;
  }
  return fd;
}
