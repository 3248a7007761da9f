/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"
#include "table.h"

#include "base/units.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const Option rollback_options[]
    = { { "domain", OPTION_STRING, true, true, "name or UUID" },
        { "snapshot", OPTION_STRING, true, false, "to which; last-good when not given" },
        { "disk", OPTION_LIST, false, false, "only this disk; may be repeated" },
        { "dry-run", OPTION_FLAG, false, false, "say what would be written, as of the newest snapshot" },
        { "no-start", OPTION_FLAG, false, false, "leave the guest off" },
        { "yes", OPTION_FLAG, false, false, "do not ask" },
        { NULL, OPTION_FLAG, false, false, NULL } };

static const Column disk_columns[] = {
  { "Disk", "target", CELL_TEXT },
  { "How", "method", CELL_TEXT },
  { "Differs", "differing_bytes", CELL_SIZE },
  { "Written", "written_bytes", CELL_SIZE },
  { NULL, NULL, CELL_TEXT },
};

/* On a terminal only: a script has decided already. */
static bool
confirmed (const Shell *shell, const Words *words)
{
  char answer[16] = "";
  if (words_flag (words, "yes") || words_flag (words, "dry-run") || shell->json || !isatty (STDIN_FILENO))
    return true;
  g_autofree char *name = shell_escape (words_string (words, "domain"));
  const char *which = words_string (words, "snapshot");
  fprintf (
      stderr,
      "Roll %s back to %s? Its process is ended at once; its present state is kept as a snapshot. [y/N] ",
      name, which ? which : "last-good");
  return fgets (answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static json_object *
rollback_arguments (const Words *words)
{
  json_object *arguments = words_arguments (words, "domain", "snapshot", "dry-run", "no-start", NULL);
  char **disks = words_list (words, "disk");
  if (disks == NULL)
    return arguments;
  json_object *list = json_object_new_array ();
  for (; *disks; disks++)
    json_object_array_add (list, json_object_new_string (*disks));
  json_object_object_add (arguments, "disks", list);
  return arguments;
}

static void
print_result (json_object *answer)
{
  json_object *disks = NULL;
  guint64 number = 0, evidence = 0, duration = 0, downtime = 0;
  bool started = false;
  if (json_get_array (answer, "disks", &disks, NULL))
    table_print (disks, disk_columns);
  json_get_u64 (answer, "snapshot", &number, NULL);
  json_get_u64 (answer, "duration_ms", &duration, NULL);
  json_get_bool (answer, "started", &started, NULL);
  json_opt_u64 (answer, "evidence", &evidence, NULL);
  json_opt_u64 (answer, "downtime_ms", &downtime, NULL);
  if (evidence == 0) {
    puts ("\nNothing was touched");
    return;
  }
  g_autofree char *took = duration_format (duration * 1000), *down = duration_format (downtime * 1000);
  printf ("\nRolled back to %" G_GUINT64_FORMAT
          " in %s (off for %s); the state before is snapshot %" G_GUINT64_FORMAT "\n%s\n",
          number, took, down, evidence, started ? "The guest is running" : "The guest is off");
}

static int
run_rollback (Shell *shell, const Words *words)
{
  if (!confirmed (shell, words)) {
    fprintf (stderr, "Not done\n");
    return EXIT_FAILED;
  }
  g_autoptr (json_object) answer = shell_call (shell, "rollback", rollback_arguments (words), 24 * 3600);
  if (answer == NULL)
    return EXIT_FAILED;
  if (!shell_print_json (shell, answer) && !shell->quiet)
    print_result (answer);
  return EXIT_DONE;
}

const Command rollback_commands[] = {
  { "rollback", rollback_options, run_rollback, "bring a guest's disks back to a snapshot" },
  { NULL, NULL, NULL, NULL },
};
