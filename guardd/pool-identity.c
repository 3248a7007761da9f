/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.json: what a pool is, and the parameters of its storage plugin, so that a pool that is carried to
 * another host opens there by itself.
 */
#include "pool-private.h"

#include "base/files.h"
#include "base/json.h"
#include "base/units.h"

#include <string.h>

#define PARAMETERS_MAX 64u

static void
param_clear (gpointer pointer)
{
  struct guardd_param *param = pointer;
  g_free ((char *)param->key);
  g_free ((char *)param->value);
}

static GArray *
params_new (void)
{
  GArray *params = g_array_new (FALSE, FALSE, sizeof (struct guardd_param));
  g_array_set_clear_func (params, param_clear);
  return params;
}

/* The last word on a key goes. */
static void
params_set (GArray *params, const char *key, const char *value)
{
  for (guint i = 0; i < params->len; i++)
    if (strcmp (g_array_index (params, struct guardd_param, i).key, key) == 0) {
      g_array_remove_index (params, i);
      break;
    }
  struct guardd_param param = { g_strdup (key), g_strdup (value) };
  g_array_append_val (params, param);
}

void
pool_identity_clear (PoolIdentity *identity)
{
  g_free (identity->id);
  g_free (identity->storage);
  g_clear_pointer (&identity->params, g_array_unref);
}

/* --- writing --- */

bool
pool_identity_write (int fd, const PoolStorage *storage, GError **error)
{
  g_autofree char *id = g_uuid_string_random (), *now = time_format (g_get_real_time ());
  g_autoptr (json_object) json = json_object_new_object ();
  json_add_u64 (json, "format", POOL_FORMAT);
  json_add_string (json, "id", id);
  json_add_string (json, "storage", storage ? storage->name : POOL_STORAGE_DEFAULT);
  if (storage && storage->n_params > 0) {
    json_object *parameters = json_object_new_object ();
    for (size_t i = 0; i < storage->n_params; i++)
      json_add_string (parameters, storage->params[i].key, storage->params[i].value);
    json_object_object_add (json, "parameters", parameters);
  }
  json_add_string (json, "created", now);
  g_autofree char *text
      = g_strconcat (json_object_to_json_string_ext (json, JSON_C_TO_STRING_PRETTY), "\n", NULL);
  return files_replace (fd, POOL_JSON, text, strlen (text), 0600, error);
}

/* --- reading --- */

static json_object *
identity_load (int fd, const char *path, GError **error)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (GBytes) bytes = files_read (fd, POOL_JSON, FILES_SMALL_MAX, &failure);
  if (g_error_matches (failure, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND,
                 "%s: is no pool (it has no " POOL_JSON "); make one with `guardsh pool-create %s`", path,
                 path);
    return NULL;
  }
  if (bytes == NULL) {
    g_propagate_error (error, g_steal_pointer (&failure));
    return NULL;
  }
  g_autofree char *name = files_path (fd, POOL_JSON);
  size_t length = 0;
  const char *text = g_bytes_get_data (bytes, &length);
  return json_parse (name, text, length, error);
}

static bool
parameters_read (json_object *json, PoolIdentity *identity, GError **error)
{
  json_object *parameters = NULL;
  if (!json_object_object_get_ex (json, "parameters", &parameters))
    return true;
  if (!json_get_object (json, "parameters", &parameters, error))
    return false;
  json_object_object_foreach (parameters, key, value)
  {
    if (!json_object_is_type (value, json_type_string) || identity->params->len >= PARAMETERS_MAX) {
      g_set_error (error, POOL_ERROR, POOL_ERROR_DAMAGED, "parameter \"%s\" is no text, or one too many",
                   key);
      return false;
    }
    params_set (identity->params, key, json_object_get_string (value));
  }
  return true;
}

static bool
identity_parse (json_object *json, PoolIdentity *identity, GError **error)
{
  const char *id = NULL, *storage = NULL;
  guint64 format = 0;
  if (!json_get_u64 (json, "format", &format, error) || !json_get_string (json, "id", &id, error)
      || !json_get_string (json, "storage", &storage, error))
    return false;
  if (format != POOL_FORMAT || !g_uuid_string_is_valid (id)) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_DAMAGED,
                 "format %" G_GUINT64_FORMAT " (this guardd knows %d), id %s", format, POOL_FORMAT,
                 g_uuid_string_is_valid (id) ? "valid" : "not a UUID");
    return false;
  }
  identity->id = g_strdup (id);
  identity->storage = g_strdup (storage);
  return parameters_read (json, identity, error);
}

/* What guardd.conf says goes over what the pool says of itself: a volume group may have another name by now.
 */
static bool
identity_take (PoolIdentity *identity, const PoolStorage *storage, GError **error)
{
  if (storage && storage->name && strcmp (storage->name, identity->storage) != 0) {
    g_set_error (error, POOL_ERROR, POOL_ERROR_FAILED,
                 "its storage is %s, but guardd.conf says storage = %s; a pool keeps the storage that it was "
                 "made with",
                 identity->storage, storage->name);
    return false;
  }
  for (size_t i = 0; storage && i < storage->n_params; i++)
    params_set (identity->params, storage->params[i].key, storage->params[i].value);
  /* Whoever has parameters is told whose images these are, and where guardd's programs lie. */
  if (identity->params->len > 0) {
    params_set (identity->params, "pool_id", identity->id);
    params_set (identity->params, "libexec_dir",
                storage && storage->libexec_dir ? storage->libexec_dir : GUARDD_LIBEXEC_DIR);
  }
  return true;
}

bool
pool_identity_read (int fd, const char *path, const PoolStorage *storage, PoolIdentity *identity,
                    GError **error)
{
  *identity = (PoolIdentity){ .params = params_new () };
  g_autoptr (json_object) json = identity_load (fd, path, error);
  if (json == NULL)
    return false;
  if (identity_parse (json, identity, error) && identity_take (identity, storage, error))
    return true;
  g_prefix_error (error, "%s/" POOL_JSON ": ", path);
  return false;
}
