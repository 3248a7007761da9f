/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-parser.h"

#include "config-scan.h"

#include <string.h>

void
config_section_seen_free (void *pointer)
{
  SectionSeen *seen = pointer;
  g_free (seen->name);
  g_hash_table_unref (seen->key_lines);
  g_free (seen);
}

bool
config_parser_fail (const ConfigParser *parser, guint line, const SectionSeen *seen, const char *key,
                    GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_autoptr (GString) where = g_string_new (parser->file);
  if (line > 0)
    g_string_append_printf (where, ":%u", line);
  g_string_append (where, ": ");
  if (seen)
    g_string_append_printf (where, "[%s%s%s] ", config_sections[seen->kind].kind, *seen->name ? " " : "",
                            seen->name);
  if (key)
    g_string_append_printf (where, "%s: ", key);
  g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE, "%s%s", where->str, text);
  return false;
}

guint
config_section_seen_line (const SectionSeen *seen, const char *key)
{
  guint line = GPOINTER_TO_UINT (g_hash_table_lookup (seen->key_lines, key));
  return line ? line : seen->line;
}

static void *
section_target_new (Config *config, ConfigKind kind, const char *name)
{
  switch (kind) {
  case CONFIG_POOL: {
    ConfigPool *pool = config_pool_new (name);
    g_ptr_array_add (config->pools, pool);
    return pool;
  }
  case CONFIG_POLICY: {
    ConfigPolicy *policy = g_new0 (ConfigPolicy, 1);
    policy->name = g_strdup (name);
    g_ptr_array_add (config->policies, policy);
    return policy;
  }
  case CONFIG_PROTECT: {
    ConfigProtect *protect = g_new0 (ConfigProtect, 1);
    protect->glob = g_strdup (name);
    g_ptr_array_add (config->protects, protect);
    return protect;
  }
  case CONFIG_ALERT: {
    ConfigAlert *alert = config_alert_new (name);
    g_ptr_array_add (config->alerts, alert);
    return alert;
  }
  case CONFIG_DETECTOR: {
    ConfigDetector *detector = config_detector_new (name);
    g_ptr_array_add (config->detectors, detector);
    return detector;
  }
  case CONFIG_DAEMON:
  case CONFIG_N_KINDS:
    break;
  }
  return config;
}

static void
parser_add_section (ConfigParser *parser, ConfigKind kind, const char *name, guint line)
{
  SectionSeen *seen = g_new0 (SectionSeen, 1);
  seen->kind = kind;
  seen->name = g_strdup (name);
  seen->line = line;
  seen->target = section_target_new (parser->config, kind, name);
  seen->key_lines = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_ptr_array_add (parser->sections, seen);
  parser->current = seen;
}

static bool
name_is_plain (const char *name)
{
  return strspn (name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_.-") == strlen (name);
}

static bool
parser_check_name (const ConfigParser *parser, ConfigKind kind, const char *name, guint line, GError **error)
{
  const ConfigSection *section = &config_sections[kind];
  if (section->name_help == NULL)
    return *name == '\0'
           || config_parser_fail (parser, line, NULL, NULL, error, "[%s] has no name", section->kind);
  if (*name == '\0')
    return config_parser_fail (parser, line, NULL, NULL, error, "[%s] needs a name: [%s %s]", section->kind,
                               section->kind, section->name_help);
  if (kind != CONFIG_PROTECT && !name_is_plain (name))
    return config_parser_fail (parser, line, NULL, NULL, error,
                               "[%s %s]: a name is made of letters, digits and _ . -", section->kind, name);
  if (kind == CONFIG_POLICY && strcmp (name, "none") == 0)
    return config_parser_fail (parser, line, NULL, NULL, error,
                               "[policy none]: \"none\" is what a [protect] says to leave a guest out");
  return true;
}

static bool
parser_read_section (ConfigParser *parser, const ConfigScan *scan, GError **error)
{
  const char *kind_name = config_scan_kind (scan), *name = config_scan_name (scan);
  guint line = config_scan_line (scan);
  ConfigKind kind = CONFIG_DAEMON;
  while (kind < CONFIG_N_KINDS && strcmp (config_sections[kind].kind, kind_name) != 0)
    kind++;
  if (kind == CONFIG_N_KINDS)
    return config_parser_fail (parser, line, NULL, NULL, error,
                               "[%s]: unknown section; accepted: [daemon], [pool NAME], [policy NAME], "
                               "[protect GLOB], [alert NAME], [detector NAME]",
                               kind_name);
  if (!parser_check_name (parser, kind, name, line, error))
    return false;
  for (guint i = 0; i < parser->sections->len; i++) {
    SectionSeen *other = g_ptr_array_index (parser->sections, i);
    if (other->kind != kind || strcmp (other->name, name) != 0)
      continue;
    if (other->line > 0)
      return config_parser_fail (parser, line, other, NULL, error, "stands in line %u already", other->line);
    other->line = line;
    parser->current = other;
    return true;
  }
  parser_add_section (parser, kind, name, line);
  return true;
}

static bool
parser_read_key (ConfigParser *parser, const ConfigScan *scan, GError **error)
{
  const char *name = config_scan_key (scan);
  guint line = config_scan_line (scan);
  SectionSeen *seen = parser->current;
  const ConfigSection *section = &config_sections[seen->kind];
  const ConfigKey *key = config_section_find (section, name);
  g_autofree char *accepted = config_section_accepted (section);
  g_autoptr (GError) why = NULL;
  ConfigKey rest = { 0 };
  if (key == NULL && section->rest) {
    rest = *section->rest;
    rest.name = name;
    key = &rest;
  }
  if (key == NULL)
    return config_parser_fail (parser, line, seen, name, error, "unknown key; accepted: %s", accepted);
  if (g_hash_table_contains (seen->key_lines, name))
    return config_parser_fail (parser, line, seen, name, error, "stands in line %u already",
                               config_section_seen_line (seen, name));
  g_hash_table_insert (seen->key_lines, g_strdup (name), GUINT_TO_POINTER (line));
  if (!key->set (key, seen->target, config_scan_value (scan), &why))
    return config_parser_fail (parser, line, seen, name, error, "%s", why->message);
  return true;
}

bool
config_parser_read (ConfigParser *parser, const char *text, GError **error)
{
  g_autoptr (ConfigScan) scan = config_scan_new (parser->file, text);
  parser_add_section (parser, CONFIG_DAEMON, "", 0);
  for (;;)
    switch (config_scan_next (scan, error)) {
    case CONFIG_SCAN_END:
      return true;
    case CONFIG_SCAN_FAILED:
      return false;
    case CONFIG_SCAN_SECTION:
      if (!parser_read_section (parser, scan, error))
        return false;
      break;
    case CONFIG_SCAN_KEY:
      if (!parser_read_key (parser, scan, error))
        return false;
      break;
    }
}
