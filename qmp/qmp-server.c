/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp-server.h"

#include "qmp-client.h"
#include "qmp-codec.h"

#include <gio/gunixsocketaddress.h>
#include <string.h>

#define MESSAGE_MAX ((size_t)1 << 20)  /* of a command */
#define BACKLOG_MAX ((size_t)64 << 20) /* bytes of answers not read yet: more, and the peer is dropped */
#define BACKLOG_HIGH ((size_t)1 << 20) /* above this events are left out, and commands wait */
#define READ_SIZE 65536u

struct QmpPeer {
  gint references; /* atomic */
  GSocketConnection *connection;
  GMainContext *context;
  QmpPeerCallbacks callbacks;
  void *opaque;
  QmpCodec *codec;
  GQueue commands; /* json_object: read, and not looked at yet; no more is read until they are */
  GError *garbage; /* what came after them; NULL: nothing */
  gint answers;    /* atomic: on their way to out */
  bool negotiated, closed;
  GSource *readable, *writable;
  GByteArray *out; /* not sent yet */
  gsize sent;      /* of out */
  guint64 dropped; /* events since the last that went out */
};

struct QmpRequest {
  QmpPeer *peer;
  json_object *id;
  json_object *answer; /* on its way to the peer's thread */
};

/* --- life --- */

QmpPeer *
qmp_peer_ref (QmpPeer *peer)
{
  g_atomic_int_inc (&peer->references);
  return peer;
}

static void
json_object_drop (gpointer object)
{
  json_object_put (object);
}

void
qmp_peer_unref (QmpPeer *peer)
{
  if (peer == NULL || !g_atomic_int_dec_and_test (&peer->references))
    return;
  g_object_unref (peer->connection);
  g_main_context_unref (peer->context);
  qmp_codec_free (peer->codec);
  g_queue_clear_full (&peer->commands, json_object_drop);
  g_clear_error (&peer->garbage);
  g_byte_array_unref (peer->out);
  g_free (peer);
}

static void
source_clear (GSource **source)
{
  if (*source == NULL)
    return;
  g_source_destroy (*source);
  g_source_unref (*source);
  *source = NULL;
}

void
qmp_peer_close (QmpPeer *peer)
{
  if (peer->closed)
    return;
  peer->closed = true;
  source_clear (&peer->readable);
  source_clear (&peer->writable);
  g_io_stream_close (G_IO_STREAM (peer->connection), NULL, NULL);
  if (peer->callbacks.closed)
    peer->callbacks.closed (peer, peer->opaque);
  qmp_peer_unref (peer); /* the main loop's */
}

static GSource *
peer_watch (QmpPeer *peer, GIOCondition condition, GSocketSourceFunc function)
{
  GSource *source
      = g_socket_create_source (g_socket_connection_get_socket (peer->connection), condition, NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (function), peer, NULL);
  g_source_attach (source, peer->context);
  return source;
}

/* --- writing --- */

static gboolean peer_writable (GSocket *socket, GIOCondition condition, gpointer data);
static void peer_work (QmpPeer *peer);

/* Sends what fits; the rest goes when the socket takes it.  False: the peer is closed. */
static bool
peer_flush (QmpPeer *peer)
{
  GSocket *socket = g_socket_connection_get_socket (peer->connection);
  while (peer->sent < peer->out->len) {
    g_autoptr (GError) error = NULL;
    gssize n = g_socket_send (socket, (const char *)peer->out->data + peer->sent, peer->out->len - peer->sent,
                              NULL, &error);
    if (n > 0)
      peer->sent += (gsize)n;
    else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
      if (peer->writable == NULL)
        peer->writable = peer_watch (peer, G_IO_OUT, peer_writable);
      return true;
    } else {
      qmp_peer_close (peer);
      return false;
    }
  }
  g_byte_array_set_size (peer->out, 0);
  peer->sent = 0;
  return true;
}

static gboolean
peer_writable (GSocket *socket, GIOCondition condition, gpointer data)
{
  QmpPeer *peer = qmp_peer_ref (data);
  source_clear (&peer->writable);
  if (peer_flush (peer))
    peer_work (peer);
  qmp_peer_unref (peer);
  return G_SOURCE_REMOVE;
}

