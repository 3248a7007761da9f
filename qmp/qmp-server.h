/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp-server.h: the server's end of the same wire, for a program that wants to
 * be driven by any QMP tool.  One QmpPeer per accepted connection, on a GMainContext.
 *
 * The peer is not trusted: message size, nesting, queued replies and events are
 * bounded.  While one does not read its answers, none of its commands is looked at.
 * Threads: all calls from the thread that runs the peer's main context, except
 * qmp_peer_reply_*, which may come from any thread.
 */
#pragma once

#include <gio/gio.h>
#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

typedef struct QmpPeer QmpPeer;       /* reference counted */
typedef struct QmpRequest QmpRequest; /* one command waiting for its one answer */

typedef struct {
  /* A command has come.  Answer with qmp_request_return/_fail, now or later; arguments is borrowed for
   * the call, an object or NULL. */
  void (*command) (QmpPeer *peer, QmpRequest *request, const char *name, json_object *arguments,
                   void *opaque);
  /* The peer is gone; no callback follows.  Requests still open may be answered into the void. */
  void (*closed) (QmpPeer *peer, void *opaque);
} QmpPeerCallbacks;

/* Takes the connected socket over, sends the greeting
 * {"QMP": {"version": version, "capabilities": []}}; version is taken over.
 * context NULL: the thread's default.  The peer stays referenced by the main loop until closed. */
QmpPeer *qmp_peer_new (GSocketConnection *connection, json_object *version, GMainContext *context,
                       const QmpPeerCallbacks *callbacks, void *opaque);
QmpPeer *qmp_peer_ref (QmpPeer *peer);
void qmp_peer_unref (QmpPeer *peer);
void qmp_peer_close (QmpPeer *peer);

/* Sends an event {"event": name, "data": data, "timestamp": …}; data is taken over.  Not before
 * qmp_capabilities.  Dropped, and counted in the next one's data as "dropped", when the peer does not read.
 */
void qmp_peer_event (QmpPeer *peer, const char *name, json_object *data);

/* Answers; the request is gone.  value is taken over, NULL: {}.  Any thread. */
void qmp_request_return (QmpRequest *request, json_object *value);
void qmp_request_fail (QmpRequest *request, const char *error_class, const char *message);
QmpPeer *qmp_request_peer (QmpRequest *request);
/* The request's "id" as it came, any JSON value; borrowed, NULL when it had none.  In the thread of the
 * peer's main context only, and before the request is answered. */
json_object *qmp_request_id (QmpRequest *request);
