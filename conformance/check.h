/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.h: what the suites of guardd-plugin-check share.  Of guardd's they include include/guardd alone: what
 * holds for a plugin here, holds for one of anybody.
 */
#pragma once

#include <glib.h>
#include <guardd/plugin.h>
#include <stdbool.h>

/* What guardd gives to each call, and what came of it. */
typedef struct {
  struct guardd_call call;
  char *words; /* of error(); NULL: it was not called */
  guint told;  /* how often it was */
  bool stop;   /* progress() asks to give up */
} Host;

void host_begin (Host *host);
void host_clear (Host *host);

/* One line for each promise; a promise that is not kept is counted. */
G_GNUC_PRINTF (2, 3) bool check (bool kept, const char *format, ...);
guint checks_failed (void);
guint checks_made (void);
/* That a failure has said why: once, a sentence without control characters. */
void check_words (const Host *host, const char *what);
bool is_text (const char *text);

/* --- one suite a kind --- */
/* sources: disks to clone, NULL-terminated. */
void check_storage (const struct guardd_plugin *plugin, const struct guardd_param *params, size_t n_params,
                    const char *const *sources);
void check_detector (const struct guardd_plugin *plugin, const struct guardd_param *params, size_t n_params);
void check_alert (const struct guardd_plugin *plugin, const struct guardd_param *params, size_t n_params);
/* The file itself: what it exports. */
void check_symbols (const char *path);