/* message is taken over. */
static void
peer_send (QmpPeer *peer, json_object *message)
{
  size_t length = 0;
  g_autofree char *text = qmp_codec_encode (message, &length);
  json_object_put (message);
  if (peer->closed)
    return;
  if (peer->sent > 0) {
    g_byte_array_remove_range (peer->out, 0, (guint)peer->sent);
    peer->sent = 0;
  }
  if (peer->out->len + length > BACKLOG_MAX) {
    qmp_peer_close (peer);
    return;
  }
  g_byte_array_append (peer->out, (const guint8 *)text, (guint)length);
  peer_flush (peer);
}

static json_object *
error_new (json_object *id, const char *error_class, const char *message)
{
  json_object *answer = json_object_new_object (), *error = json_object_new_object ();
  g_autofree char *valid = g_utf8_make_valid (message, -1);
  json_object_object_add (error, "class", json_object_new_string (error_class));
  json_object_object_add (error, "desc", json_object_new_string (valid));
  json_object_object_add (answer, "error", error);
  if (id != NULL)
    json_object_object_add (answer, "id", json_object_get (id));
  return answer;
}

/* --- requests --- */

static void
request_free (gpointer data)
{
  QmpRequest *request = data;
  qmp_peer_unref (request->peer);
  json_object_put (request->id);
  json_object_put (request->answer);
  g_free (request);
}

static gboolean
request_deliver (gpointer data)
{
  QmpRequest *request = data;
  json_object *answer = g_steal_pointer (&request->answer);
  if (request->id != NULL)
    json_object_object_add (answer, "id", json_object_get (request->id));
  g_atomic_int_add (&request->peer->answers, -1);
  peer_send (request->peer, answer);
  peer_work (request->peer);
  return G_SOURCE_REMOVE;
}

/* The peer, its socket and the request's JSON belong to one thread; the answer is carried there. */
static void
request_answer (QmpRequest *request, json_object *answer)
{
  request->answer = answer;
  g_atomic_int_inc (&request->peer->answers);
  GSource *source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, request_deliver, request, request_free);
  g_source_attach (source, request->peer->context);
  g_source_unref (source);
}

void
qmp_request_return (QmpRequest *request, json_object *value)
{
  json_object *answer = json_object_new_object ();
  json_object_object_add (answer, "return", value ? value : json_object_new_object ());
  request_answer (request, answer);
}

void
qmp_request_fail (QmpRequest *request, const char *error_class, const char *message)
{
  request_answer (request, error_new (NULL, error_class, message));
}

QmpPeer *
qmp_request_peer (QmpRequest *request)
{
  return request->peer;
}

json_object *
qmp_request_id (QmpRequest *request)
{
  return request->id;
}

/* --- reading --- */

static void
peer_command (QmpPeer *peer, const char *name, json_object *arguments, json_object *id)
{
  if (strcmp (name, "qmp_capabilities") == 0) {
    json_object *answer = json_object_new_object ();
    peer->negotiated = true;
    json_object_object_add (answer, "return", json_object_new_object ());
    if (id != NULL)
      json_object_object_add (answer, "id", json_object_get (id));
    peer_send (peer, answer);
  } else if (!peer->negotiated)
    peer_send (peer, error_new (id, "CommandNotFound", "qmp_capabilities must come first"));
  else {
    QmpRequest *request = g_new0 (QmpRequest, 1);
    request->peer = qmp_peer_ref (peer);
    request->id = json_object_get (id);
    peer->callbacks.command (peer, request, name, arguments, peer->opaque);
  }
}

static void
peer_message (QmpPeer *peer, json_object *message)
{
  json_object *execute = NULL, *arguments = NULL, *id = NULL;
  json_object_object_get_ex (message, "id", &id);
  json_object_object_foreach (message, key, value)
  {
    (void)value;
    if (strcmp (key, "execute") != 0 && strcmp (key, "arguments") != 0 && strcmp (key, "id") != 0) {
      peer_send (peer, error_new (id, "GenericError",
                                  "a command has the members execute, arguments and id, and no others"));
      return;
    }
  }
  json_object_object_get_ex (message, "execute", &execute);
  json_object_object_get_ex (message, "arguments", &arguments);
  if (!json_object_is_type (execute, json_type_string)
      || (arguments != NULL && !json_object_is_type (arguments, json_type_object)))
    peer_send (peer,
               error_new (id, "GenericError", "execute must be a string, and arguments an object if given"));
  else
    peer_command (peer, json_object_get_string (execute), arguments, id);
}

