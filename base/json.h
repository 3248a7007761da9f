/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json.h: typed, checked access to json-c values.  For JSON that may be damaged or
 * hostile: a missing member or a wrong type is an error that names the member.
 * Pure; any thread.
 */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

#define JSON_ERROR (json_error_quark_guardd ())
GQuark json_error_quark_guardd (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (json_object, json_object_put)

/* Borrowed values out of `object` (itself checked to be an object).  *out is set on success only. */
bool json_get_string (json_object *object, const char *key, const char **out, GError **error);
bool json_get_u64 (json_object *object, const char *key, guint64 *out, GError **error); /* an integer >= 0 */
bool json_get_i64 (json_object *object, const char *key, gint64 *out, GError **error);
bool json_get_bool (json_object *object, const char *key, bool *out, GError **error);
bool json_get_object (json_object *object, const char *key, json_object **out, GError **error);
bool json_get_array (json_object *object, const char *key, json_object **out, GError **error);
/* The same, but an absent or null member leaves *out alone and is success. */
bool json_opt_string (json_object *object, const char *key, const char **out, GError **error);
bool json_opt_u64 (json_object *object, const char *key, guint64 *out, GError **error);
bool json_opt_bool (json_object *object, const char *key, bool *out, GError **error);

/* Adders; string NULL adds null.  u64 must be <= INT64_MAX. */
void json_add_string (json_object *object, const char *key, const char *value);
void json_add_u64 (json_object *object, const char *key, guint64 value);
void json_add_bool (json_object *object, const char *key, bool value);

/* Parses one whole document: depth <= 64, valid UTF-8, no trailing text.  name: for messages. */
json_object *json_parse (const char *name, const char *text, size_t length, GError **error);
