/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nbd-export.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Names and numbers are the specification's. */
#define NBD_MAGIC G_GUINT64_CONSTANT (0x4e42444d41474943)
#define NBD_IHAVEOPT G_GUINT64_CONSTANT (0x49484156454f5054)
#define NBD_OPTION_REPLY G_GUINT64_CONSTANT (0x0003e889045565a9)
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_REPLY_MAGIC 0x67446698u
#define NBD_FIXED_NEWSTYLE_NO_ZEROES 3u
#define NBD_TRANSMISSION (1u | 2u | 1u << 8) /* has flags, read-only, several connections */
#define NBD_OPTION_MAX 8192u
#define NBD_READ_MAX (32u << 20)
#define ZEROES 124u

enum { OPT_EXPORT_NAME = 1, OPT_ABORT = 2, OPT_INFO = 6, OPT_GO = 7 };
enum { REP_ACK = 1, REP_INFO = 3 };
#define REP_UNSUPPORTED 0x80000001u
enum { CMD_READ = 0, CMD_DISC = 2, CMD_FLUSH = 3 };
enum { NBD_EIO = 5, NBD_EINVAL = 22 };

#define CONNECTIONS_MAX 16u /* at a time */

struct NbdExport {
  int listener;
  StorageReader *reader;
  GMutex reading; /* a reader is for one thread at a time */
  GMutex lock;
  GThread *listening;
  GPtrArray *connections; /* Connection; listening's until that has ended */
  bool stopping;          /* lock */
};

typedef struct {
  NbdExport *served;
  GThread *thread;
  int socket;   /* lock; -1: it has ended */
  guint8 *data; /* NBD_READ_MAX */
} Connection;

static bool
take (const Connection *connection, void *data, size_t length)
{
  return length == 0 || recv (connection->socket, data, length, MSG_WAITALL) == (ssize_t)length;
}

