/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp-client.h: a QMP client over json-c, over two transports.
 *
 * QEMU is not trusted: every buffer has a cap, every wait a deadline, JSON
 * nesting is limited, replies are matched by id, unknown ids are dropped.
 * A client on which a call timed out, or that received something that is not
 * QMP, is broken for good: every later call fails with QMP_ERROR_BROKEN.
 *
 * Threads: one thread at a time per client; different clients are independent.
 */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

#define QMP_ERROR (qmp_error_quark ())
GQuark qmp_error_quark (void);

typedef enum {
  QMP_ERROR_CONNECT,     /* no socket, refused, domain gone */
  QMP_ERROR_REFUSED,     /* libvirt does not let this connection talk to QEMU; asking again will not help */
  QMP_ERROR_PROTOCOL,    /* the peer sent something that is not QMP, or more than the cap */
  QMP_ERROR_TIMEOUT,     /* no answer within the deadline */
  QMP_ERROR_HANGUP,      /* the peer closed */
  QMP_ERROR_BROKEN,      /* an earlier call broke this client */
  QMP_ERROR_UNSUPPORTED, /* the transport cannot do this (descriptors over a plain pipe) */
  QMP_ERROR_COMMAND,     /* QEMU answered with an error; see qmp_error_class() */
  QMP_ERROR_REPLY,       /* QEMU's answer lacks a member or has one of the wrong type */
} QmpErrorCode;

typedef struct QmpClient QmpClient;

typedef struct {
  size_t max_message; /* bytes of one message from the peer; 0: 64 MiB */
  size_t max_events;  /* events kept until fetched, the oldest fall out; 0: 256 */
  guint connect_ms;   /* deadline for connect, greeting, capabilities; 0: 5000 */
  guint call_ms;      /* default deadline of a call; 0: 10000 */
} QmpLimits;

/* Connects to a QMP monitor socket and negotiates.  limits NULL: defaults. */
QmpClient *qmp_client_new_unix (const char *path, const QmpLimits *limits, GError **error);

/* The same on a connected stream socket; takes the descriptor over, also on failure. */
QmpClient *qmp_client_new_fd (int fd, const QmpLimits *limits, GError **error);

/* Talks through libvirt's passthrough (virDomainQemuMonitorCommandWithFiles).  Holds its own
 * reference on the domain.  Nothing is sent yet.  Each call runs in a thread of the client's own, so
 * that a hung libvirtd or QEMU costs the caller its deadline and not its life.  No events. */
QmpClient *qmp_client_new_libvirt (virDomainPtr domain, const QmpLimits *limits, GError **error);

void qmp_client_free (QmpClient *client); /* NULL is fine; never blocks on the peer */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QmpClient, qmp_client_free)

/* Sends one command and waits for its answer.
 * arguments: taken over (also on failure); NULL for none.
 * fds: n_fds descriptors sent along (SCM_RIGHTS); they stay the caller's.
 * timeout_ms: 0 for the client's default.
 * Returns the "return" member, to be released with json_object_put(). */
json_object *qmp_client_call (QmpClient *client, const char *command, json_object *arguments, const int *fds,
                              size_t n_fds, guint timeout_ms, GError **error);

/* The "class" of QEMU's error behind `error` (QMP_ERROR_COMMAND), e.g. "DeviceNotFound"; else NULL.
 * Never decide by the text. */
const char *qmp_error_class (const GError *error);

/* The next event that has arrived; waits up to timeout_ms (0: do not wait).  NULL without
 * error: none.  Always NULL on the libvirt transport.  json_object_put() the result. */
json_object *qmp_client_next_event (QmpClient *client, guint timeout_ms, GError **error);

/* With a handler, events are not kept but handed over as they arrive, also while qmp_client_call() waits
 * for an answer (that is how a long call shows progress).  The event is borrowed; the handler must not call
 * the client.  NULL: keep them again. */
typedef void (*QmpEventHandler) (json_object *event, void *opaque);
void qmp_client_set_event_handler (QmpClient *client, QmpEventHandler handler, void *opaque);

/* True when the peer knows the command, by query-qmp-schema (fetched once, lazily). */
bool qmp_client_has_command (QmpClient *client, const char *command, GError **error);

/* True when `command`'s arguments have a member `argument` (follows object types; one level). */
bool qmp_client_has_argument (QmpClient *client, const char *command, const char *argument, GError **error);
