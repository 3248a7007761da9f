/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp-transport.h: how a command gets to a QEMU and its answer back.  Private to qmp/.
 */
#pragma once

#include "qmp-client.h"

typedef struct QmpTransport QmpTransport;

typedef struct {
  /* Sends one command object (borrowed) with its descriptors and returns the reply whose "id" matches: the
   * whole object, with "return" or "error".  Errors other than QMP_ERROR_UNSUPPORTED mean the transport is
   * done for. */
  json_object *(*call) (QmpTransport *transport, json_object *command, const char *id, const int *fds,
                        size_t n_fds, guint timeout_ms, GError **error);
  json_object *(*next_event) (QmpTransport *transport, guint timeout_ms, GError **error);
  void (*free) (QmpTransport *transport);
} QmpTransportOps;

struct QmpTransport {
  const QmpTransportOps *ops;
  QmpEventHandler handler; /* NULL: events are kept */
  void *handler_opaque;
};

/* The defaults where limits has zeros, or all of them when it is NULL. */
QmpLimits qmp_limits_complete (const QmpLimits *limits);
/* Takes the transport over. */
QmpClient *qmp_client_new_transport (QmpTransport *transport, const QmpLimits *complete);

/* limits are complete (no zeros).  Takes fd over. */
QmpTransport *qmp_transport_socket_new (int fd, const QmpLimits *limits);
/* Reads the greeting and negotiates capabilities. */
bool qmp_transport_socket_negotiate (QmpTransport *transport, GError **error);
int qmp_transport_socket_connect (const char *path, guint timeout_ms, GError **error);
