/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config-scan.h: key-file text as a run of sections and keys that know their
 * lines.  GKeyFile forgets the lines, and an operator needs them.
 *
 *   # or ; begins a comment line          [kind name]
 *   key = value                           white space around each is dropped
 *
 * There are no quotes, no escapes and no continued lines.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Of the whole file; a configuration has a few hundred lines. */
#define CONFIG_TEXT_MAX (1024 * 1024)

typedef struct ConfigScan ConfigScan;

typedef enum {
  CONFIG_SCAN_END,
  CONFIG_SCAN_SECTION, /* a header: config_scan_kind(), _name() */
  CONFIG_SCAN_KEY,     /* config_scan_key(), _value(), in the section that came last */
  CONFIG_SCAN_FAILED,
} ConfigScanResult;

/* file: for messages; both texts must outlive the scan. */
ConfigScan *config_scan_new (const char *file, const char *text);
void config_scan_free (ConfigScan *scan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ConfigScan, config_scan_free)
ConfigScanResult config_scan_next (ConfigScan *scan, GError **error);

/* Borrowed until the next call of config_scan_next(). */
const char *config_scan_kind (const ConfigScan *scan); /* "policy" of "[policy hourly]" */
const char *config_scan_name (const ConfigScan *scan); /* "hourly"; "" for "[daemon]" */
const char *config_scan_key (const ConfigScan *scan);
const char *config_scan_value (const ConfigScan *scan);
guint config_scan_line (const ConfigScan *scan);
