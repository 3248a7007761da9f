/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sentinel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

G_DEFINE_QUARK (guardd - sentinel - error, sentinel_error)

typedef struct {
  const SentinelRequest *request;
  pid_t pid;
  int socket;
  gint64 end;   /* monotonic */
  guint8 *data; /* WIRE_LENGTH_MAX */
} Look;

static bool
blind (GError **error, const char *what)
{
  g_set_error (error, SENTINEL_ERROR, SENTINEL_ERROR_BLIND, "the sentinel %s", what);
  return false;
}

static bool
look_wait (Look *look, short events, GError **error)
{
  gint64 left = look->end - g_get_monotonic_time ();
  struct pollfd wait = { look->socket, events, 0 };
  int ready = left > 0 ? poll (&wait, 1, (int)(left / 1000 + 1)) : 0;
  if (ready < 0 && errno == EINTR)
    return look_wait (look, events, error);
  return ready > 0 || blind (error, "did not end in time");
}

static bool
look_send (Look *look, const void *data, size_t length, GError **error)
{
  const char *at = data;
  while (length > 0) {
    if (!look_wait (look, POLLOUT, error))
      return false;
    ssize_t n = send (look->socket, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
      return blind (error, "died");
    if (n > 0) {
      at += n;
      length -= (size_t)n;
    }
  }
  return true;
}

static bool
look_receive (Look *look, void *data, size_t length, GError **error)
{
  char *at = data;
  while (length > 0) {
    if (!look_wait (look, POLLIN, error))
      return false;
    ssize_t n = recv (look->socket, at, length, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
      return blind (error, "died");
    if (n > 0) {
      at += n;
      length -= (size_t)n;
    }
  }
  return true;
}

static bool
look_spawn (Look *look, GError **error)
{
  char *argv[] = { (char *)look->request->program, NULL }, *environment[] = { NULL };
  posix_spawn_file_actions_t actions;
  int ends[2];
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    return blind (error, "has no socket: too many open files?");
  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_adddup2 (&actions, ends[1], WIRE_FD);
  int failed = posix_spawn (&look->pid, argv[0], &actions, NULL, argv, environment);
  posix_spawn_file_actions_destroy (&actions);
  close (ends[1]);
  look->socket = ends[0];
  if (failed == 0)
    return true;
  look->pid = 0;
  g_set_error (error, SENTINEL_ERROR, SENTINEL_ERROR_BLIND,
               "cannot start %s: %s; libexec_dir of guardd.conf says where it is", argv[0],
               g_strerror (failed));
  return false;
}

static bool
look_start (Look *look, GError **error)
{
  const SentinelRequest *request = look->request;
  struct wire_start start = { .version = WIRE_VERSION,
                              .n_runs = request->n_runs,
                              .size = storage_image_size (request->now),
                              .size_before = request->before ? storage_image_size (request->before) : 0,
                              .factor = request->factor };
  return look_spawn (look, error) && look_send (look, &start, sizeof start, error)
         && look_send (look, request->runs, request->n_runs * sizeof *request->runs, error);
}

static bool
look_serve (Look *look, const struct wire_request *ask, GError **error)
{
  StorageReader *reader = ask->view == WIRE_NOW ? look->request->now : look->request->before;
  if (ask->view > WIRE_BEFORE || reader == NULL || ask->length > WIRE_LENGTH_MAX)
    return blind (error, "asked for what there is not");
  guint64 size = storage_image_size (reader);
  if (ask->offset > size || ask->length > size - ask->offset)
    return blind (error, "asked for what there is not");
  return storage_image_read (reader, ask->offset, look->data, ask->length, error)
         && look_send (look, look->data, ask->length, error);
}

static bool
look_run (Look *look, struct guardd_observation *seen, GError **error)
{
  guint64 budget = 2 * (guint64)WIRE_BUDGET;
  for (guint calls = 0; calls <= 2 * WIRE_BUDGET_CALLS; calls++) {
    struct wire_request ask;
    if (!look_receive (look, &ask, sizeof ask, error))
      return false;
    if (ask.view == WIRE_REPORT)
      return look_receive (look, seen, sizeof *seen, error) && observation_check (seen, error);
    if (ask.length > budget)
      break;
    budget -= ask.length;
    if (!look_serve (look, &ask, error))
      return false;
  }
  return blind (error, "asked for too much");
}

static void
look_end (Look *look)
{
  if (look->socket >= 0)
    close (look->socket);
  if (look->pid > 0) {
    kill (look->pid, SIGKILL);
    while (waitpid (look->pid, NULL, 0) < 0 && errno == EINTR)
      ;
  }
  g_free (look->data);
}

bool
sentinel_look (const SentinelRequest *request, struct guardd_observation *seen, GError **error)
{
  Look look
      = { .request = request, .socket = -1, .end = g_get_monotonic_time () + (gint64)request->deadline_us };
  look.data = g_malloc (WIRE_LENGTH_MAX);
  bool ok = look_start (&look, error) && look_run (&look, seen, error);
  if (ok && seen->disk_size != storage_image_size (request->now))
    ok = blind (error, "says another size of the disk");
  look_end (&look);
  return ok;
}
