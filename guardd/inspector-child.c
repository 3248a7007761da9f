/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "inspector-child.h"

#include "base/json.h"
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

G_DEFINE_QUARK (guardd - inspector - error, inspector_error)

#define WORDS_MAX 2000u
#define ANSWER_MAX (1u << 20)
#define END_POLL_US 2000

bool
child_blind (GError **error, const char *what)
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

/* From outside, so that nothing that it becomes can undo it. */
static void
limit_memory (pid_t pid, guint64 memory)
{
#ifndef __SANITIZE_ADDRESS__ /* which reserves terabytes of addresses */
  struct rlimit limits = { memory, memory };
  if (memory > 0 && prlimit (pid, RLIMIT_AS, &limits, NULL) < 0)
    g_warning ("the inspector's memory could not be limited: %s, ignoring", g_strerror (errno));
#endif
}

bool
child_spawn (Child *child, char *const *argv, const int *given, guint n, int output, guint64 memory,
             GError **error)
{
  char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
  char *environment[] = { path, locale, NULL };
  int words[2], high[CHILD_FDS_MAX];
  posix_spawn_file_actions_t actions;
  if (pipe2 (words, O_CLOEXEC) < 0)
    return child_blind (error, "has no pipe: too many open files?");
  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_addopen (&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2 (&actions, words[1], STDERR_FILENO);
  posix_spawn_file_actions_adddup2 (&actions, output >= 0 ? output : words[1], STDOUT_FILENO);
  /* From where none of them can be overwritten before its turn. */
  for (guint i = 0; i < n; i++) {
    high[i] = fcntl (given[i], F_DUPFD_CLOEXEC, 3 + (int)CHILD_FDS_MAX);
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
  if (failed == 0) {
    limit_memory (child->pid, memory);
    return true;
  }
  child->pid = 0;
  g_set_error (error, INSPECTOR_ERROR, INSPECTOR_ERROR_BLIND,
               "cannot start %s: %s; libexec_dir of guardd.conf says where it is", argv[0],
               g_strerror (failed));
  return false;
}

void
child_init (Child *child, gint64 time_us, GCancellable *cancellable)
{
  *child = (Child){ .words = -1, .answer = -1, .bulk = -1, .cancellable = cancellable };
  child->said = g_string_new (NULL);
  child->answered = g_string_new (NULL);
  child->end = g_get_monotonic_time () + time_us;
}

void
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
    return child_blind (error, "says too much");
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
    return child_blind (error, "says too much");
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

bool
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
      return child_blind (error, "did not end in time and was killed");
    if ((waits[0].revents && !take_words (child))
        || (waits[1].revents && !take_text (&child->answer, child->answered, ANSWER_MAX, error))
        || (waits[2].revents && !take_bulk (child, to, &left, error)))
      return false;
  }
  return true;
}

bool
child_end (Child *child, GError **error)
{
  int status = 0;
  /* It has closed all its ends, and may go on all the same. */
  for (pid_t ended = 0; ended == 0;) {
    ended = waitpid (child->pid, &status, WNOHANG);
    if (ended == 0 && g_get_monotonic_time () > child->end)
      return child_blind (error, "did not end in time and was killed");
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

json_object *
child_answer (const Child *child, GError **error)
{
  json_object *answer = json_parse ("inspector", child->answered->str, child->answered->len, error);
  if (answer && !json_object_is_type (answer, json_type_object)) {
    json_object_put (answer);
    answer = NULL;
    child_blind (error, "says what cannot be");
  }
  return answer;
}
