/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "libvirt-workers.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixinputstream.h>
#include <gio/gunixoutputstream.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "guardd-workers"
#define START_MS 2000 /* it loads libvirt's libraries first */
#define ANSWER_MS 300
#define LINE_MAX_BYTES 64u

struct LibvirtWorkers {
  LibvirtCalls *calls;
  char *program;
  GMutex lock;          /* all below */
  GSubprocess *process; /* NULL: to be started */
  int in, out;          /* the process's streams' */
};

LibvirtWorkers *
libvirt_workers_new (LibvirtCalls *calls, const char *libexec_dir)
{
  LibvirtWorkers *workers = g_new0 (LibvirtWorkers, 1);
  workers->calls = calls;
  workers->program = g_build_filename (libexec_dir, PROGRAM, NULL);
  g_mutex_init (&workers->lock);
  return workers;
}

/* Killed, not asked: it may hang with libvirtd. */
static void
end_process (LibvirtWorkers *workers)
{
  if (workers->process)
    g_subprocess_force_exit (workers->process);
  g_clear_object (&workers->process);
}

void
libvirt_workers_free (LibvirtWorkers *workers)
{
  if (workers == NULL)
    return;
  end_process (workers);
  g_mutex_clear (&workers->lock);
  g_free (workers->program);
  g_free (workers);
}

static bool
start_process (LibvirtWorkers *workers, GError **error)
{
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (
      G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
  g_subprocess_launcher_setenv (launcher, "LC_ALL", "C", TRUE);
  workers->process = g_subprocess_launcher_spawn (launcher, error, workers->program, NULL);
  if (workers->process == NULL)
    return false;
  workers->in
      = g_unix_output_stream_get_fd (G_UNIX_OUTPUT_STREAM (g_subprocess_get_stdin_pipe (workers->process)));
  workers->out
      = g_unix_input_stream_get_fd (G_UNIX_INPUT_STREAM (g_subprocess_get_stdout_pipe (workers->process)));
  fcntl (workers->out, F_SETFL, fcntl (workers->out, F_GETFL) | O_NONBLOCK);
  return true;
}

/* One line within the deadline. */
static bool
read_line (int fd, char *line, gint64 deadline)
{
  size_t length = 0;
  while (length + 1 < LINE_MAX_BYTES) {
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    gint64 left = (deadline - g_get_monotonic_time ()) / 1000;
    if (left <= 0 || poll (&poll_fd, 1, (int)left) == 0)
      return false;
    ssize_t n = read (fd, line + length, LINE_MAX_BYTES - 1 - length);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
      return false;
    length += n > 0 ? (size_t)n : 0;
    line[length] = '\0';
    if (length > 0 && line[length - 1] == '\n')
      return true;
  }
  return false;
}

typedef struct {
  guint all, idle, waiting;
} Counts;

static bool
ask (LibvirtWorkers *workers, Counts *counts, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + ANSWER_MS * 1000;
  char line[LINE_MAX_BYTES] = "";
  if (workers->process == NULL) {
    if (!start_process (workers, error))
      return false;
    deadline += START_MS * 1000;
  }
  if (write (workers->in, "?", 1) == 1 && read_line (workers->out, line, deadline)
      && sscanf (line, "%u %u %u", &counts->all, &counts->idle, &counts->waiting) == 3)
    return true;
  end_process (workers);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
               "libvirtd does not say how busy it is (%s shows why; is libvirtd-admin.socket active?)",
               workers->program);
  return false;
}

bool
libvirt_workers_look (LibvirtWorkers *workers, bool *busy, GError **error)
{
  Counts counts = { 0 };
  guint own = libvirt_calls_count (workers->calls);
  g_mutex_lock (&workers->lock);
  bool ok = ask (workers, &counts, error);
  g_mutex_unlock (&workers->lock);
  /* one of guardd's own that ends or begins meanwhile must not hide somebody else's */
  own = MIN (own, libvirt_calls_count (workers->calls));
  *busy = ok && (counts.waiting > 0 || counts.all > counts.idle + own);
  return ok;
}
