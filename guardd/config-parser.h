/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config-parser.h: private to config*.c: what the reading of a file leaves for
 * the checks that only the whole of it allows.
 */
#pragma once

#include "config-keys.h"
#include "config.h"

/* A section as it stood in the file, so that what is found later can still name its line. */
typedef struct {
  ConfigKind kind;
  char *name;
  void *target; /* what the keys are written into; the Config's */
  guint line;
  GHashTable *key_lines; /* key -> line */
} SectionSeen;

typedef struct {
  const char *file; /* for messages */
  Config *config;
  GPtrArray *sections;  /* SectionSeen; [daemon] is there even if the file has none, with line 0 */
  SectionSeen *current; /* where keys go; NULL before the first header */
} ConfigParser;

/* --- config.c --- */
Config *config_new (void);
ConfigPool *config_pool_new (const char *name);
ConfigAlert *config_alert_new (const char *name);
ConfigDetector *config_detector_new (const char *name);
void config_pool_free (void *pool);
void config_policy_free (void *policy);
void config_protect_free (void *protect);

/* --- config-parser.c --- */
/* Reads the sections and keys of `text`; nothing that is not there is filled in. */
bool config_parser_read (ConfigParser *parser, const char *text, GError **error);
/* Always false, with "FILE:LINE: [policy hourly] interval: …"; line 0, seen and key NULL: left out. */
bool config_parser_fail (const ConfigParser *parser, guint line, const SectionSeen *seen, const char *key,
                         GError **error, const char *format, ...) G_GNUC_PRINTF (6, 7);
/* The line of a key, or of its section's header when the key is not there. */
guint config_section_seen_line (const SectionSeen *seen, const char *key);
void config_section_seen_free (void *seen);

/* --- config-check.c --- */
/* Fills defaults in and checks what refers to what. */
bool config_parser_complete (ConfigParser *parser, GError **error);
