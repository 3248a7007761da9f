/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd-control"
#include "control-private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

struct ControlListener {
  char *path;
  GMainContext *context;
  GSocket *socket;
  GSource *source; /* the socket's, or a timeout after which it is watched again */
  struct stat identity;
  void (*accepted) (GSocketConnection *connection, void *opaque);
  void *opaque;
};

static bool
path_fail (const char *path, const char *what, int errno_value, GError **error)
{
  g_set_error (error, G_IO_ERROR, (gint)g_io_error_from_errno (errno_value), "%s: cannot %s: %s", path, what,
               g_strerror (errno_value));
  return false;
}

static bool
address_make (const char *path, struct sockaddr_un *address, GError **error)
{
  memset (address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (g_strlcpy (address->sun_path, path, sizeof address->sun_path) < sizeof address->sun_path)
    return true;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
               "%s: too long for a socket (at most %zu bytes); set a shorter run_dir", path,
               sizeof address->sun_path - 1);
  return false;
}

static int
socket_new (void)
{
  return socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Removes a socket that a killed daemon left; one that is listened on stays. */
static bool
stale_remove (const char *path, const struct sockaddr_un *address, GError **error)
{
  struct stat st;
  if (lstat (path, &st) < 0)
    return errno == ENOENT || path_fail (path, "look at it", errno, error);
  if (!S_ISSOCK (st.st_mode)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                 "%s: is there and is no socket; remove it or set another run_dir", path);
    return false;
  }
  int fd = socket_new ();
  int result = fd < 0 ? -1 : connect (fd, (const struct sockaddr *)address, sizeof *address);
  int errno_value = errno;
  if (fd >= 0)
    close (fd);
  if (result == 0 || errno_value == EAGAIN) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE,
                 "%s: somebody listens there already; stop the other guardd or set another run_dir", path);
    return false;
  }
  if (errno_value != ECONNREFUSED)
    return path_fail (path, "find out whether somebody listens there", errno_value, error);
  return unlink (path) == 0 || errno == ENOENT || path_fail (path, "remove the stale socket", errno, error);
}

/* Nobody can connect before listen(), so the permissions are right from the first connection on. */
static bool
socket_listen (int fd, const char *path, const struct sockaddr_un *address, mode_t mode, gid_t gid,
               struct stat *identity, GError **error)
{
  if (bind (fd, (const struct sockaddr *)address, sizeof *address) < 0)
    return path_fail (path, "make the socket", errno, error);
  if (chown (path, (uid_t)-1, gid) == 0 && chmod (path, mode) == 0 && stat (path, identity) == 0
      && listen (fd, BACKLOG) == 0)
    return true;
  path_fail (path, "listen there", errno, error);
  unlink (path);
  return false;
}

static gboolean listener_ready (GSocket *socket, GIOCondition condition, gpointer data);

static void
listener_set_source (ControlListener *listener, GSource *source, GSourceFunc callback)
{
  if (listener->source) {
    g_source_destroy (listener->source);
    g_source_unref (listener->source);
  }
  listener->source = source;
  g_source_set_callback (source, callback, listener, NULL);
  g_source_attach (source, listener->context);
}

static gboolean
listener_watch (gpointer data)
{
  ControlListener *listener = data;
  listener_set_source (listener, g_socket_create_source (listener->socket, G_IO_IN, NULL),
                       G_SOURCE_FUNC (listener_ready));
  return G_SOURCE_REMOVE;
}

static gboolean
listener_ready (GSocket *socket, GIOCondition condition, gpointer data)
{
  ControlListener *listener = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocket) peer = g_socket_accept (socket, NULL, &error);
  if (peer) {
    g_autoptr (GSocketConnection) connection = g_socket_connection_factory_create_connection (peer);
    listener->accepted (connection, listener->opaque);
    return G_SOURCE_CONTINUE;
  }
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED))
    return G_SOURCE_CONTINUE;
  /* Out of descriptors, most likely: the socket stays readable, and watching it would spin. */
  g_message ("%s: cannot accept a connection, trying again in a second: %s", listener->path, error->message);
  listener_set_source (listener, g_timeout_source_new_seconds (1), listener_watch);
  return G_SOURCE_REMOVE;
}

ControlListener *
control_listener_new (const char *path, mode_t mode, gid_t gid, GMainContext *context,
                      void (*accepted) (GSocketConnection *connection, void *opaque), void *opaque,
                      GError **error)
{
  struct sockaddr_un address;
  struct stat identity;
  if (!address_make (path, &address, error) || !stale_remove (path, &address, error))
    return NULL;
  int fd = socket_new ();
  if (fd < 0) {
    path_fail (path, "make a socket", errno, error);
    return NULL;
  }
  if (!socket_listen (fd, path, &address, mode, gid, &identity, error)) {
    close (fd);
    return NULL;
  }
  GSocket *socket = g_socket_new_from_fd (fd, error);
  if (socket == NULL) {
    close (fd);
    unlink (path);
    return NULL;
  }
  g_socket_set_blocking (socket, FALSE);
  ControlListener *listener = g_new0 (ControlListener, 1);
  listener->path = g_strdup (path);
  listener->context = g_main_context_ref (context);
  listener->socket = socket;
  listener->identity = identity;
  listener->accepted = accepted;
  listener->opaque = opaque;
  listener_watch (listener);
  return listener;
}

void
control_listener_free (ControlListener *listener)
{
  if (listener == NULL)
    return;
  struct stat st;
  g_source_destroy (listener->source);
  g_source_unref (listener->source);
  if (lstat (listener->path, &st) == 0 && st.st_dev == listener->identity.st_dev
      && st.st_ino == listener->identity.st_ino)
    unlink (listener->path);
  g_object_unref (listener->socket);
  g_main_context_unref (listener->context);
  g_free (listener->path);
  g_free (listener);
}
