/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"

#include <stdio.h>
#include <string.h>

struct Words {
  const Command *command;
  GPtrArray **values; /* by option, of char *; borrowed from argv, NULL-terminated */
};

const Command *
command_find (const char *name)
{
  for (const CommandGroup *group = command_groups; group->title; group++)
    for (const Command *command = group->commands; command->name; command++)
      if (strcmp (command->name, name) == 0)
        return command;
  return NULL;
}

static guint
option_count (const Command *command)
{
  guint n = 0;
  while (command->options && command->options[n].name)
    n++;
  return n;
}

static GString *
usage_line (const Command *command)
{
  GString *line = g_string_new (command->name);
  for (const Option *option = command->options; option && option->name; option++) {
    g_autofree char *upper = g_ascii_strup (option->name, -1);
    g_autofree char *word = option->positional            ? g_strdup (upper)
                            : option->type == OPTION_FLAG ? g_strdup_printf ("--%s", option->name)
                                                          : g_strdup_printf ("--%s %s", option->name, upper);
    g_string_append_printf (line, option->required ? " %s%s" : " [%s]%s", word,
                            option->type == OPTION_LIST ? "..." : "");
  }
  return line;
}

void
command_usage (const Command *command, void *file)
{
  g_autoptr (GString) line = usage_line (command);
  fprintf (file, "usage: guardsh %s\n  %s\n", line->str, command->help);
  for (const Option *option = command->options; option && option->name; option++)
    fprintf (file, "    %s%-14s %s\n", option->positional ? "  " : "--", option->name, option->help);
}

/* --- parsing --- */

static const Option *
option_named (const Command *command, const char *name, guint *index)
{
  for (guint i = 0; i < option_count (command); i++)
    if (strcmp (command->options[i].name, name) == 0) {
      *index = i;
      return &command->options[i];
    }
  return NULL;
}

static int wrong (const Command *command, const char *format, ...) G_GNUC_PRINTF (2, 3);

static int
wrong (const Command *command, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *what = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  shell_error ("%s: %s", command->name, what);
  command_usage (command, stderr);
  return EXIT_USAGE;
}

static int
words_add (Words *words, guint index, const char *value)
{
  const Option *option = &words->command->options[index];
  guint64 number;
  if (words->values[index]->len > 0 && option->type != OPTION_LIST)
    return wrong (words->command, "%s is given twice", option->name);
  if (option->type == OPTION_NUMBER && !g_ascii_string_to_unsigned (value, 10, 0, G_MAXINT64, &number, NULL))
    return wrong (words->command, "%s: \"%s\" is no number", option->name, value);
  g_ptr_array_add (words->values[index], (gpointer)value);
  return 0;
}

/* argv[*i] starts with dashes. */
static int
parse_option (Words *words, int argc, char **argv, int *i)
{
  const char *equals = strchr (argv[*i], '=');
  g_autofree char *name
      = equals ? g_strndup (argv[*i] + 2, (gsize)(equals - argv[*i] - 2)) : g_strdup (argv[*i] + 2);
  guint index = 0;
  const Option *option = option_named (words->command, name, &index);
  if (option == NULL)
    return wrong (words->command, "unknown option --%s", name);
  if (option->type == OPTION_FLAG)
    return equals ? wrong (words->command, "--%s takes no value", name) : words_add (words, index, "");
  if (equals)
    return words_add (words, index, equals + 1);
  if (*i + 1 >= argc)
    return wrong (words->command, "--%s needs a value", name);
  return words_add (words, index, argv[++*i]);
}

static int
parse_plain (Words *words, const char *word)
{
  const Command *command = words->command;
  for (guint i = 0; i < option_count (command); i++)
    if (command->options[i].positional
        && (words->values[i]->len == 0 || command->options[i].type == OPTION_LIST))
      return words_add (words, i, word);
  return wrong (command, "\"%s\" is one word too many", word);
}

static int
words_parse (Words *words, int argc, char **argv)
{
  bool options = true;
  int status = 0;
  for (int i = 1; i < argc && status == 0; i++) {
    if (options && strcmp (argv[i], "--") == 0)
      options = false;
    else if (options && strncmp (argv[i], "--", 2) == 0)
      status = parse_option (words, argc, argv, &i);
    else
      status = parse_plain (words, argv[i]);
  }
  for (guint i = 0; i < option_count (words->command) && status == 0; i++)
    if (words->command->options[i].required && words->values[i]->len == 0)
      status = wrong (words->command, "which %s?", words->command->options[i].name);
  return status;
}

int
command_run (Shell *shell, int argc, char **argv)
{
  const Command *command = command_find (argv[0]);
  if (command == NULL) {
    shell_error ("unknown command \"%s\"; \"guardsh help\" lists all", argv[0]);
    return EXIT_USAGE;
  }
  Words words = { command, g_new0 (GPtrArray *, option_count (command) + 1) };
  for (guint i = 0; i < option_count (command); i++)
    words.values[i] = g_ptr_array_new ();
  int status = words_parse (&words, argc, argv);
  for (guint i = 0; i < option_count (command); i++)
    g_ptr_array_add (words.values[i], NULL);
  if (status == 0)
    status = command->run (shell, &words);
  for (guint i = 0; i < option_count (command); i++)
    g_ptr_array_unref (words.values[i]);
  g_free (words.values);
  return status;
}

/* --- what was given --- */

static char **
words_values (const Words *words, const char *name)
{
  guint index = 0;
  if (option_named (words->command, name, &index) == NULL)
    g_error ("%s has no option %s", words->command->name, name); /* a mistake in a table */
  return (char **)words->values[index]->pdata;
}

const char *
words_string (const Words *words, const char *option)
{
  return words_values (words, option)[0];
}

bool
words_flag (const Words *words, const char *option)
{
  return words_string (words, option) != NULL;
}

guint64
words_number (const Words *words, const char *option, guint64 otherwise)
{
  const char *text = words_string (words, option);
  return text ? g_ascii_strtoull (text, NULL, 10) : otherwise;
}

char **
words_list (const Words *words, const char *option)
{
  char **values = words_values (words, option);
  return values[0] ? values : NULL;
}

static void
add_argument (const Words *words, json_object *arguments, const char *name)
{
  guint index = 0;
  char **values = words_values (words, name);
  const Option *option = option_named (words->command, name, &index);
  if (values[0] == NULL)
    return;
  g_assert (option); /* words_values() has found it */
  if (option->type == OPTION_FLAG)
    json_add_bool (arguments, name, true);
  else if (option->type == OPTION_NUMBER)
    json_add_u64 (arguments, name, words_number (words, name, 0));
  else if (option->type == OPTION_STRING)
    json_add_string (arguments, name, values[0]);
  else {
    json_object *list = json_object_new_array ();
    for (; *values; values++)
      json_object_array_add (list, json_object_new_string (*values));
    json_object_object_add (arguments, name, list);
  }
}

json_object *
words_arguments (const Words *words, const char *option, ...)
{
  json_object *arguments = json_object_new_object ();
  va_list names;
  va_start (names, option);
  for (const char *name = option; name; name = va_arg (names, const char *))
    add_argument (words, arguments, name);
  va_end (names);
  return arguments;
}
