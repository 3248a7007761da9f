/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/json.h"

#include "control-private.h"

#include <string.h>

static const struct {
  const char *name;   /* in query-commands */
  const char *wanted; /* in messages */
} types[] = {
  [CONTROL_STRING] = { "string", "a string" },
  [CONTROL_U64] = { "number", "a whole number, 0 or more" },
  [CONTROL_BOOL] = { "bool", "true or false" },
  [CONTROL_STRV] = { "strings", "an array of strings" },
};

static size_t
command_n_arguments (const ControlCommand *command)
{
  size_t n = 0;
  while (command->arguments && command->arguments[n].name)
    n++;
  return n;
}

/* NUL cannot be kept in a C string, and would let two different names look the same. */
static char *
string_take (json_object *json)
{
  if (!json_object_is_type (json, json_type_string))
    return NULL;
  const char *text = json_object_get_string (json);
  if (strlen (text) != (size_t)json_object_get_string_len (json))
    return NULL;
  return g_strdup (text);
}

static char **
strings_take (json_object *json)
{
  if (!json_object_is_type (json, json_type_array))
    return NULL;
  size_t n = json_object_array_length (json);
  g_auto (GStrv) strings = g_new0 (char *, n + 1);
  for (size_t i = 0; i < n; i++)
    if ((strings[i] = string_take (json_object_array_get_idx (json, i))) == NULL)
      return NULL;
  return g_steal_pointer (&strings);
}

static bool
value_read (ControlType type, json_object *json, ControlValue *value)
{
  switch (type) {
  case CONTROL_STRING:
    value->string = string_take (json);
    value->given = value->string != NULL;
    break;
  case CONTROL_U64:
    /* json-c clamps what does not fit, so 2^64 would become something else */
    value->given = json_object_is_type (json, json_type_int) && json_object_get_int64 (json) >= 0
                   && json_object_get_uint64 (json) <= G_MAXINT64;
    value->number = value->given ? json_object_get_uint64 (json) : 0;
    break;
  case CONTROL_BOOL:
    value->given = json_object_is_type (json, json_type_boolean);
    value->flag = value->given && json_object_get_boolean (json);
    break;
  case CONTROL_STRV:
    value->strings = strings_take (json);
    value->given = value->strings != NULL;
    break;
  }
  return value->given;
}

static void
values_free (const ControlArgument *arguments, size_t n, ControlValue *values)
{
  for (size_t i = 0; i < n; i++)
    if (arguments[i].type == CONTROL_STRING)
      g_free (values[i].string);
    else if (arguments[i].type == CONTROL_STRV)
      g_strfreev (values[i].strings);
  g_free (values);
}

void
control_arguments_free (const ControlCommand *command, ControlValue *values)
{
  values_free (command->arguments, command_n_arguments (command), values);
}

/* Quotes a name that the peer made up: bounded, printable. */
static char *
name_quote (const char *name)
{
  g_autofree char *start = g_strndup (name, 64);
  return g_strescape (start, NULL);
}

static bool
arguments_known (const ControlCommand *command, json_object *arguments, GError **error)
{
  json_object_object_foreach (arguments, name, value)
  {
    const ControlArgument *argument = command->arguments;
    (void)value;
    while (argument && argument->name && strcmp (argument->name, name) != 0)
      argument++;
    if (argument && argument->name)
      continue;
    g_autofree char *quoted = name_quote (name);
    g_autoptr (GString) accepted = g_string_new (NULL);
    for (argument = command->arguments; argument && argument->name; argument++)
      g_string_append_printf (accepted, "%s%s", accepted->len ? ", " : "", argument->name);
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: unknown argument \"%s\"; accepted: %s",
                 command->name, quoted, accepted->len ? accepted->str : "none");
    return false;
  }
  return true;
}

ControlValue *
control_arguments_read (const ControlCommand *command, json_object *arguments, GError **error)
{
  size_t n = command_n_arguments (command);
  if (arguments && !arguments_known (command, arguments, error))
    return NULL;
  ControlValue *values = g_new0 (ControlValue, n + 1);
  for (size_t i = 0; i < n; i++) {
    const ControlArgument *argument = &command->arguments[i];
    json_object *json = arguments ? json_object_object_get (arguments, argument->name) : NULL;
    const char *problem = NULL;
    if (json == NULL)
      problem = argument->required ? "is missing; wanted:" : NULL;
    else if (!value_read (argument->type, json, &values[i]))
      problem = "is not";
    if (problem == NULL)
      continue;
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: argument \"%s\" %s %s (%s)",
                 command->name, argument->name, problem, types[argument->type].wanted, argument->help);
    values_free (command->arguments, n, values);
    return NULL;
  }
  return values;
}

json_object *
control_arguments_describe (const ControlCommand *command)
{
  json_object *list = json_object_new_array ();
  for (const ControlArgument *argument = command->arguments; argument && argument->name; argument++) {
    json_object *entry = json_object_new_object ();
    json_add_string (entry, "name", argument->name);
    json_add_string (entry, "type", types[argument->type].name);
    json_add_bool (entry, "required", argument->required);
    json_add_string (entry, "help", argument->help);
    json_object_array_add (list, entry);
  }
  return list;
}
