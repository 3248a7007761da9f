/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-keys.h"

#include "base/units.h"

#include "config.h"

#include <stddef.h>
#include <string.h>

#define MEMBER(type, key, section) (*(type *)((char *)(section) + (key)->offset))

static bool
key_refuse (const ConfigKey *key, const char *value, GError **error)
{
  g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE, "\"%s\" cannot be used; accepted: %s",
               value, key->accepted);
  return false;
}

static bool
key_set_number (const ConfigKey *key, void *section, const char *value, guint64 number, GError **error)
{
  if (number < key->minimum || number > key->maximum)
    return key_refuse (key, value, error);
  MEMBER (guint64, key, section) = number;
  return true;
}

static bool
key_set_duration (const ConfigKey *key, void *section, const char *value, GError **error)
{
  guint64 us;
  return duration_parse (value, &us, NULL) ? key_set_number (key, section, value, us, error)
                                           : key_refuse (key, value, error);
}

static bool
key_set_size (const ConfigKey *key, void *section, const char *value, GError **error)
{
  guint64 bytes;
  return size_parse (value, &bytes, NULL) ? key_set_number (key, section, value, bytes, error)
                                          : key_refuse (key, value, error);
}

static bool
key_set_count (const ConfigKey *key, void *section, const char *value, GError **error)
{
  guint64 number;
  if (!g_ascii_string_to_unsigned (value, 10, key->minimum, key->maximum, &number, NULL))
    return key_refuse (key, value, error);
  MEMBER (guint, key, section) = (guint)number;
  return true;
}

static bool
key_set_text (const ConfigKey *key, void *section, const char *value, GError **error)
{
  if (*value == '\0')
    return key_refuse (key, value, error);
  g_free (MEMBER (char *, key, section));
  MEMBER (char *, key, section) = g_strdup (value);
  return true;
}

static bool
key_set_path (const ConfigKey *key, void *section, const char *value, GError **error)
{
  if (*value != '/')
    return key_refuse (key, value, error);
  g_autofree char *path = g_canonicalize_filename (value, NULL);
  return key_set_text (key, section, path, error);
}

static bool
key_set_words (const ConfigKey *key, void *section, const char *value, GError **error)
{
  g_auto (GStrv) words = g_strsplit_set (value, " \t,", -1);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  for (char **word = words; *word; word++)
    if (**word)
      g_strv_builder_add (builder, *word);
  g_strfreev (MEMBER (char **, key, section));
  MEMBER (char **, key, section) = g_strv_builder_end (builder);
  return *MEMBER (char **, key, section) != NULL || key_refuse (key, value, error);
}

static bool
key_set_retention (const ConfigKey *key, void *section, const char *value, GError **error)
{
  Retention *retention = retention_parse (value, error);
  if (retention == NULL)
    return false;
  retention_free (MEMBER (Retention *, key, section));
  MEMBER (Retention *, key, section) = retention;
  return true;
}

/* An enum whose values are the words of key->accepted, in their order. */
static bool
key_set_choice (const ConfigKey *key, void *section, const char *value, GError **error)
{
  g_auto (GStrv) words = g_strsplit (key->accepted, ", ", -1);
  for (guint i = 0; words[i]; i++)
    if (strcmp (value, words[i]) == 0) {
      MEMBER (int, key, section) = (int)i;
      return true;
    }
  return key_refuse (key, value, error);
}

static bool
key_set_switch (const ConfigKey *key, void *section, const char *value, GError **error)
{
  bool on = strcmp (value, "yes") == 0;
  if (!on && strcmp (value, "no") != 0)
    return key_refuse (key, value, error);
  MEMBER (bool, key, section) = on;
  return true;
}

/* What a plugin is to make of: handed on as it stands. */
static bool
key_set_param (const ConfigKey *key, void *section, const char *value, GError **error)
{
  struct guardd_param param = { g_strdup (key->name), g_strdup (value) };
  g_array_append_val (MEMBER (GArray *, key, section), param);
  return true;
}

#define KIB ((guint64)1024)
#define SECOND ((guint64)G_USEC_PER_SEC)
#define DAY (24 * 3600 * SECOND)
#define PATH_ACCEPTED "an absolute path"
/* Below this a scratch overflows on the first burst of writes. */
#define SCRATCH_MIN (16 * KIB * KIB)
#define SCRATCH_MAX (KIB * KIB * KIB * KIB * KIB)

static const ConfigKey daemon_keys[] = {
  { "uri", key_set_text, offsetof (Config, uri), "qemu:///system", "a libvirt URI, such as qemu:///system" },
  { "run_dir", key_set_path, offsetof (Config, run_dir), "/run/guardd", PATH_ACCEPTED },
  { "state_dir", key_set_path, offsetof (Config, state_dir), "/var/lib/guardd", PATH_ACCEPTED },
  { "plugin_dir", key_set_path, offsetof (Config, plugin_dir), GUARDD_PLUGIN_DIR, PATH_ACCEPTED },
  { "libexec_dir", key_set_path, offsetof (Config, libexec_dir), GUARDD_LIBEXEC_DIR, PATH_ACCEPTED },
  { "appliance_dir", key_set_path, offsetof (Config, appliance_dir), "/var/cache/guardd/appliance",
    PATH_ACCEPTED },
  { "scratch_dir", key_set_path, offsetof (Config, scratch_dir), NULL, PATH_ACCEPTED },
  { "scratch_memory", key_set_size, offsetof (Config, scratch_memory), "512M",
    "a size of at least 16M, such as 512M", SCRATCH_MIN, SCRATCH_MAX },
  { "scratch_disk", key_set_size, offsetof (Config, scratch_disk), "16G",
    "a size of at least 16M, such as 16G", SCRATCH_MIN, SCRATCH_MAX },
  { "parallel", key_set_count, offsetof (Config, parallel), "4", "a number from 1 to 64", 1, 64 },
  { "capture_timeout", key_set_duration, offsetof (Config, capture_timeout_us), "60s",
    "a duration from 1s to 1d, such as 60s", SECOND, DAY },
  { "sample_every", key_set_duration, offsetof (Config, sample_every_us), "5s",
    "a duration from 0s (never) to 1h, such as 5s", 0, 3600 * SECOND },
  { "accelerator", key_set_choice, offsetof (Config, accelerator), "auto", "auto, kvm, tcg" },
  { "inspect_timeout", key_set_duration, offsetof (Config, inspect_timeout_us), "10min",
    "a duration from 1s to 1d, such as 10min", SECOND, DAY },
  { "control_group", key_set_text, offsetof (Config, control_group), NULL, "the name of a group" },
  { NULL },
};

