/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shell.h: the connection to guardd and what the user wants of the output.  One thread.
 */
#pragma once

#include "base/json.h"
#include "qmp/qmp-client.h"

#include <glib.h>
#include <stdbool.h>

#define EXIT_DONE 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

typedef struct {
  char *socket; /* NULL: guardd.sock, else guardd-ro.sock, of run_dir */
  char *run_dir;
  bool json, quiet, interactive;
  QmpClient *client; /* NULL: not connected yet */
  bool bar;          /* a progress bar is on the screen */
} Shell;

void shell_clear (Shell *shell);

/* Sends a command and waits; arguments are taken over.  Draws progress on a terminal.  timeout_s 0: 30 s.
 * NULL: failed, and the user has been told. */
json_object *shell_call (Shell *shell, const char *command, json_object *arguments, guint timeout_s);
/* The same without a word when it fails: for completion. */
json_object *shell_call_quietly (Shell *shell, const char *command, json_object *arguments);
/* Connects if need be; NULL: told. */
QmpClient *shell_client (Shell *shell);

void shell_error (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* With --json prints the document and returns true. */
bool shell_print_json (const Shell *shell, json_object *document);
/* Names and paths may come from a guest: control characters are shown, not sent to the terminal; g_free(). */
char *shell_escape (const char *text);
