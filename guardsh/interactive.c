/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "interactive.h"

#include "command.h"
#include "lines.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HISTORY_LINES 1000

/* readline's callbacks take no argument of ours: the one shell of this process. */
static Shell *completing;
static Lines lines;

/* --- completion --- */

static void
add_match (GPtrArray *matches, const char *start, const char *word)
{
  if (g_str_has_prefix (word, start))
    g_ptr_array_add (matches, g_strdup (word));
}

static void
match_commands (GPtrArray *matches, const char *start)
{
  for (const CommandGroup *group = command_groups; group->title; group++)
    for (const Command *command = group->commands; command->name; command++)
      add_match (matches, start, command->name);
  add_match (matches, start, "quit");
}

static void
match_options (GPtrArray *matches, const Command *command, const char *start)
{
  for (const Option *option = command->options; option && option->name; option++)
    if (!option->positional) {
      g_autofree char *word = g_strconcat ("--", option->name, NULL);
      add_match (matches, start, word);
    }
}

static void
match_members (GPtrArray *matches, const char *start, const char *command, json_object *arguments,
               const char *list_key, const char *key)
{
  json_object *list = NULL, *value = NULL;
  g_autoptr (json_object) answer = shell_call_quietly (completing, command, arguments);
  if (answer == NULL || !json_get_array (answer, list_key, &list, NULL))
    return;
  for (size_t i = 0; i < json_object_array_length (list); i++)
    if (json_object_object_get_ex (json_object_array_get_idx (list, i), key, &value))
      add_match (matches, start, json_object_get_string (value));
}

/* words: those before the one that is completed; the first is the command. */
static void
match_words (GPtrArray *matches, char **words, const char *start)
{
  const Command *command = words[0] ? command_find (words[0]) : NULL;
  if (words[0] == NULL)
    match_commands (matches, start);
  else if (command && g_str_has_prefix (start, "-"))
    match_options (matches, command, start);
  else if (command && command->options && strcmp (command->options[0].name, "domain") == 0 && !words[1])
    match_members (matches, start, "domain-list", NULL, "domains", "name");
  else if (command && words[1] && strstr (words[0], "snapshot-")) {
    json_object *arguments = json_object_new_object ();
    json_add_string (arguments, "domain", words[1]);
    match_members (matches, start, "snapshot-list", arguments, "snapshots", "number");
    add_match (matches, start, "latest");
    add_match (matches, start, "last-good");
  } else if (strcmp (words[0], "help") == 0)
    match_commands (matches, start);
}

/* readline wants the common prefix first, and frees with free(). */
static char **
matches_for_readline (const GPtrArray *matches)
{
  if (matches->len == 0)
    return NULL;
  char **list = calloc (matches->len + 2, sizeof *list);
  if (list == NULL)
    return NULL;
  gsize common = strlen (matches->pdata[0]);
  for (guint i = 0; i < matches->len; i++) {
    const char *word = matches->pdata[i], *first = matches->pdata[0];
    gsize same = 0;
    while (same < common && word[same] == first[same])
      same++;
    common = same;
    list[i + 1] = strdup (word);
  }
  list[0] = strndup (matches->pdata[0], common);
  if (matches->len == 1) { /* then the prefix is all there is */
    free (list[1]);
    list[1] = NULL;
  }
  return list;
}

static char **
complete (const char *start, int from, int to)
{
  g_autofree char *before = g_strndup (*lines.rl_line_buffer, (gsize)from);
  g_autoptr (GPtrArray) matches = g_ptr_array_new_with_free_func (g_free);
  int n = 0;
  g_auto (GStrv) words = NULL;
  *lines.rl_attempted_completion_over = 1; /* no file names */
  if (!g_shell_parse_argv (before, &n, &words, NULL))
    words = g_new0 (char *, 1);
  match_words (matches, words, start);
  return matches_for_readline (matches);
}

/* --- history --- */

static char *
history_path (void)
{
  g_autofree char *directory = g_build_filename (g_get_user_data_dir (), "guardsh", NULL);
  g_mkdir_with_parents (directory, 0700);
  return g_build_filename (directory, "history", NULL);
}

/* --- the loop --- */

static int
run_line (Shell *shell, const char *line, int status)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) words = NULL;
  int n = 0;
  if (!g_shell_parse_argv (line, &n, &words, &error)) {
    if (g_error_matches (error, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING))
      return status;
    shell_error ("%s", error->message);
    return EXIT_USAGE;
  }
  return command_run (shell, n, words);
}

int
interactive_run (Shell *shell)
{
  g_autofree char *history = history_path ();
  const char *why = NULL;
  int status = 0;
  char *line;
  if (!lines_load (&lines, &why)) {
    shell_error ("lines cannot be read: %s; give the command as arguments", why);
    return EXIT_FAILED;
  }
  completing = shell;
  shell->interactive = true;
  *lines.rl_readline_name = "guardsh";
  *lines.rl_attempted_completion_function = complete;
  lines.using_history ();
  lines.read_history (history);
  lines.stifle_history (HISTORY_LINES);
  if (isatty (STDIN_FILENO) && !shell->quiet)
    puts ("guardsh " GUARDD_VERSION ": \"help\" lists the commands, \"quit\" ends");
  while ((line = lines.readline (isatty (STDIN_FILENO) ? "guardsh # " : "")) != NULL) {
    g_strstrip (line);
    bool quit = strcmp (line, "quit") == 0 || strcmp (line, "exit") == 0;
    if (line[0] && !quit) {
      lines.add_history (line);
      status = run_line (shell, line, status);
    }
    free (line);
    if (quit)
      break;
  }
  lines.write_history (history);
  return status;
}
