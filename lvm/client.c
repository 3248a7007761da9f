/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client.h"

#include "protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK_WAIT_US (30 * G_USEC_PER_SEC)
#define LOCK_STEP_US 20000
#define END_WAIT_US (10 * G_USEC_PER_SEC)
#define SETTLE_MS 60000

G_DEFINE_QUARK (guardd - lvm - error, lvm_error)

struct LvmClient {
  char *program, *vg, *lock_directory;
  GMutex lock;
  pid_t pid;      /* 0: none */
  int socket;     /* -1: none */
  bool unsettled; /* one died, or nobody has looked yet */
};

static bool
lost (GError **error, const char *what)
{
  g_set_error (error, LVM_ERROR, LVM_ERROR_LOST, "guardd-lvm %s", what);
  return false;
}

/* --- the process --- */

/* What a dead guardd's helper holds until it has done what it was at.  -1: it does not end. */
static int
lock_take (const LvmClient *client, GError **error)
{
  int fd = open (client->lock_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (gint64 waited = 0; fd >= 0 && flock (fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP_US) {
    if (errno != EWOULDBLOCK || waited >= LOCK_WAIT_US) {
      close (fd);
      lost (error, "of an earlier guardd is still at work (`pgrep -a guardd-lvm` shows it)");
      return -1;
    }
    g_usleep (LOCK_STEP_US);
  }
  if (fd < 0)
    lost (error, "cannot lock its pool's directory");
  return fd;
}

static bool
process_spawn (LvmClient *client, int theirs, int lock, GError **error)
{
  char *argv[] = { client->program, NULL };
  char *environment[]
      = { "LVM_SUPPRESS_FD_WARNINGS=1", "LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
  /* Out of the way of 3 and 4, which the two may be themselves. */
  int high_socket = fcntl (theirs, F_DUPFD_CLOEXEC, 10), high_lock = fcntl (lock, F_DUPFD_CLOEXEC, 10);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset (&none);
  sigfillset (&all);
  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_adddup2 (&actions, high_socket, LVM_SOCKET_FD);
  posix_spawn_file_actions_adddup2 (&actions, high_lock, LVM_LOCK_FD);
  posix_spawn_file_actions_addclosefrom_np (&actions, LVM_LOCK_FD + 1);
  posix_spawnattr_init (&attributes);
  posix_spawnattr_setsigmask (&attributes, &none);
  posix_spawnattr_setsigdefault (&attributes, &all);
  /* A group of its own: a Ctrl-C meant for guardd must not end an LVM command half way. */
  posix_spawnattr_setflags (&attributes,
                            POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  int failure = high_socket < 0 || high_lock < 0
                    ? EMFILE
                    : posix_spawn (&client->pid, client->program, &actions, &attributes, argv, environment);
  posix_spawnattr_destroy (&attributes);
  posix_spawn_file_actions_destroy (&actions);
  if (high_socket >= 0)
    close (high_socket);
  if (high_lock >= 0)
    close (high_lock);
  if (failure == 0)
    return true;
  client->pid = 0;
  g_set_error (error, LVM_ERROR, LVM_ERROR_LOST, "%s: cannot be started: %s", client->program,
               g_strerror (failure));
  return false;
}

static bool
process_start (LvmClient *client, GError **error)
{
  int sockets[2] = { -1, -1 };
  int lock = lock_take (client, error);
  if (lock < 0)
    return false;
  bool ok = socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0;
  if (!ok)
    lost (error, "cannot be started: no sockets left");
  ok = ok && process_spawn (client, sockets[1], lock, error);
  close (lock); /* it is the child's now */
  if (sockets[1] >= 0)
    close (sockets[1]);
  if (ok)
    client->socket = sockets[0];
  else if (sockets[0] >= 0)
    close (sockets[0]);
  return ok;
}

static bool
process_reap (LvmClient *client, gint64 patience)
{
  gint64 end = g_get_monotonic_time () + patience;
  while (waitpid (client->pid, NULL, WNOHANG) == 0) {
    if (g_get_monotonic_time () >= end)
      return false;
    g_usleep (5000);
  }
  client->pid = 0;
  return true;
}

/* One that hangs in the kernel does not even die; it is left to init then. */
static void
process_kill (LvmClient *client)
{
  if (client->socket >= 0)
    close (client->socket);
  client->socket = -1;
  client->unsettled = true;
  if (client->pid == 0)
    return;
  kill (client->pid, SIGKILL);
  if (!process_reap (client, END_WAIT_US))
    g_warning ("guardd-lvm, process %d: does not die (it waits for a disk?), ignoring", (int)client->pid);
  client->pid = 0;
}

/* --- one request --- */

static bool
socket_wait (const LvmClient *client, short events, gint64 end, GError **error)
{
  struct pollfd wait = { client->socket, events, 0 };
  for (;;) {
    gint64 left = end - g_get_monotonic_time ();
    int ready = left > 0 ? poll (&wait, 1, (int)(left / 1000 + 1)) : 0;
    if (ready > 0)
      return true;
    if (ready == 0)
      return lost (error, "did not answer in time and was ended");
    if (errno != EINTR)
      return lost (error, "cannot be waited for");
  }
}

static bool
socket_send (const LvmClient *client, const char *text, gint64 end, GError **error)
{
  for (size_t left = strlen (text); left > 0;) {
    if (!socket_wait (client, POLLOUT, end, error))
      return false;
    ssize_t n = send (client->socket, text, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
      return lost (error, "died");
    if (n > 0) {
      text += n;
      left -= (size_t)n;
    }
  }
  return true;
}

static char *
socket_line (const LvmClient *client, gint64 end, GError **error)
{
  g_autoptr (GString) line = g_string_new (NULL);
  char part[16384];
  while (line->len == 0 || line->str[line->len - 1] != '\n') {
    if (!socket_wait (client, POLLIN, end, error))
      return NULL;
    ssize_t n = recv (client->socket, part, sizeof part, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
      lost (error, "died before it had answered");
      return NULL;
    }
    if (n > 0)
      g_string_append_len (line, part, n);
    if (line->len > LVM_LINE_MAX) {
      lost (error, "answered too much");
      return NULL;
    }
  }
  return g_string_free (g_steal_pointer (&line), FALSE);
}

static bool
answer_check (json_object *answer, GError **error)
{
  json_object *ok = NULL, *words = NULL;
  if (!json_object_is_type (answer, json_type_object) || !json_object_object_get_ex (answer, "ok", &ok))
    return lost (error, "answered nonsense");
  if (json_object_get_boolean (ok))
    return true;
  json_object_object_get_ex (answer, "error", &words);
  g_set_error (error, LVM_ERROR, LVM_ERROR_REFUSED, "%s",
               words ? json_object_get_string (words) : "no reason");
  return false;
}

static bool
ask_once (LvmClient *client, json_object *request, guint deadline_ms, json_object **answer, GError **error)
{
  GError *failure = NULL;
  gint64 end = g_get_monotonic_time () + (gint64)deadline_ms * 1000;
  g_autofree char *text
      = g_strconcat (json_object_to_json_string_ext (request, JSON_C_TO_STRING_PLAIN), "\n", NULL);
  g_autofree char *line
      = socket_send (client, text, end, &failure) ? socket_line (client, end, &failure) : NULL;
  json_object *said = line ? json_tokener_parse (line) : NULL;
  bool ok = line != NULL && answer_check (said, &failure);
  if (g_error_matches (failure, LVM_ERROR, LVM_ERROR_LOST))
    process_kill (client);
  if (!ok)
    g_propagate_error (error, failure);
  if (ok && answer != NULL)
    *answer = said;
  else
    json_object_put (said);
  return ok;
}

static json_object *
request_new (const LvmClient *client, const char *op)
{
  json_object *request = json_object_new_object ();
  json_object_object_add (request, "op", json_object_new_string (op));
  json_object_object_add (request, "vg", json_object_new_string (client->vg));
  return request;
}

static bool
client_settle (LvmClient *client, GError **error)
{
  json_object *request = request_new (client, "settle"), *answer = NULL, *resumed = NULL;
  bool ok = ask_once (client, request, SETTLE_MS, &answer, error);
  json_object_put (request);
  if (!ok)
    return false;
  client->unsettled = false;
  json_object_object_get_ex (answer, "resumed", &resumed);
  for (size_t i = 0; resumed != NULL && i < json_object_array_length (resumed); i++)
    g_warning ("%s: was left suspended by an LVM command that died, and is resumed",
               json_object_get_string (json_object_array_get_idx (resumed, i)));
  json_object_put (answer);
  return true;
}

/* One that died while nobody asked it anything is replaced. */
static void
process_check (LvmClient *client)
{
  if (client->pid == 0 || waitpid (client->pid, NULL, WNOHANG) == 0)
    return;
  client->pid = 0;
  process_kill (client);
}

bool
lvm_client_ask (LvmClient *client, json_object *request, guint deadline_ms, json_object **answer,
                GError **error)
{
  json_object_object_add (request, "vg", json_object_new_string (client->vg));
  g_mutex_lock (&client->lock);
  process_check (client);
  bool ok = (client->socket >= 0 || process_start (client, error))
            && (!client->unsettled || client_settle (client, error))
            && ask_once (client, request, deadline_ms, answer, error);
  g_mutex_unlock (&client->lock);
  json_object_put (request);
  return ok;
}

int
lvm_client_pid (LvmClient *client)
{
  g_mutex_lock (&client->lock);
  int pid = client->pid;
  g_mutex_unlock (&client->lock);
  return pid;
}

/* --- */

LvmClient *
lvm_client_new (const char *program, const char *vg, const char *lock_directory)
{
  LvmClient *client = g_new0 (LvmClient, 1);
  client->program = g_strdup (program);
  client->vg = g_strdup (vg);
  client->lock_directory = g_strdup (lock_directory);
  client->socket = -1;
  client->unsettled = true;
  g_mutex_init (&client->lock);
  return client;
}

void
lvm_client_free (LvmClient *client)
{
  if (client == NULL)
    return;
  if (client->socket >= 0)
    close (client->socket);
  client->socket = -1;
  if (client->pid != 0 && !process_reap (client, END_WAIT_US))
    process_kill (client);
  g_mutex_clear (&client->lock);
  g_free (client->program);
  g_free (client->vg);
  g_free (client->lock_directory);
  g_free (client);
}
