/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control-private.h: what control*.c share.
 */
#pragma once

#include "qmp/qmp-server.h"

#include "control.h"

/* --- control-listener.c --- */
typedef struct ControlListener ControlListener;
/* Listens on `path` (mode, gid; (gid_t)-1: the process's own) and hands over every connection, on `context`.
 */
ControlListener *control_listener_new (const char *path, mode_t mode, gid_t gid, GMainContext *context,
                                       void (*accepted) (GSocketConnection *connection, void *opaque),
                                       void *opaque, GError **error);
void control_listener_free (ControlListener *listener); /* removes the socket; NULL is fine */

/* --- control-arguments.c --- */
typedef struct {
  bool given;
  union {
    char *string;
    guint64 number;
    bool flag;
    char **strings;
  };
} ControlValue;

/* One value per entry of command->arguments, in its order; copies, so that other threads need not touch
 * the request's JSON, whose reference counts are not atomic.  arguments NULL: none. */
ControlValue *control_arguments_read (const ControlCommand *command, json_object *arguments, GError **error);
void control_arguments_free (const ControlCommand *command, ControlValue *values);
/* "[{name, type, required, help}…]" */
json_object *control_arguments_describe (const ControlCommand *command);

/* --- control.c --- */
/* One connection.  Atomic references: its calls hold one each. */
typedef struct {
  Control *control; /* NULL once closed; main context only, as is qmp */
  QmpPeer *qmp;     /* NULL once closed */
  bool writes;
  uid_t uid;
  GCancellable *gone;
  gint open_calls; /* atomic */
} ControlPeer;
void control_peer_unref (ControlPeer *peer);

/* Runs on `context`, at once when this is its thread. */
void control_invoke (GMainContext *context, GSourceFunc function, gpointer data, GDestroyNotify destroy);

/* --- control-call.c --- */
/* Takes request and values over. */
ControlCall *control_call_new (ControlPeer *peer, QmpRequest *request, const ControlCommand *command,
                               ControlValue *values, void *opaque, GMainContext *context);
