/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ask.h"

json_object *
ask_new (const char *op, ...)
{
  json_object *request = json_object_new_object ();
  const char *key;
  va_list arguments;
  json_object_object_add (request, "op", json_object_new_string (op));
  va_start (arguments, op);
  while ((key = va_arg (arguments, const char *)) != NULL)
    json_object_object_add (request, key, json_object_new_string (va_arg (arguments, const char *)));
  va_end (arguments);
  return request;
}

void
ask_add_number (json_object *request, const char *key, guint64 value)
{
  json_object_object_add (request, key, json_object_new_int64 ((gint64)value));
}

void
ask_add_to (json_object *request, const char *key, json_object *value)
{
  json_object *list = NULL;
  if (!json_object_object_get_ex (request, key, &list)) {
    list = json_object_new_array ();
    json_object_object_add (request, key, list);
  }
  json_object_array_add (list, value);
}

void
ask_add_snapshot (json_object *request, const char *origin, const char *lv)
{
  json_object *one = json_object_new_object ();
  json_object_object_add (one, "origin", json_object_new_string (origin));
  json_object_object_add (one, "lv", json_object_new_string (lv));
  ask_add_to (request, "snapshots", one);
}

int
ask_for (LvmClient *client, const struct guardd_call *call, guint deadline_ms, json_object *request,
         json_object **answer)
{
  g_autoptr (GError) error = NULL;
  if (lvm_client_ask (client, request, deadline_ms, answer, &error))
    return 0;
  return fail (call, 0, "%s", error->message);
}

int
ask (LvmClient *client, const struct guardd_call *call, json_object *request, json_object **answer)
{
  return ask_for (client, call, ASK_DEADLINE_MS, request, answer);
}

guint64
answer_number (json_object *answer, const char *key)
{
  json_object *value = NULL;
  gint64 number = json_object_object_get_ex (answer, key, &value) ? json_object_get_int64 (value) : 0;
  return number > 0 ? (guint64)number : 0;
}

const char *
answer_text (json_object *answer, const char *key)
{
  json_object *value = NULL;
  const char *text = json_object_object_get_ex (answer, key, &value) ? json_object_get_string (value) : NULL;
  return text ? text : "";
}
