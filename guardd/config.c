/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "config-parser.h"
#include "config-scan.h"

#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

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

ConfigPool *
config_pool_new (const char *name)
{
  ConfigPool *pool = g_new0 (ConfigPool, 1);
  pool->name = g_strdup (name);
  pool->params = params_new ();
  return pool;
}

void
config_pool_free (void *pointer)
{
  ConfigPool *pool = pointer;
  g_free (pool->name);
  g_free (pool->path);
  g_free (pool->storage);
  g_array_unref (pool->params);
  g_free (pool);
}

void
config_policy_free (void *pointer)
{
  ConfigPolicy *policy = pointer;
  g_free (policy->name);
  retention_free (policy->keep);
  g_free (policy->pool);
  g_free (policy);
}

void
config_protect_free (void *pointer)
{
  ConfigProtect *protect = pointer;
  g_free (protect->glob);
  g_free (protect->policy);
  g_strfreev (protect->skip_disks);
  g_free (protect);
}

ConfigAlert *
config_alert_new (const char *name)
{
  ConfigAlert *alert = g_new0 (ConfigAlert, 1);
  alert->name = g_strdup (name);
  alert->params = params_new ();
  return alert;
}

static void
config_alert_free (void *pointer)
{
  ConfigAlert *alert = pointer;
  g_free (alert->name);
  g_free (alert->type);
  g_array_unref (alert->params);
  g_free (alert);
}

ConfigDetector *
config_detector_new (const char *name)
{
  ConfigDetector *detector = g_new0 (ConfigDetector, 1);
  detector->name = g_strdup (name);
  detector->params = params_new ();
  detector->places = g_ptr_array_new_with_free_func (g_free);
  return detector;
}

static void
config_detector_free (void *pointer)
{
  ConfigDetector *detector = pointer;
  g_free (detector->name);
  g_free (detector->place);
  g_array_unref (detector->params);
  g_ptr_array_unref (detector->places);
  g_free (detector);
}

void
config_free (Config *config)
{
  if (config == NULL)
    return;
  g_free (config->uri);
  g_free (config->run_dir);
  g_free (config->state_dir);
  g_free (config->plugin_dir);
  g_free (config->libexec_dir);
  g_free (config->appliance_dir);
  g_free (config->scratch_dir);
  g_free (config->control_group);
  g_ptr_array_unref (config->pools);
  g_ptr_array_unref (config->policies);
  g_ptr_array_unref (config->protects);
  g_ptr_array_unref (config->alerts);
  g_ptr_array_unref (config->detectors);
  g_free (config);
}

Config *
config_new (void)
{
  Config *config = g_new0 (Config, 1);
  config->pools = g_ptr_array_new_with_free_func (config_pool_free);
  config->policies = g_ptr_array_new_with_free_func (config_policy_free);
  config->protects = g_ptr_array_new_with_free_func (config_protect_free);
  config->alerts = g_ptr_array_new_with_free_func (config_alert_free);
  config->detectors = g_ptr_array_new_with_free_func (config_detector_free);
  return config;
}

Config *
config_parse (const char *name, const char *text, GError **error)
{
  g_autoptr (Config) config = config_new ();
  g_autoptr (GPtrArray) sections = g_ptr_array_new_with_free_func (config_section_seen_free);
  ConfigParser parser = { name, config, sections, NULL };
  if (!config_parser_read (&parser, text, error) || !config_parser_complete (&parser, error))
    return NULL;
  return g_steal_pointer (&config);
}

Config *
config_load (const char *path, GError **error)
{
  g_autofree char *text = NULL;
  gsize length = 0;
  struct stat st;
  if (stat (path, &st) == 0 && (!S_ISREG (st.st_mode) || st.st_size > CONFIG_TEXT_MAX)) {
    g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE, "%s: not a text file of at most %d KiB",
                 path, CONFIG_TEXT_MAX / 1024);
    return NULL;
  }
  if (!g_file_get_contents (path, &text, &length, error))
    return NULL;
  if (memchr (text, '\0', length)) {
    g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE, "%s: not a text file", path);
    return NULL;
  }
  return config_parse (path, text, error);
}

/* --- looking --- */

const ConfigPolicy *
config_policy (const Config *config, const char *name)
{
  for (guint i = 0; i < config->policies->len; i++) {
    const ConfigPolicy *policy = config->policies->pdata[i];
    if (strcmp (policy->name, name) == 0)
      return policy;
  }
  return NULL;
}

const ConfigPool *
config_pool (const Config *config, const char *name)
{
  for (guint i = 0; i < config->pools->len; i++) {
    const ConfigPool *pool = config->pools->pdata[i];
    if (strcmp (pool->name, name) == 0)
      return pool;
  }
  return NULL;
}

const ConfigProtect *
config_protect (const Config *config, const char *domain_name)
{
  for (guint i = 0; i < config->protects->len; i++) {
    const ConfigProtect *protect = config->protects->pdata[i];
    if (fnmatch (protect->glob, domain_name, 0) == 0)
      return protect;
  }
  return NULL;
}
