/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

#define NO_OPTION                                                                                            \
  {                                                                                                          \
    NULL, OPTION_FLAG, false, false, NULL                                                                    \
  }

/* --- events --- */

static const Option events_options[]
    = { { "timeout", OPTION_NUMBER, false, false, "end after so many seconds" },
        { "count", OPTION_NUMBER, false, false, "end after so many events" },
        NO_OPTION };

static void
event_print (const Shell *shell, json_object *event)
{
  const char *name = "?";
  json_object *data = NULL;
  json_get_string (event, "event", &name, NULL);
  json_get_object (event, "data", &data, NULL);
  if (shell->json)
    puts (json_object_to_json_string_ext (event, JSON_C_TO_STRING_PLAIN));
  else {
    g_autoptr (GDateTime) now = g_date_time_new_now_local ();
    g_autofree char *time = g_date_time_format (now, "%H:%M:%S");
    g_autofree char *text
        = shell_escape (data ? json_object_to_json_string_ext (data, JSON_C_TO_STRING_PLAIN) : "");
    printf ("%s %s %s\n", time, name, text);
  }
  fflush (stdout);
}

static int
run_events (Shell *shell, const Words *words)
{
  guint64 count = words_number (words, "count", G_MAXUINT64), timeout = words_number (words, "timeout", 0);
  gint64 end = timeout ? g_get_monotonic_time () + (gint64)timeout * G_USEC_PER_SEC : G_MAXINT64;
  QmpClient *client = shell_client (shell);
  if (client == NULL)
    return EXIT_FAILED;
  while (count > 0 && g_get_monotonic_time () < end) {
    g_autoptr (GError) error = NULL;
    gint64 left = MIN ((end - g_get_monotonic_time ()) / 1000 + 1, 1000);
    g_autoptr (json_object) event = qmp_client_next_event (client, (guint)MAX (1, left), &error);
    if (error) {
      shell_error ("%s", error->message);
      return EXIT_FAILED;
    }
    if (event) {
      event_print (shell, event);
      count--;
    }
  }
  return EXIT_DONE;
}

/* --- doctor --- */

static const Column finding_columns[] = {
  { "Check", "check", CELL_TEXT },
  { "Level", "level", CELL_TEXT },
  { "Finding", "message", CELL_TEXT },
  { NULL, NULL, CELL_TEXT },
};

/* Fails when a finding is an error, so that scripts can ask. */
static int
doctor_status (json_object *findings, bool advise)
{
  int status = EXIT_DONE;
  for (size_t i = 0; i < json_object_array_length (findings); i++) {
    json_object *finding = json_object_array_get_idx (findings, i);
    const char *level = "", *check = "", *advice = NULL;
    json_get_string (finding, "level", &level, NULL);
    json_get_string (finding, "check", &check, NULL);
    json_opt_string (finding, "advice", &advice, NULL);
    if (strcmp (level, "error") == 0)
      status = EXIT_FAILED;
    if (advise && advice)
      printf ("\n%s: %s\n", check, advice);
  }
  return status;
}

static int
run_doctor (Shell *shell, const Words *words)
{
  json_object *findings = NULL;
  g_autoptr (json_object) answer = shell_call (shell, "doctor", NULL, 120);
  if (answer == NULL || !json_get_array (answer, "findings", &findings, NULL))
    return EXIT_FAILED;
  if (shell_print_json (shell, answer))
    return doctor_status (findings, false);
  table_print (findings, finding_columns);
  return doctor_status (findings, true);
}

/* --- version, help --- */

static int
run_version (Shell *shell, const Words *words)
{
  const char *daemon = "?";
  g_autoptr (json_object) answer = shell_call (shell, "query-version", NULL, 0);
  if (answer == NULL)
    return EXIT_FAILED;
  json_add_string (answer, "guardsh", GUARDD_VERSION);
  json_get_string (answer, "version", &daemon, NULL);
  if (!shell_print_json (shell, answer))
    printf ("guardsh %s, guardd %s\n", GUARDD_VERSION, daemon);
  return EXIT_DONE;
}

static const Option help_options[] = { { "command", OPTION_STRING, true, false, "of which" }, NO_OPTION };

static int
run_help (Shell *shell, const Words *words)
{
  const char *name = words_string (words, "command");
  const Command *one = name ? command_find (name) : NULL;
  if (one) {
    command_usage (one, stdout);
    return EXIT_DONE;
  }
  if (name) {
    shell_error ("unknown command \"%s\"; \"guardsh help\" lists all", name);
    return EXIT_USAGE;
  }
  for (const CommandGroup *group = command_groups; group->title; group++) {
    printf ("%s\n", group->title);
    for (const Command *command = group->commands; command->name; command++)
      printf ("    %-18s %s\n", command->name, command->help);
  }
  return EXIT_DONE;
}

/* --- plugins --- */

static const Column plugin_columns[] = {
  { "Kind", "kind", CELL_TEXT },        { "Name", "name", CELL_TEXT },
  { "Version", "version", CELL_NOTE },  { "API", "api", CELL_NUMBER },
  { "What", "description", CELL_NOTE }, { "File", "path", CELL_TEXT },
  { "Trouble", "error", CELL_NOTE },    { NULL, NULL, CELL_TEXT },
};

static int
run_plugins (Shell *shell, const Words *words)
{
  json_object *plugins = NULL;
  g_autoptr (json_object) answer = shell_call (shell, "plugin-list", NULL, 0);
  if (answer == NULL || !json_get_array (answer, "plugins", &plugins, NULL))
    return EXIT_FAILED;
  if (!shell_print_json (shell, answer))
    table_print (plugins, plugin_columns);
  return EXIT_DONE;
}

const Command host_commands[] = {
  { "events", events_options, run_events, "what happens, as it happens" },
  { "doctor", NULL, run_doctor, "look for what is wrong with this host" },
  { "plugin-list", NULL, run_plugins, "every plugin that is installed" },
  { "version", NULL, run_version, "which guardsh and guardd these are" },
  { "help", help_options, run_help, "all commands, or one" },
  { NULL, NULL, NULL, NULL },
};
