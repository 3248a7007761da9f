/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lines.h: readline, loaded by whoever reads lines: most guardsh run one command, and loading it takes a
 * fifth of what they take to start.
 */
#pragma once

#include <readline/history.h>
#include <readline/readline.h>
#include <stdbool.h>

/* What readline(3) calls by these names; the last four are its variables. */
typedef struct {
  char *(*readline) (const char *prompt);
  void (*add_history) (const char *line);
  void (*using_history) (void);
  int (*read_history) (const char *path);
  int (*write_history) (const char *path);
  void (*stifle_history) (int lines);
  char **rl_line_buffer;
  int *rl_attempted_completion_over;
  const char **rl_readline_name;
  rl_completion_func_t **rl_attempted_completion_function;
} Lines;

/* False: *why says what is missing; static. */
bool lines_load (Lines *lines, const char **why);
