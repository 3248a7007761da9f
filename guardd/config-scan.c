/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-scan.h"

#include <string.h>

struct ConfigScan {
  const char *file;
  const char *rest; /* what was not read yet */
  guint line;
  char *kind, *name; /* NULL before the first header */
  char *key, *value;
};

ConfigScan *
config_scan_new (const char *file, const char *text)
{
  ConfigScan *scan = g_new0 (ConfigScan, 1);
  scan->file = file;
  scan->rest = text;
  return scan;
}

void
config_scan_free (ConfigScan *scan)
{
  if (scan == NULL)
    return;
  g_free (scan->kind);
  g_free (scan->name);
  g_free (scan->key);
  g_free (scan->value);
  g_free (scan);
}

static ConfigScanResult
scan_fail (const ConfigScan *scan, const char *why, GError **error)
{
  g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE, "%s:%u: %s", scan->file, scan->line, why);
  return CONFIG_SCAN_FAILED;
}

static char *
line_next (ConfigScan *scan)
{
  const char *end = strchrnul (scan->rest, '\n');
  char *line = g_strndup (scan->rest, (gsize)(end - scan->rest));
  scan->rest = *end ? end + 1 : end;
  scan->line++;
  return g_strstrip (line);
}

/* "[kind name]" */
static ConfigScanResult
header_scan (ConfigScan *scan, char *line, GError **error)
{
  size_t length = strlen (line);
  if (line[length - 1] != ']')
    return scan_fail (scan, "a section header ends in ]", error);
  line[length - 1] = '\0';
  char *kind = g_strstrip (line + 1);
  char *name = kind + strcspn (kind, " \t");
  if (*name)
    *name++ = '\0';
  g_free (scan->kind);
  g_free (scan->name);
  scan->kind = g_strdup (kind);
  scan->name = g_strdup (g_strstrip (name));
  return CONFIG_SCAN_SECTION;
}

static ConfigScanResult
key_scan (ConfigScan *scan, char *line, GError **error)
{
  char *equals = strchr (line, '=');
  if (equals == NULL || equals == line)
    return scan_fail (scan, "neither [section] nor key = value; a comment begins with #", error);
  if (scan->kind == NULL)
    return scan_fail (scan, "a key before the first [section]", error);
  *equals = '\0';
  g_free (scan->key);
  g_free (scan->value);
  scan->key = g_strdup (g_strstrip (line));
  scan->value = g_strdup (g_strstrip (equals + 1));
  return CONFIG_SCAN_KEY;
}

ConfigScanResult
config_scan_next (ConfigScan *scan, GError **error)
{
  while (*scan->rest) {
    g_autofree char *line = line_next (scan);
    if (!g_utf8_validate (line, -1, NULL))
      return scan_fail (scan, "not UTF-8 text", error);
    if (*line == '[')
      return header_scan (scan, line, error);
    if (*line != '\0' && *line != '#' && *line != ';')
      return key_scan (scan, line, error);
  }
  return CONFIG_SCAN_END;
}

const char *
config_scan_kind (const ConfigScan *scan)
{
  return scan->kind;
}

const char *
config_scan_name (const ConfigScan *scan)
{
  return scan->name;
}

const char *
config_scan_key (const ConfigScan *scan)
{
  return scan->key;
}

const char *
config_scan_value (const ConfigScan *scan)
{
  return scan->value;
}

guint
config_scan_line (const ConfigScan *scan)
{
  return scan->line;
}