/* What a peer has not read yet, and what it can make guardd write meanwhile, is memory. */
static bool
peer_is_behind (QmpPeer *peer)
{
  return g_atomic_int_get (&peer->answers) > 0 || peer->out->len - peer->sent > BACKLOG_HIGH;
}

static gboolean peer_readable (GSocket *socket, GIOCondition condition, gpointer data);

/* Looks at the commands that are there, and when that is done, for more.  While the peer is behind, at none:
 * this is called again when it has caught up. */
static void
peer_work (QmpPeer *peer)
{
  while (!peer->closed && !peer_is_behind (peer) && !g_queue_is_empty (&peer->commands)) {
    json_object *message = g_queue_pop_head (&peer->commands);
    peer_message (peer, message);
    json_object_put (message);
  }
  if (peer->closed || peer_is_behind (peer))
    return;
  if (peer->garbage) {
    peer_send (peer, error_new (NULL, "GenericError", peer->garbage->message));
    qmp_peer_close (peer);
  } else if (peer->readable == NULL)
    peer->readable = peer_watch (peer, G_IO_IN | G_IO_HUP, peer_readable);
}

static gboolean
peer_readable (GSocket *socket, GIOCondition condition, gpointer data)
{
  QmpPeer *peer = qmp_peer_ref (data);
  g_autoptr (GError) error = NULL;
  char buffer[READ_SIZE];
  source_clear (&peer->readable);
  gssize n = g_socket_receive (socket, buffer, sizeof buffer, NULL, &error);
  if (n > 0)
    qmp_codec_feed (peer->codec, buffer, (gsize)n, &peer->commands, &peer->garbage);
  if (n > 0 || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    peer_work (peer);
  else
    qmp_peer_close (peer);
  qmp_peer_unref (peer);
  return G_SOURCE_REMOVE;
}

/* --- peers --- */

QmpPeer *
qmp_peer_new (GSocketConnection *connection, json_object *version, GMainContext *context,
              const QmpPeerCallbacks *callbacks, void *opaque)
{
  QmpPeer *peer = g_new0 (QmpPeer, 1);
  json_object *greeting = json_object_new_object (), *qmp = json_object_new_object ();
  peer->references = 2; /* the caller's and the main loop's */
  peer->connection = g_object_ref (connection);
  peer->context = context ? g_main_context_ref (context) : g_main_context_ref_thread_default ();
  peer->callbacks = *callbacks;
  peer->opaque = opaque;
  peer->codec = qmp_codec_new (MESSAGE_MAX);
  peer->out = g_byte_array_new ();
  g_socket_set_blocking (g_socket_connection_get_socket (connection), FALSE);
  peer->readable = peer_watch (peer, G_IO_IN | G_IO_HUP, peer_readable);
  json_object_object_add (qmp, "version", version);
  json_object_object_add (qmp, "capabilities", json_object_new_array ());
  json_object_object_add (greeting, "QMP", qmp);
  /* Sent by the main loop: no callback before the caller has the peer. */
  size_t length = 0;
  g_autofree char *text = qmp_codec_encode (greeting, &length);
  json_object_put (greeting);
  g_byte_array_append (peer->out, (const guint8 *)text, (guint)length);
  peer->writable = peer_watch (peer, G_IO_OUT, peer_writable);
  return peer;
}

void
qmp_peer_event (QmpPeer *peer, const char *name, json_object *data)
{
  if (peer->closed || !peer->negotiated || peer->out->len - peer->sent > BACKLOG_HIGH) {
    peer->dropped += peer->negotiated;
    json_object_put (data);
    return;
  }
  json_object *event = json_object_new_object (), *timestamp = json_object_new_object ();
  gint64 now = g_get_real_time ();
  if (peer->dropped > 0 && data != NULL)
    json_object_object_add (data, "dropped", json_object_new_int64 ((gint64)peer->dropped));
  peer->dropped = 0;
  json_object_object_add (event, "event", json_object_new_string (name));
  json_object_object_add (event, "data", data ? data : json_object_new_object ());
  json_object_object_add (timestamp, "seconds", json_object_new_int64 (now / G_USEC_PER_SEC));
  json_object_object_add (timestamp, "microseconds", json_object_new_int64 (now % G_USEC_PER_SEC));
  json_object_object_add (event, "timestamp", timestamp);
  peer_send (peer, event);
}
