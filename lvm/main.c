/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guardd-lvm: the only program of guardd's that links liblvm2cmd, which changes the umask, forks, writes to
 * stderr and may hang in the kernel.  One thread, one request at a time (protocol.h); whoever started it
 * kills it when an answer is late, and starts another.
 */
#include "base/json.h"
#include "engine.h"
#include "mapper.h"
#include "operations.h"
#include "protocol.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
send_all (const char *text, size_t length)
{
  while (length > 0) {
    ssize_t n = write (LVM_SOCKET_FD, text, length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    text += n;
    length -= (size_t)n;
  }
  return true;
}

static bool
answer_send (json_object *answer)
{
  g_autofree char *line
      = g_strconcat (json_object_to_json_string_ext (answer, JSON_C_TO_STRING_PLAIN), "\n", NULL);
  return send_all (line, strlen (line));
}

static bool
serve_one (const char *line, size_t length)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (json_object) answer = json_object_new_object ();
  g_autoptr (json_object) request = json_parse ("request", line, length, &error);
  bool ok = request != NULL && operation_run (request, answer, &error);
  json_add_bool (answer, "ok", ok);
  if (!ok)
    json_add_string (answer, "error", error->message);
  return answer_send (answer);
}

static int
serve (void)
{
  g_autoptr (GString) held = g_string_new (NULL);
  char part[4096];
  for (;;) {
    const char *end = memchr (held->str, '\n', held->len);
    if (end != NULL) {
      size_t length = (size_t)(end - held->str);
      if (!serve_one (held->str, length))
        return 1;
      g_string_erase (held, 0, (gssize)length + 1);
      continue;
    }
    ssize_t n = read (LVM_SOCKET_FD, part, sizeof part);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0 || held->len + (size_t)n > LVM_LINE_MAX)
      return n == 0 ? 0 : 1;
    g_string_append_len (held, part, n);
  }
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  struct rlimit no_core = { 0, 0 };
  struct stat st;
  if (fstat (LVM_SOCKET_FD, &st) < 0 || !S_ISSOCK (st.st_mode)) {
    fputs ("guardd-lvm: is started by guardd's lvmthin plugin, with a socket; it is no command\n", stderr);
    return 2;
  }
  signal (SIGPIPE, SIG_IGN);
  setrlimit (RLIMIT_CORE, &no_core);
  mapper_start ();
  if (!engine_start (&error)) {
    fprintf (stderr, "guardd-lvm: %s\n", error->message);
    return 1;
  }
  return serve ();
}
