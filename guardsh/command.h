/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command.h: commands as data, in virsh's form, and the parsing of their words.
 */
#pragma once

#include "shell.h"

typedef enum {
  OPTION_FLAG,   /* --force */
  OPTION_STRING, /* --reason TEXT, or the next plain word when positional */
  OPTION_NUMBER,
  OPTION_LIST, /* may be repeated; positional: takes all plain words that are left */
} OptionType;

typedef struct {
  const char *name; /* "domain", without dashes; NULL ends the table */
  OptionType type;
  bool positional, required;
  const char *help;
} Option;

typedef struct Words Words; /* what the user gave */

typedef struct {
  const char *name;
  const Option *options;
  int (*run) (Shell *shell, const Words *words); /* exit status */
  const char *help;
} Command;

typedef struct {
  const char *title;
  const Command *commands; /* ended by a NULL name */
} CommandGroup;

extern const CommandGroup command_groups[]; /* ended by a NULL title; main.c */
extern const Command domain_commands[], snapshot_commands[], rollback_commands[], pool_commands[],
    inspect_commands[], alert_commands[], host_commands[];

const Command *command_find (const char *name);
/* argv[0] is the command's name.  Exit status. */
int command_run (Shell *shell, int argc, char **argv);
void command_usage (const Command *command, void *file);

/* --- what was given; the option must be in the command's table --- */
const char *words_string (const Words *words, const char *option); /* NULL: not given */
bool words_flag (const Words *words, const char *option);
guint64 words_number (const Words *words, const char *option, guint64 otherwise);
char **words_list (const Words *words, const char *option); /* NULL: not given; borrowed */
/* {"domain": …} of those of the named options that were given; NULL ends the names. */
json_object *words_arguments (const Words *words, const char *option, ...) G_GNUC_NULL_TERMINATED;
