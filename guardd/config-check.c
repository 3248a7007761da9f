/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-parser.h"

#include <string.h>

static bool
section_complete (const ConfigParser *parser, const SectionSeen *seen, GError **error)
{
  for (const ConfigKey *key = config_sections[seen->kind].keys; key->name; key++) {
    g_autoptr (GError) why = NULL;
    if (g_hash_table_contains (seen->key_lines, key->name))
      continue;
    if (key->required)
      return config_parser_fail (parser, seen->line, seen, key->name, error, "is missing; accepted: %s",
                                 key->accepted);
    if (key->fallback && !key->set (key, seen->target, key->fallback, &why))
      return config_parser_fail (parser, seen->line, seen, key->name, error, "default: %s", why->message);
  }
  return true;
}

static char *
names_joined (const GPtrArray *items)
{
  /* name and glob are the first members of what these arrays hold */
  g_autoptr (GString) names = g_string_new (NULL);
  for (guint i = 0; i < items->len; i++)
    g_string_append_printf (names, "%s%s", i ? ", " : "", *(char *const *)items->pdata[i]);
  return names->len ? g_string_free (g_steal_pointer (&names), FALSE) : g_strdup ("(there is none)");
}

static bool
policy_complete (const ConfigParser *parser, const SectionSeen *seen, GError **error)
{
  const Config *config = parser->config;
  ConfigPolicy *policy = seen->target;
  g_autofree char *pools = names_joined (config->pools);
  if (policy->pool == NULL && config->pools->len == 1)
    policy->pool = g_strdup (((ConfigPool *)config->pools->pdata[0])->name);
  if (policy->pool == NULL)
    return config_parser_fail (parser, seen->line, seen, "pool", error,
                               "is missing, and there are several pools; accepted: %s", pools);
  if (config_pool (config, policy->pool) == NULL)
    return config_parser_fail (parser, config_section_seen_line (seen, "pool"), seen, "pool", error,
                               "there is no [pool %s]; accepted: %s", policy->pool, pools);
  return true;
}

static bool
protect_complete (const ConfigParser *parser, const SectionSeen *seen, GError **error)
{
  const Config *config = parser->config;
  ConfigProtect *protect = seen->target;
  g_autofree char *policies = names_joined (config->policies);
  if (protect->policy == NULL && config->policies->len == 1)
    protect->policy = g_strdup (((ConfigPolicy *)config->policies->pdata[0])->name);
  if (protect->policy == NULL)
    return config_parser_fail (parser, seen->line, seen, "policy", error, "is missing; accepted: %s, or none",
                               policies);
  if (strcmp (protect->policy, "none") != 0 && config_policy (config, protect->policy) == NULL)
    return config_parser_fail (parser, config_section_seen_line (seen, "policy"), seen, "policy", error,
                               "there is no [policy %s]; accepted: %s, or none", protect->policy, policies);
  return true;
}

static bool
pool_complete (const ConfigParser *parser, const SectionSeen *seen, GError **error)
{
  const ConfigPool *pool = seen->target;
  for (guint i = 0; i < parser->config->pools->len; i++) {
    const ConfigPool *other = parser->config->pools->pdata[i];
    if (other == pool)
      break;
    if (g_strcmp0 (other->path, pool->path) == 0)
      return config_parser_fail (parser, config_section_seen_line (seen, "path"), seen, "path", error,
                                 "%s belongs to [pool %s] too; each pool needs a directory of its own",
                                 pool->path, other->name);
  }
  return true;
}

/* What the plugin refuses later is to be found in the file as well. */
static bool
detector_complete (const ConfigParser *parser, const SectionSeen *seen, GError **error)
{
  ConfigDetector *detector = seen->target;
  detector->place = g_strdup_printf ("%s:%u: [detector %s]", parser->file, seen->line, seen->name);
  for (guint i = 0; i < detector->params->len; i++) {
    const char *key = g_array_index (detector->params, struct guardd_param, i).key;
    g_ptr_array_add (detector->places,
                     g_strdup_printf ("%s:%u: [detector %s] %s", parser->file,
                                      config_section_seen_line (seen, key), seen->name, key));
  }
  return true;
}

bool
config_parser_complete (ConfigParser *parser, GError **error)
{
  static bool (*const complete[CONFIG_N_KINDS]) (const ConfigParser *, const SectionSeen *, GError **) = {
    [CONFIG_POOL] = pool_complete,
    [CONFIG_POLICY] = policy_complete,
    [CONFIG_PROTECT] = protect_complete,
    [CONFIG_DETECTOR] = detector_complete,
  };
  for (guint i = 0; i < parser->sections->len; i++) {
    const SectionSeen *seen = parser->sections->pdata[i];
    if (!section_complete (parser, seen, error))
      return false;
  }
  if (parser->config->pools->len == 0)
    return config_parser_fail (parser, 0, NULL, NULL, error,
                               "no [pool NAME] section: snapshots need a place; make one with \"guardsh "
                               "pool-create PATH\" and name it here with path = PATH");
  for (guint i = 0; i < parser->sections->len; i++) {
    const SectionSeen *seen = parser->sections->pdata[i];
    if (complete[seen->kind] && !complete[seen->kind](parser, seen, error))
      return false;
  }
  return true;
}
