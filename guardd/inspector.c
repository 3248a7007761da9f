/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inspector.h"

#include "base/json.h"
#include "nbd-export.h"
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

G_DEFINE_QUARK (guardd - inspector - error, inspector_error)

#define DISKS_MAX 64u
#define WORDS_MAX 2000u
#define ANSWER_MAX (1u << 20)
#define BUILD_US (600 * G_USEC_PER_SEC)
#define FDS_MAX 3u
#define END_POLL_US 2000

/* A child with up to three of our descriptors, and what it says. */
typedef struct {
  pid_t pid;
  int words;  /* its stderr */
  int answer; /* where it leaves JSON; -1: nowhere */
  int bulk;   /* where the inventory comes from; -1: nowhere */
  GString *said, *answered;
  gint64 end; /* monotonic */
  GCancellable *cancellable;
} Child;

static bool
blind (GError **error, const char *what)
{
  g_set_error (error, INSPECTOR_ERROR, INSPECTOR_ERROR_BLIND, "the inspector %s", what);
  return false;
}

static void
close_fd (int *fd)
{
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

/* given[i] becomes the child's 3 + i; output its 1. */
static bool
child_spawn (Child *child, char *const *argv, const int *given, guint n, int output, GError **error)
{
  char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
  char *environment[] = { path, locale, NULL };
  int words[2], high[FDS_MAX];
  posix_spawn_file_actions_t actions;
  if (pipe2 (words, O_CLOEXEC) < 0)
    return blind (error, "has no pipe: too many open files?");
  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_addopen (&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2 (&actions, words[1], STDERR_FILENO);
  posix_spawn_file_actions_adddup2 (&actions, output >= 0 ? output : words[1], STDOUT_FILENO);
  /* From where none of them can be overwritten before its turn. */
  for (guint i = 0; i < n; i++) {
    high[i] = fcntl (given[i], F_DUPFD_CLOEXEC, 3 + (int)FDS_MAX);
    posix_spawn_file_actions_adddup2 (&actions, high[i], 3 + (int)i);
  }
  posix_spawn_file_actions_addclosefrom_np (&actions, 3 + (int)n);
  int failed = posix_spawn (&child->pid, argv[0], &actions, NULL, argv, environment);
  posix_spawn_file_actions_destroy (&actions);
  for (guint i = 0; i < n; i++)
    if (high[i] >= 0)
      close (high[i]);
  close (words[1]);
  child->words = words[0];
  if (failed == 0)
    return true;
  child->pid = 0;
  g_set_error (error, INSPECTOR_ERROR, INSPECTOR_ERROR_BLIND,
               "cannot start %s: %s; libexec_dir of guardd.conf says where it is", argv[0],
               g_strerror (failed));
  return false;
}

static void
child_init (Child *child, gint64 time_us, GCancellable *cancellable)
{
  *child = (Child){ .words = -1, .answer = -1, .bulk = -1, .cancellable = cancellable };
  child->said = g_string_new (NULL);
  child->answered = g_string_new (NULL);
  child->end = g_get_monotonic_time () + time_us;
}

static void
child_clear (Child *child)
{
  if (child->pid > 0) {
    kill (child->pid, SIGKILL);
    while (waitpid (child->pid, NULL, 0) < 0 && errno == EINTR)
      ;
  }
  close_fd (&child->words);
  close_fd (&child->answer);
  close_fd (&child->bulk);
  g_string_free (child->said, TRUE);
  g_string_free (child->answered, TRUE);
}

/* --- what it says --- */

/* Takes what there is; closes the descriptor at its end. */
static bool
take_text (int *fd, GString *text, gsize limit, GError **error)
{
  char buffer[4096];
  ssize_t n = read (*fd, buffer, sizeof buffer);
  if (n > 0 && text->len + (gsize)n > limit)
    return blind (error, "says too much");
  if (n > 0)
    g_string_append_len (text, buffer, n);
  else if (n == 0 || (errno != EINTR && errno != EAGAIN))
    close_fd (fd);
  return true;
}

static bool
take_words (Child *child)
{
  char buffer[4096];
  ssize_t n = read (child->words, buffer, sizeof buffer);
  if (n > 0)
    g_string_append_len (child->said, buffer, (gssize)MIN ((gsize)n, WORDS_MAX - child->said->len));
  else if (n == 0 || (errno != EINTR && errno != EAGAIN))
    close_fd (&child->words);
  return true;
}

static bool
take_bulk (Child *child, int to, guint64 *left, GError **error)
{
  char buffer[65536];
  ssize_t n = read (child->bulk, buffer, sizeof buffer);
  if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
    close_fd (&child->bulk);
  if (n <= 0)
    return true;
  if ((guint64)n > *left)
    return blind (error, "says too much");
  *left -= (guint64)n;
  for (char *at = buffer; n > 0;) {
    ssize_t written = write (to, at, (size_t)n);
    if (written < 0) {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "the list of files: %s",
                   g_strerror (errno));
      return false;
    }
    at += written;
    n -= written;
  }
  return true;
}

/* Until all its ends are closed; the inventory goes to `to`. */
static bool
child_listen (Child *child, int to, GError **error)
{
  guint64 left = POOL_INVENTORY_MAX;
  while (child->words >= 0 || child->answer >= 0 || child->bulk >= 0) {
    gint64 time = child->end - g_get_monotonic_time ();
    struct pollfd waits[] = { { child->words, POLLIN, 0 },
                              { child->answer, POLLIN, 0 },
                              { child->bulk, POLLIN, 0 },
                              { g_cancellable_get_fd (child->cancellable), POLLIN, 0 } };
    int ready = time > 0 ? poll (waits, G_N_ELEMENTS (waits), (int)(time / 1000 + 1)) : 0;
    g_cancellable_release_fd (child->cancellable);
    if (g_cancellable_set_error_if_cancelled (child->cancellable, error))
      return false;
    if (ready == 0)
      return blind (error, "did not end in time and was killed");
    if ((waits[0].revents && !take_words (child))
        || (waits[1].revents && !take_text (&child->answer, child->answered, ANSWER_MAX, error))
        || (waits[2].revents && !take_bulk (child, to, &left, error)))
      return false;
  }
  return true;
}

static bool
child_end (Child *child, GError **error)
{
  int status = 0;
  /* It has closed all its ends, and may go on all the same. */
  for (pid_t ended = 0; ended == 0;) {
    ended = waitpid (child->pid, &status, WNOHANG);
    if (ended == 0 && g_get_monotonic_time () > child->end)
      return blind (error, "did not end in time and was killed");
    if (ended == 0)
      g_usleep (END_POLL_US);
  }
  child->pid = 0;
  if (status == 0)
    return true;
  g_autofree char *words = g_utf8_make_valid (g_strstrip (child->said->str), -1);
  g_set_error (error, INSPECTOR_ERROR, INSPECTOR_ERROR_BLIND, "the inspector %s: %s",
               WIFSIGNALED (status) ? "was killed" : "failed", words[0] ? words : "no message");
  return false;
}

static json_object *
child_answer (const Child *child, GError **error)
{
  json_object *answer = json_parse ("inspector", child->answered->str, child->answered->len, error);
  if (answer && !json_object_is_type (answer, json_type_object)) {
    json_object_put (answer);
    answer = NULL;
    blind (error, "says what cannot be");
  }
  return answer;
}

/* --- the appliance --- */

static bool
build_appliance (const InspectorRequest *request, GCancellable *cancellable, GError **error)
{
  char *argv[] = { (char *)request->program, (char *)"appliance", (char *)request->appliance, NULL };
  Child child;
  child_init (&child, BUILD_US, cancellable);
  g_autofree char *parent = g_path_get_dirname (request->appliance);
  g_mkdir_with_parents (parent, 0755); /* what fails is said by supermin */
  bool ok = child_spawn (&child, argv, NULL, 0, -1, error) && child_listen (&child, -1, error)
            && child_end (&child, error);
  child_clear (&child);
  return ok;
}

/* --- looking --- */

/* The sockets that it listens on: one for each disk. */
static bool
receive_sockets (const Child *child, int *fds, guint n, GError **error)
{
  char byte, control[CMSG_SPACE (DISKS_MAX * sizeof (int))];
  struct iovec part = { &byte, 1 };
  struct msghdr message
      = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
  struct pollfd wait = { child->answer, POLLIN, 0 };
  gint64 time = child->end - g_get_monotonic_time ();
  if (time <= 0 || poll (&wait, 1, (int)(time / 1000 + 1)) <= 0
      || recvmsg (child->answer, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1)
    return false;
  const struct cmsghdr *header = CMSG_FIRSTHDR (&message);
  if (header == NULL || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN (n * sizeof (int)))
    return blind (error, "says what cannot be");
  memcpy (fds, CMSG_DATA (header), n * sizeof (int));
  return true;
}

static bool
look_spawn (Child *child, const InspectorRequest *request, GError **error)
{
  char disks[8];
  char *argv[] = { (char *)request->program,
                   (char *)"look",
                   (char *)request->appliance,
                   (char *)(request->kvm ? "kvm" : "tcg"),
                   (char *)(request->operating_system ? "yes" : "no"),
                   disks,
                   NULL };
  int ends[2], bulk[2];
  g_snprintf (disks, sizeof disks, "%u", request->n_disks);
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    return blind (error, "has no socket: too many open files?");
  if (pipe2 (bulk, O_CLOEXEC) < 0) {
    close (ends[0]);
    close (ends[1]);
    return blind (error, "has no pipe: too many open files?");
  }
  bool ok = child_spawn (child, argv, &ends[1], 1, bulk[1], error);
  close (ends[1]);
  close (bulk[1]);
  child->answer = ends[0];
  child->bulk = bulk[0];
  return ok;
}

static bool
look_run (Child *child, const InspectorRequest *request, GError **error)
{
  int fds[DISKS_MAX];
  NbdExport *served[DISKS_MAX];
  /* What it says instead, when it has no sockets. */
  if (!receive_sockets (child, fds, request->n_disks, error))
    return (error == NULL || *error == NULL) && child_listen (child, -1, error) && child_end (child, error)
           && blind (error, "has ended early");
  for (guint i = 0; i < request->n_disks; i++)
    served[i] = nbd_export_start (fds[i], request->disks[i]);
  bool ok = (send (child->answer, "g", 1, MSG_NOSIGNAL) == 1 || blind (error, "died"))
            && child_listen (child, request->inventory, error) && child_end (child, error);
  for (guint i = 0; i < request->n_disks; i++)
    nbd_export_stop (served[i]);
  return ok;
}

json_object *
inspector_look (const InspectorRequest *request, GCancellable *cancellable, GError **error)
{
  Child child;
  json_object *summary = NULL;
  if (request->n_disks == 0 || request->n_disks > DISKS_MAX) {
    blind (error, request->n_disks ? "cannot take more than 64 disks" : "has no disk to look at");
    return NULL;
  }
  if (!build_appliance (request, cancellable, error))
    return NULL;
  child_init (&child, (gint64)request->deadline_us, cancellable);
  if (look_spawn (&child, request, error) && look_run (&child, request, error))
    summary = child_answer (&child, error);
  child_clear (&child);
  return summary;
}

/* --- comparing --- */

json_object *
inspector_compare (const char *program, int older, int newer, guint64 deadline_us, GCancellable *cancellable,
                   GError **error)
{
  Child child;
  int pipes[2];
  json_object *difference = NULL;
  char *argv[] = { (char *)program, (char *)"compare", NULL };
  if (pipe2 (pipes, O_CLOEXEC) < 0) {
    blind (error, "has no pipe: too many open files?");
    return NULL;
  }
  int given[] = { older, newer, pipes[1] };
  child_init (&child, (gint64)deadline_us, cancellable);
  child.answer = pipes[0];
  bool ok = child_spawn (&child, argv, given, G_N_ELEMENTS (given), -1, error);
  close (pipes[1]);
  if (ok && child_listen (&child, -1, error) && child_end (&child, error))
    difference = child_answer (&child, error);
  child_clear (&child);
  return difference;
}
