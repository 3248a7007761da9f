/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nbd-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_DEADLINE_US (10 * G_USEC_PER_SEC)
#define WORDS_MAX 2000

static bool
set_errno_error (GError **error, const char *what)
{
  int saved = errno;

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved), "NBD socket: %s: %s", what,
               g_strerror (saved));
  return false;
}

static bool
connect_clients (const struct sockaddr_un *address, guint n, int *clients, GError **error)
{
  for (guint i = 0; i < n; i++) {
    clients[i] = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (clients[i] < 0 || connect (clients[i], (const struct sockaddr *)address, sizeof *address) < 0) {
      set_errno_error (error, "connect");
      for (guint j = 0; j <= i; j++)
        if (clients[j] >= 0)
          close (clients[j]);
      return false;
    }
  }
  return true;
}

bool
nbd_socket_open (const char *run_dir, guint n, int *listener, int *clients, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autofree char *directory = g_build_filename (run_dir, "nbd", NULL);
  g_autofree char *unique = g_uuid_string_random ();
  int fd;
  bool ok;

  if (g_mkdir_with_parents (directory, 0700) < 0)
    return set_errno_error (error, directory);
  if (g_snprintf (address.sun_path, sizeof address.sun_path, "%s/%.13s", directory, unique)
      >= (int)sizeof address.sun_path) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG, "run_dir %s is too long for a socket",
                 run_dir);
    return false;
  }
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return set_errno_error (error, "socket");
  if (bind (fd, (struct sockaddr *)&address, sizeof address) < 0 || listen (fd, (int)n) < 0) {
    set_errno_error (error, address.sun_path);
    close (fd);
    return false;
  }
  ok = connect_clients (&address, n, clients, error);
  g_unlink (address.sun_path);
  if (!ok) {
    close (fd);
    return false;
  }
  *listener = fd;
  return true;
}

struct NbdServer {
  pid_t pid;
  int words; /* read end of its stderr */
};

/* QEMU's "json:" file names need no escaping of commas or colons in paths. */
static char *
image_name (const NbdImage *image)
{
  json_object *top = json_object_new_object ();
  json_object *file = json_object_new_object ();
  char *name;

  json_object_object_add (top, "driver", json_object_new_string (image->format));
  json_object_object_add (
      file, "driver",
      json_object_new_string (g_str_has_prefix (image->path, "/dev/") ? "host_device" : "file"));
  json_object_object_add (file, "filename", json_object_new_string (image->path));
  json_object_object_add (top, "file", file);
  if (image->writable)
    json_object_object_add (top, "discard", json_object_new_string ("unmap"));
  else
    json_object_object_add (top, "force-share", json_object_new_boolean (true));
  name = g_strdup_printf ("json:%s", json_object_to_json_string_ext (top, JSON_C_TO_STRING_PLAIN));
  json_object_put (top);
  return name;
}

/* Runs between fork and exec: async-signal-safe calls only. */
static void G_GNUC_NORETURN
exec_server (char **argv, char **environment, char *listen_pid, int listener, int words)
{
  sigset_t none;
  pid_t pid = getpid ();
  char digits[24];
  int n = 0, at = (int)strlen ("LISTEN_PID=");

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  /* 3 is where socket activation wants it (sd_listen_fds(3)); dup2 clears close-on-exec */
  if (listener == 3)
    fcntl (3, F_SETFD, 0);
  else
    dup2 (listener, 3);
  dup2 (words, 2);
  for (; pid > 0; pid /= 10)
    digits[n++] = (char)('0' + pid % 10);
  while (n > 0)
    listen_pid[at++] = digits[--n];
  listen_pid[at] = '\0';
  execvpe (argv[0], argv, environment);
  _exit (127);
}

static bool
spawn_server (NbdServer *server, const NbdImage *image, int listener, GError **error)
{
  g_autofree char *name = image_name (image);
  char listen_pid[64] = "LISTEN_PID=";
  char fds[] = "LISTEN_FDS=1", locale[] = "LC_ALL=C";
  g_autofree char *path = g_strdup_printf ("PATH=%s", g_getenv ("PATH") ?: "/usr/sbin:/usr/bin:/sbin:/bin");
  char *environment[] = { path, locale, fds, listen_pid, NULL };
  char program[] = "qemu-nbd", read_only[] = "--read-only", cache[] = "--cache=writeback",
       discard[] = "--discard=unmap", zeroes[] = "--detect-zeroes=unmap";
  char *argv[] = { program,
                   cache,
                   image->writable ? discard : read_only,
                   image->writable ? zeroes : name,
                   image->writable ? name : NULL,
                   NULL };
  int words[2];

  if (pipe2 (words, O_CLOEXEC) < 0)
    return set_errno_error (error, "pipe");
  /* libvirt and others may hold fd 3 open in this process; the copy above 3 keeps dup2 harmless */
  server->pid = fork ();
  if (server->pid == 0)
    exec_server (argv, environment, listen_pid, listener, words[1]);
  close (words[1]);
  if (server->pid < 0) {
    close (words[0]);
    return set_errno_error (error, "fork");
  }
  fcntl (words[0], F_SETFL, O_NONBLOCK);
  server->words = words[0];
  return true;
}

NbdServer *
nbd_server_start (const char *run_dir, const NbdImage *image, int *client, GError **error)
{
  NbdServer *server;
  int listener, connected;

  if (!nbd_socket_open (run_dir, 1, &listener, &connected, error))
    return NULL;
  server = g_new0 (NbdServer, 1);
  if (!spawn_server (server, image, listener, error)) {
    g_free (server);
    close (listener);
    close (connected);
    return NULL;
  }
  close (listener);
  *client = connected;
  return server;
}

char *
nbd_server_words (NbdServer *server)
{
  char text[WORDS_MAX + 1];
  ssize_t n = read (server->words, text, WORDS_MAX);

  text[n > 0 ? n : 0] = '\0';
  g_strstrip (text);
  return text[0] ? g_utf8_make_valid (text, -1) : g_strdup ("no message");
}

/* The process's status; *killed: it did not end by itself. */
static int
wait_for_end (const NbdServer *server, bool *killed)
{
  gint64 deadline = g_get_monotonic_time () + STOP_DEADLINE_US;
  int status = 0;

  *killed = false;
  /* its stderr closes when it exits: wait for that rather than poll the pid */
  while (waitpid (server->pid, &status, WNOHANG) == 0) {
    struct pollfd fd = { .fd = server->words, .events = 0 };

    if (!*killed && g_get_monotonic_time () > deadline) {
      kill (server->pid, SIGKILL);
      *killed = true;
    }
    poll (&fd, 1, 20);
  }
  return status;
}

static void
server_free (NbdServer *server)
{
  close (server->words);
  g_free (server);
}

bool
nbd_server_stop (NbdServer *server, GError **error)
{
  bool killed;
  int status = wait_for_end (server, &killed);
  bool ok = WIFEXITED (status) && WEXITSTATUS (status) == 0;

  if (!ok) {
    g_autofree char *words = nbd_server_words (server);

    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "qemu-nbd %s: %s",
                 killed ? "did not end and was killed" : "failed", words);
  }
  server_free (server);
  return ok;
}

bool
nbd_server_abort (NbdServer *server)
{
  bool killed;

  kill (server->pid, SIGTERM);
  wait_for_end (server, &killed);
  server_free (server);
  return !killed;
}
