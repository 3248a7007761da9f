/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shell.h"

#include "base/units.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 40u

void
shell_clear (Shell *shell)
{
  g_clear_pointer (&shell->client, qmp_client_free);
  g_clear_pointer (&shell->socket, g_free);
  g_clear_pointer (&shell->run_dir, g_free);
}

void
shell_error (const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  g_autofree char *safe = shell_escape (text);
  va_end (arguments);
  fprintf (stderr, "error: %s\n", safe);
}

char *
shell_escape (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *out = g_string_new (NULL);
  for (const char *at = valid; *at; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);
    if (g_unichar_iscntrl (c))
      g_string_append_printf (out, "\\x%02x", c);
    else
      g_string_append_unichar (out, c);
  }
  return g_string_free (out, FALSE);
}

bool
shell_print_json (const Shell *shell, json_object *document)
{
  if (!shell->json)
    return false;
  puts (json_object_to_json_string_ext (document, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
  return true;
}

/* --- connecting --- */

static QmpClient *
connect_one (const char *path, GError **error)
{
  return qmp_client_new_unix (path, NULL, error);
}

QmpClient *
shell_client (Shell *shell)
{
  g_autoptr (GError) error = NULL;
  if (shell->client)
    return shell->client;
  g_autofree char *full = g_build_filename (shell->run_dir, "guardd.sock", NULL);
  g_autofree char *read_only = g_build_filename (shell->run_dir, "guardd-ro.sock", NULL);
  const char *path = shell->socket ? shell->socket : access (full, W_OK) == 0 ? full : read_only;
  if (shell->socket == NULL && access (read_only, F_OK) != 0)
    path = full;
  shell->client = connect_one (path, &error);
  if (shell->client == NULL)
    shell_error ("cannot reach guardd at %s: %s; is it running? (systemctl status guardd)", path,
                 error->message);
  return shell->client;
}

/* --- progress --- */

static void
bar_draw (Shell *shell, guint64 done, guint64 total)
{
  guint filled = total ? (guint)(MIN (done, total) * BAR_WIDTH / total) : 0;
  char bar[BAR_WIDTH + 1];
  memset (bar, ' ', BAR_WIDTH);
  memset (bar, '#', filled);
  bar[BAR_WIDTH] = '\0';
  if (total)
    fprintf (stderr, "\r[%s] %3u %%", bar, (guint)(MIN (done, total) * 100 / total));
  else
    fprintf (stderr, "\r%" G_GUINT64_FORMAT " done", done);
  shell->bar = true;
}

static void
bar_clear (Shell *shell)
{
  if (shell->bar)
    fprintf (stderr, "\r%*s\r", (int)BAR_WIDTH + 8, "");
  shell->bar = false;
}

static void
on_event (json_object *event, void *opaque)
{
  Shell *shell = opaque;
  const char *name = NULL, *message = NULL;
  json_object *data = NULL;
  guint64 done = 0, total = 0;
  if (shell->quiet || shell->json || !isatty (STDERR_FILENO) || !json_get_string (event, "event", &name, NULL)
      || !json_get_object (event, "data", &data, NULL))
    return;
  if (strcmp (name, "PROGRESS") == 0 && json_get_u64 (data, "done", &done, NULL)
      && json_get_u64 (data, "total", &total, NULL))
    bar_draw (shell, done, total);
  else if (strcmp (name, "ROLLBACK_STEP") == 0 && json_get_string (data, "message", &message, NULL)) {
    g_autofree char *safe = shell_escape (message);
    bar_clear (shell);
    fprintf (stderr, "  %s\n", safe);
  }
}

/* --- calls --- */

static json_object *
call (Shell *shell, const char *command, json_object *arguments, guint timeout_s, GError **error)
{
  qmp_client_set_event_handler (shell->client, on_event, shell);
  json_object *answer
      = qmp_client_call (shell->client, command, arguments, NULL, 0, (timeout_s ?: 30) * 1000, error);
  qmp_client_set_event_handler (shell->client, NULL, NULL);
  bar_clear (shell);
  return answer;
}

json_object *
shell_call (Shell *shell, const char *command, json_object *arguments, guint timeout_s)
{
  g_autoptr (GError) error = NULL;
  if (shell_client (shell) == NULL) {
    json_object_put (arguments);
    return NULL;
  }
  json_object *answer = call (shell, command, arguments, timeout_s, &error);
  if (answer)
    return answer;
  shell_error ("%s", error->message);
  /* A shell that goes on needs a connection that works. */
  if (!g_error_matches (error, QMP_ERROR, QMP_ERROR_COMMAND))
    g_clear_pointer (&shell->client, qmp_client_free);
  return NULL;
}

json_object *
shell_call_quietly (Shell *shell, const char *command, json_object *arguments)
{
  if (shell->client)
    return call (shell, command, arguments, 2, NULL);
  json_object_put (arguments);
  return NULL;
}
