/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"
#include "interactive.h"

#include <getopt.h>
#include <locale.h>
#include <stdio.h>

#define RUN_DIR "/run/guardd"

const CommandGroup command_groups[] = {
  { "Domains", domain_commands }, { "Snapshots", snapshot_commands },
  { "Files", inspect_commands },  { "Rollback", rollback_commands },
  { "Alerts", alert_commands },   { "Pools", pool_commands },
  { "Host", host_commands },      { NULL, NULL },
};

static int
usage (FILE *out)
{
  fprintf (out, "usage: guardsh [-c SOCKET] [--json] [-q] [COMMAND ...]\n"
                "  -c SOCKET   guardd's control socket; default " RUN_DIR "/guardd.sock\n"
                "  --json      print JSON documents (docs/protocol.md)\n"
                "  -q          say less\n"
                "  -V          print the version\n"
                "Without a command: an interactive shell.  \"guardsh help\" lists the commands.\n");
  return out == stdout ? EXIT_DONE : EXIT_USAGE;
}

/* -1: go on with the command; else the exit status. */
static int
parse_options (Shell *shell, int argc, char **argv)
{
  static const struct option options[]
      = { { "json", no_argument, NULL, 'j' },          { "help", no_argument, NULL, 'h' },
          { "version", no_argument, NULL, 'V' },       { "quiet", no_argument, NULL, 'q' },
          { "connect", required_argument, NULL, 'c' }, { NULL, 0, NULL, 0 } };
  int option;
  /* "+": what follows the command belongs to it */
  while ((option = getopt_long (argc, argv, "+c:jqhV", options, NULL)) != -1)
    switch (option) {
    case 'c':
      g_free (shell->socket);
      shell->socket = g_strdup (optarg);
      break;
    case 'j':
      shell->json = true;
      break;
    case 'q':
      shell->quiet = true;
      break;
    case 'V':
      puts ("guardsh " GUARDD_VERSION);
      return EXIT_DONE;
    case 'h':
      return usage (stdout);
    default:
      return usage (stderr);
    }
  return -1;
}

int
main (int argc, char **argv)
{
  Shell shell = { 0 };
  const char *run_dir = g_getenv ("GUARDD_RUN_DIR");
  setlocale (LC_CTYPE, ""); /* the others have nothing that is used */
  shell.run_dir = g_strdup (run_dir ? run_dir : RUN_DIR);
  int status = parse_options (&shell, argc, argv);
  if (status < 0)
    status = optind < argc ? command_run (&shell, argc - optind, argv + optind) : interactive_run (&shell);
  shell_clear (&shell);
  return status;
}
