/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

#include <string.h>

#define DEPTH_MAX 64

GQuark
json_error_quark_guardd (void)
{
  return g_quark_from_static_string ("guardd-json-error");
}

static bool
type_fail (const char *key, const char *wanted, GError **error)
{
  g_set_error (error, JSON_ERROR, 0, "member \"%s\" is missing or not %s", key, wanted);
  return false;
}

/* NULL: absent, null, or `object` is none. */
static json_object *
member (json_object *object, const char *key)
{
  json_object *value = NULL;
  if (json_object_is_type (object, json_type_object))
    json_object_object_get_ex (object, key, &value);
  return value;
}

bool
json_get_string (json_object *object, const char *key, const char **out, GError **error)
{
  json_object *value = member (object, key);
  if (!json_object_is_type (value, json_type_string))
    return type_fail (key, "a string", error);
  const char *text = json_object_get_string (value);
  /* JSON may hold \u0000; C strings end there, and two readers would disagree on what was said. */
  if ((size_t)json_object_get_string_len (value) != strlen (text))
    return type_fail (key, "a string without NUL", error);
  *out = text;
  return true;
}

bool
json_get_i64 (json_object *object, const char *key, gint64 *out, GError **error)
{
  json_object *value = member (object, key);
  if (!json_object_is_type (value, json_type_int))
    return type_fail (key, "an integer", error);
  /* json-c keeps what is above INT64_MAX as unsigned, and hands out INT64_MAX: out of range here */
  if (json_object_get_uint64 (value) > (guint64)G_MAXINT64 && json_object_get_int64 (value) >= 0)
    return type_fail (key, "an integer below 2^63", error);
  *out = json_object_get_int64 (value);
  return true;
}

bool
json_get_u64 (json_object *object, const char *key, guint64 *out, GError **error)
{
  gint64 value = -1;
  if (!json_get_i64 (object, key, &value, NULL) || value < 0)
    return type_fail (key, "an integer >= 0", error);
  *out = (guint64)value;
  return true;
}

bool
json_get_bool (json_object *object, const char *key, bool *out, GError **error)
{
  json_object *value = member (object, key);
  if (!json_object_is_type (value, json_type_boolean))
    return type_fail (key, "true or false", error);
  *out = json_object_get_boolean (value);
  return true;
}

bool
json_get_object (json_object *object, const char *key, json_object **out, GError **error)
{
  json_object *value = member (object, key);
  if (!json_object_is_type (value, json_type_object))
    return type_fail (key, "an object", error);
  *out = value;
  return true;
}

bool
json_get_array (json_object *object, const char *key, json_object **out, GError **error)
{
  json_object *value = member (object, key);
  if (!json_object_is_type (value, json_type_array))
    return type_fail (key, "an array", error);
  *out = value;
  return true;
}

bool
json_opt_string (json_object *object, const char *key, const char **out, GError **error)
{
  return member (object, key) == NULL || json_get_string (object, key, out, error);
}

bool
json_opt_u64 (json_object *object, const char *key, guint64 *out, GError **error)
{
  return member (object, key) == NULL || json_get_u64 (object, key, out, error);
}

bool
json_opt_bool (json_object *object, const char *key, bool *out, GError **error)
{
  return member (object, key) == NULL || json_get_bool (object, key, out, error);
}

void
json_add_string (json_object *object, const char *key, const char *value)
{
  json_object_object_add (object, key, value ? json_object_new_string (value) : NULL);
}

void
json_add_u64 (json_object *object, const char *key, guint64 value)
{
  json_object_object_add (object, key, json_object_new_int64 ((gint64)value));
}

void
json_add_bool (json_object *object, const char *key, bool value)
{
  json_object_object_add (object, key, json_object_new_boolean (value));
}

static bool
trailing_space (const char *text, size_t length)
{
  for (size_t i = 0; i < length; i++)
    if (!g_ascii_isspace (text[i]))
      return false;
  return true;
}

json_object *
json_parse (const char *name, const char *text, size_t length, GError **error)
{
  if (length > G_MAXINT32) {
    g_set_error (error, JSON_ERROR, 0, "%s: too long for a JSON document", name);
    return NULL;
  }
  json_tokener *tokener = json_tokener_new_ex (DEPTH_MAX);
  json_tokener_set_flags (tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8
                                       | JSON_TOKENER_ALLOW_TRAILING_CHARS);
  json_object *object = json_tokener_parse_ex (tokener, text, (int)length);
  enum json_tokener_error why = json_tokener_get_error (tokener);
  size_t end = json_tokener_get_parse_end (tokener);
  /* a number at the very end could go on: a terminating NUL settles it */
  if (why == json_tokener_continue && end == length) {
    object = json_tokener_parse_ex (tokener, "", 1);
    why = json_tokener_get_error (tokener);
  }
  if (why != json_tokener_success) {
    g_set_error (error, JSON_ERROR, 0, "%s: not valid JSON at byte %zu: %s", name, end,
                 json_tokener_error_desc (why));
    g_clear_pointer (&object, json_object_put);
  } else if (!trailing_space (text + MIN (end, length), length - MIN (end, length))) {
    g_set_error (error, JSON_ERROR, 0, "%s: text after the JSON document at byte %zu", name, end);
    g_clear_pointer (&object, json_object_put);
  } else if (object == NULL)
    g_set_error (error, JSON_ERROR, 0, "%s: is null", name);
  json_tokener_free (tokener);
  return object;
}