static bool
give (const Connection *connection, const void *data, size_t length)
{
  const guint8 *at = data;
  while (length > 0) {
    ssize_t n = send (connection->socket, at, length, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    at += n;
    length -= (size_t)n;
  }
  return true;
}

/* --- numbers, high byte first --- */

static guint8 *
put (guint8 *at, guint64 value, guint bytes)
{
  for (guint i = 0; i < bytes; i++)
    at[i] = (guint8)(value >> 8 * (bytes - 1 - i));
  return at + bytes;
}

static guint64
get (const guint8 *at, guint bytes)
{
  guint64 value = 0;
  for (guint i = 0; i < bytes; i++)
    value = value << 8 | at[i];
  return value;
}

/* --- what is agreed on first --- */

static bool
reply_option (const Connection *connection, guint32 option, guint32 type, const guint8 *data, guint32 length)
{
  guint8 head[20], *at = put (head, NBD_OPTION_REPLY, 8);
  at = put (at, option, 4);
  at = put (at, type, 4);
  put (at, length, 4);
  return give (connection, head, sizeof head) && give (connection, data, length);
}

static bool
reply_export (const Connection *connection, guint32 option)
{
  guint8 info[12], *at = put (info, 0, 2); /* NBD_INFO_EXPORT */
  at = put (at, storage_image_size (connection->served->reader), 8);
  put (at, NBD_TRANSMISSION, 2);
  return reply_option (connection, option, REP_INFO, info, sizeof info)
         && reply_option (connection, option, REP_ACK, NULL, 0);
}

static bool
reply_old_style (const Connection *connection, bool zeroes)
{
  guint8 info[10 + ZEROES] = { 0 };
  put (put (info, storage_image_size (connection->served->reader), 8), NBD_TRANSMISSION, 2);
  return give (connection, info, zeroes ? sizeof info : 10);
}

/* The names that are asked for do not matter: there is one disk. */
static bool
agree (const Connection *connection)
{
  guint8 hello[18], flags[4], head[16], text[NBD_OPTION_MAX];
  put (put (put (hello, NBD_MAGIC, 8), NBD_IHAVEOPT, 8), NBD_FIXED_NEWSTYLE_NO_ZEROES, 2);
  if (!give (connection, hello, sizeof hello) || !take (connection, flags, sizeof flags))
    return false;
  while (take (connection, head, sizeof head)) {
    guint32 option = (guint32)get (head + 8, 4), length = (guint32)get (head + 12, 4);
    if (get (head, 8) != NBD_IHAVEOPT || length > sizeof text || !take (connection, text, length))
      return false;
    if (option == OPT_EXPORT_NAME)
      return reply_old_style (connection, (get (flags, 4) & 2) == 0);
    if (option == OPT_ABORT)
      return reply_option (connection, option, REP_ACK, NULL, 0) && false;
    bool asks = option == OPT_GO || option == OPT_INFO;
    if (!(asks ? reply_export (connection, option)
               : reply_option (connection, option, REP_UNSUPPORTED, NULL, 0)))
      return false;
    if (option == OPT_GO)
      return true;
  }
  return false;
}

/* --- requests --- */

static guint32
read_disk (const Connection *connection, guint64 offset, guint32 length)
{
  NbdExport *served = connection->served;
  guint64 size = storage_image_size (served->reader);
  if (length > NBD_READ_MAX || offset > size || length > size - offset)
    return NBD_EINVAL;
  g_mutex_lock (&served->reading);
  bool ok = storage_image_read (served->reader, offset, connection->data, length, NULL);
  g_mutex_unlock (&served->reading);
  return ok ? 0 : NBD_EIO;
}

static bool
serve_request (const Connection *connection)
{
  guint8 request[28], reply[16];
  if (!take (connection, request, sizeof request) || get (request, 4) != NBD_REQUEST_MAGIC)
    return false;
  guint type = (guint)get (request + 6, 2);
  guint64 offset = get (request + 16, 8);
  guint32 length = (guint32)get (request + 24, 4);
  /* A write would bring data along that nobody has agreed to take. */
  if (type == CMD_DISC || (type != CMD_READ && type != CMD_FLUSH))
    return false;
  guint32 failed = type == CMD_READ ? read_disk (connection, offset, length) : 0;
  put (put (reply, NBD_REPLY_MAGIC, 4), failed, 4);
  memcpy (reply + 8, request + 8, 8);
  return give (connection, reply, sizeof reply)
         && (type != CMD_READ || failed || give (connection, connection->data, length));
}

static gpointer
connection_run (gpointer opaque)
{
  Connection *connection = opaque;
  NbdExport *served = connection->served;
  connection->data = g_malloc (NBD_READ_MAX);
  if (agree (connection))
    while (serve_request (connection))
      ;
  g_mutex_lock (&served->lock);
  close (connection->socket);
  connection->socket = -1;
  g_mutex_unlock (&served->lock);
  return NULL;
}

/* --- connections --- */

static void
connection_free (gpointer data)
{
  Connection *connection = data;
  g_thread_join (connection->thread);
  g_free (connection->data);
  g_free (connection);
}

/* A peer may come and go as often as it likes: those that went leave no thread behind. */
static void
reap (NbdExport *served)
{
  for (guint i = served->connections->len; i > 0; i--) {
    const Connection *connection = served->connections->pdata[i - 1];
    g_mutex_lock (&served->lock);
    bool ended = connection->socket < 0;
    g_mutex_unlock (&served->lock);
    if (ended)
      g_ptr_array_remove_index_fast (served->connections, i - 1);
  }
}

/* False: it could not be; the socket is the caller's. */
static bool
connection_start (NbdExport *served, int fd)
{
  Connection *connection = g_new0 (Connection, 1);
  connection->served = served;
  connection->socket = fd;
  connection->thread = g_thread_try_new ("nbd", connection_run, connection, NULL);
  if (connection->thread)
    g_ptr_array_add (served->connections, connection);
  else
    g_free (connection);
  return connection->thread != NULL;
}

static gpointer
listener_run (gpointer opaque)
{
  NbdExport *served = opaque;
  int fd;
  while ((fd = accept4 (served->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
    reap (served);
    g_mutex_lock (&served->lock);
    bool stopping = served->stopping;
    g_mutex_unlock (&served->lock);
    if (stopping || served->connections->len >= CONNECTIONS_MAX || !connection_start (served, fd))
      close (fd);
  }
  return NULL;
}

NbdExport *
nbd_export_start (int listener, StorageReader *reader)
{
  NbdExport *served = g_new0 (NbdExport, 1);
  served->listener = listener;
  served->reader = reader;
  g_mutex_init (&served->reading);
  g_mutex_init (&served->lock);
  served->connections = g_ptr_array_new_with_free_func (connection_free);
  served->listening = g_thread_new ("nbd-listen", listener_run, served);
  return served;
}

void
nbd_export_stop (NbdExport *served)
{
  if (served == NULL)
    return;
  g_mutex_lock (&served->lock);
  served->stopping = true;
  g_mutex_unlock (&served->lock);
  shutdown (served->listener, SHUT_RDWR);
  g_thread_join (served->listening);
  g_mutex_lock (&served->lock);
  for (guint i = 0; i < served->connections->len; i++) {
    const Connection *connection = served->connections->pdata[i];
    if (connection->socket >= 0)
      shutdown (connection->socket, SHUT_RDWR);
  }
  g_mutex_unlock (&served->lock);
  g_ptr_array_unref (served->connections);
  close (served->listener);
  g_mutex_clear (&served->reading);
  g_mutex_clear (&served->lock);
  g_free (served);
}