/* A plugin's own: guardd passes them on. */
#define PARAM(type, name, accepted)                                                                          \
  {                                                                                                          \
    name, key_set_param, offsetof (type, params), NULL, accepted                                             \
  }
static const ConfigKey pool_keys[] = {
  { "path", key_set_path, offsetof (ConfigPool, path), NULL, PATH_ACCEPTED, .required = true },
  { "storage", key_set_text, offsetof (ConfigPool, storage), NULL,
    "the name of a storage plugin, such as lvmthin" },
  PARAM (ConfigPool, "volume_group", "the name of a volume group"),
  PARAM (ConfigPool, "thin_pool", "the name of a thin pool"),
  PARAM (ConfigPool, "prune_at", "a percentage"),
  PARAM (ConfigPool, "refuse_at", "a percentage"),
  PARAM (ConfigPool, "idle_seconds", "a number of seconds"),
  { NULL },
};

static const ConfigKey policy_keys[] = {
  { "interval", key_set_duration, offsetof (ConfigPolicy, interval_us), "60s",
    "a duration from 1s to 365d, such as 60s or 15min", SECOND, 365 * DAY },
  { "keep", key_set_retention, offsetof (ConfigPolicy, keep), "60x1min 24x1h 14x1d 8x1w",
    "steps of COUNTxPERIOD, such as 60x1min 24x1h" },
  { "pool", key_set_text, offsetof (ConfigPolicy, pool), NULL, "the name of a [pool]" },
  { "engine", key_set_choice, offsetof (ConfigPolicy, engine), "auto", "auto, qmp, libvirt, native" },
  { "inspect", key_set_choice, offsetof (ConfigPolicy, inspect), "auto", "auto, never" },
  { "inspect_every", key_set_duration, offsetof (ConfigPolicy, inspect_every_us), "1d",
    "a duration from 0s (never) to 365d, such as 12h", 0, 365 * DAY },
  { "on_critical", key_set_choice, offsetof (ConfigPolicy, on_critical), "alert", "alert, pause, isolate" },
  { NULL },
};

static const ConfigKey protect_keys[] = {
  { "policy", key_set_text, offsetof (ConfigProtect, policy), NULL, "the name of a [policy], or none" },
  { "skip_disks", key_set_words, offsetof (ConfigProtect, skip_disks), NULL,
    "disk targets, such as vdb vdc" },
  { NULL },
};

static const ConfigKey alert_keys[] = {
  { "type", key_set_text, offsetof (ConfigAlert, type), NULL, "the name of an alert plugin, such as webhook",
    .required = true },
  { "level", key_set_choice, offsetof (ConfigAlert, level), "blind", "ok, info, blind, warn, critical" },
  PARAM (ConfigAlert, "url", "an http:// or https:// address"),
  PARAM (ConfigAlert, "template", "generic, slack, alertmanager"),
  PARAM (ConfigAlert, "secret_file", "a file with the key of the signature"),
  PARAM (ConfigAlert, "ca_file", "a file of certificates"),
  PARAM (ConfigAlert, "command", "a program with an absolute path"),
  PARAM (ConfigAlert, "facility", "daemon, user, local0 to local7"),
  { NULL },
};

static const ConfigKey detector_keys[] = {
  { "enabled", key_set_switch, offsetof (ConfigDetector, enabled), "yes", "yes, no" },
  { NULL },
};
/* Which there are, the plugin knows. */
static const ConfigKey detector_rest = { "", key_set_param, offsetof (ConfigDetector, params) };

const ConfigSection config_sections[CONFIG_N_KINDS] = {
  [CONFIG_DAEMON] = { "daemon", NULL, daemon_keys },
  [CONFIG_POOL] = { "pool", "NAME", pool_keys },
  [CONFIG_POLICY] = { "policy", "NAME", policy_keys },
  [CONFIG_PROTECT] = { "protect", "GLOB", protect_keys },
  [CONFIG_ALERT] = { "alert", "NAME", alert_keys },
  [CONFIG_DETECTOR] = { "detector", "NAME", detector_keys, &detector_rest },
};

const ConfigKey *
config_section_find (const ConfigSection *section, const char *name)
{
  for (const ConfigKey *key = section->keys; key->name; key++)
    if (strcmp (key->name, name) == 0)
      return key;
  return NULL;
}

char *
config_section_accepted (const ConfigSection *section)
{
  g_autoptr (GString) names = g_string_new (NULL);
  for (const ConfigKey *key = section->keys; key->name; key++)
    g_string_append_printf (names, "%s%s", names->len ? ", " : "", key->name);
  return g_string_free (g_steal_pointer (&names), FALSE);
}
