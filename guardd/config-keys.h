/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config-keys.h: which sections and keys guardd.conf has, as data.  A new key is
 * one line in config-keys.c and one paragraph in guardd.conf(5).
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct ConfigKey ConfigKey;

struct ConfigKey {
  const char *name;
  /* Reads `value` into the member at key->offset of `section`; the error says what is wrong with it. */
  bool (*set) (const ConfigKey *key, void *section, const char *value, GError **error);
  size_t offset;
  const char *fallback; /* the value where the file says none; NULL: the member stays NULL or 0 */
  const char *accepted; /* for messages: "a duration of at least 1s, such as 60s or 15min" */
  guint64 minimum, maximum;
  bool required;
};

typedef enum {
  CONFIG_DAEMON,
  CONFIG_POOL,
  CONFIG_POLICY,
  CONFIG_PROTECT,
  CONFIG_ALERT,
  CONFIG_DETECTOR,
  CONFIG_N_KINDS
} ConfigKind;

typedef struct {
  const char *kind;      /* "policy" */
  const char *name_help; /* "NAME"; NULL: "[daemon]" has no name */
  const ConfigKey *keys; /* ended by a NULL name */
  const ConfigKey *rest; /* any other key; NULL: unknown ones are errors */
} ConfigSection;

extern const ConfigSection config_sections[CONFIG_N_KINDS];

const ConfigKey *config_section_find (const ConfigSection *section, const char *key); /* NULL: unknown */
/* "interval, keep, pool, engine"; g_free() */
char *config_section_accepted (const ConfigSection *section);
