/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nbd-socket.h: a listening socket for an NBD server, with guardd's own ends of
 * the connections already on it.
 *
 * The name exists for the instant between bind and connect, in a directory that
 * only root may enter; afterwards nobody else can reach the server and nothing is left
 * on disk, however guardd ends.
 */
#pragma once

#include <gio/gio.h>
#include <glib.h>
#include <stdbool.h>

/* *listener: to be handed to the server; clients[0 … n-1]: connected.  All close-on-exec, the caller's. */
bool nbd_socket_open (const char *run_dir, guint n, int *listener, int *clients, GError **error);

/* One image served by qemu-nbd, through a socket as above. */
typedef struct {
  const char *path;
  const char *format; /* given to QEMU always: a guest must not choose how its disk is read */
  bool writable;      /* else read-only, and without QEMU's image locks: a guest may start meanwhile */
} NbdImage;

typedef struct NbdServer NbdServer;
/* Starts qemu-nbd; it dies with guardd (PDEATHSIG) or with the connection.  *client: connected, the caller's.
 */
NbdServer *nbd_server_start (const char *run_dir, const NbdImage *image, int *client, GError **error);
/* Ends it and waits: after a close of the client within 10 s it is killed.  error (may be NULL): it
 * exited with a failure; its last words are in the message.  Frees. */
bool nbd_server_stop (NbdServer *server, GError **error);
/* Where nothing that it has done counts: told to end first, since it waits for a client that went before they
 * had come to terms.  False: it had to be killed all the same.  Frees. */
bool nbd_server_abort (NbdServer *server);
/* What it has said on stderr so far, for the message of a failed connection; g_free(). */
char *nbd_server_words (NbdServer *server);
