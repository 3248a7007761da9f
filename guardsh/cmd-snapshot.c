/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"
#include "table.h"

#include "base/units.h"

#include <stdio.h>

#define HOURS (3600u)
#define DOMAIN                                                                                               \
  {                                                                                                          \
    "domain", OPTION_STRING, true, true, "name or UUID"                                                      \
  }
#define SNAPSHOT                                                                                             \
  {                                                                                                          \
    "snapshot", OPTION_STRING, true, true, "number, latest, last-good, time, or age such as -15min"          \
  }
#define END                                                                                                  \
  {                                                                                                          \
    NULL, OPTION_FLAG, false, false, NULL                                                                    \
  }

static const Column list_columns[] = {
  { "Number", "number", CELL_NUMBER },
  { "Time", "time", CELL_TIME },
  { "Age", "time", CELL_AGE },
  { "Origin", "origin", CELL_TEXT },
  { "Engine", "engine", CELL_TEXT },
  { "Changed", "changed_bytes", CELL_SIZE },
  { "Stored", "stored_bytes", CELL_SIZE },
  { "Stall", "stall_us", CELL_US },
  { "Verdict", "verdict", CELL_TEXT },
  { "Held", "held", CELL_NOTE },
  { NULL, NULL, CELL_TEXT },
};

static const Column info_columns[] = {
  { "Domain:", "domain", CELL_TEXT },
  { "UUID:", "uuid", CELL_TEXT },
  { "Number:", "number", CELL_NUMBER },
  { "Id:", "id", CELL_TEXT },
  { "Time:", "time", CELL_TIME },
  { "Age:", "time", CELL_AGE },
  { "Engine:", "engine", CELL_TEXT },
  { "Why that engine:", "engine_reason", CELL_TEXT },
  { "Origin:", "origin", CELL_TEXT },
  { "Description:", "description", CELL_TEXT },
  { "Guest was on:", "guest_active", CELL_YES },
  { "Felt by guest:", "stall_us", CELL_US },
  { "Took:", "duration_ms", CELL_MS },
  { "Read:", "read_bytes", CELL_SIZE },
  { "Changed:", "changed_bytes", CELL_SIZE },
  { "Stored:", "stored_bytes", CELL_SIZE },
  { "Held:", "held", CELL_TEXT },
  { "Evidence:", "evidence", CELL_YES },
  { "Verdict:", "verdict", CELL_TEXT },
  { "NVRAM kept:", "has_nvram", CELL_YES },
  { "TPM kept:", "has_tpm", CELL_YES },
  { NULL, NULL, CELL_TEXT },
};

static const Column disk_columns[] = {
  { "Disk", "target", CELL_TEXT },
  { "Format", "format", CELL_TEXT },
  { "Size", "size_bytes", CELL_SIZE },
  { "Based on", "parent", CELL_NUMBER },
  { "Read", "read_bytes", CELL_SIZE },
  { "Changed", "changed_bytes", CELL_SIZE },
  { "Stored", "stored_bytes", CELL_SIZE },
  { "Why all was read", "full_reason", CELL_NOTE },
  { NULL, NULL, CELL_TEXT },
};

/* --- snapshot-create --- */

static const Option create_options[]
    = { DOMAIN,
        { "description", OPTION_STRING, false, false, "what it is for" },
        { "wait", OPTION_FLAG, false, false, "until nothing of guardd's is in QEMU, too" },
        END };

static int
run_create (Shell *shell, const Words *words)
{
  guint64 number = 0, stall = 0, changed = 0, duration = 0;
  g_autoptr (json_object) answer = shell_call (
      shell, "snapshot-create", words_arguments (words, "domain", "description", "wait", NULL), 24 * HOURS);
  if (answer == NULL)
    return EXIT_FAILED;
  if (shell_print_json (shell, answer) || shell->quiet)
    return EXIT_DONE;
  json_get_u64 (answer, "number", &number, NULL);
  json_get_u64 (answer, "stall_us", &stall, NULL);
  json_get_u64 (answer, "changed_bytes", &changed, NULL);
  json_get_u64 (answer, "duration_ms", &duration, NULL);
  g_autofree char *felt = duration_format (stall), *took = duration_format (duration * 1000);
  g_autofree char *size = size_format (changed), *name = shell_escape (words_string (words, "domain"));
  printf ("Snapshot %" G_GUINT64_FORMAT " of %s: %s changed, taken in %s, the guest felt at most %s\n",
          number, name, size, took, felt);
  return EXIT_DONE;
}

/* --- snapshot-list, snapshot-info --- */

static const Option list_options[]
    = { DOMAIN, { "limit", OPTION_NUMBER, false, false, "only so many of the newest" }, END };

static int
run_list (Shell *shell, const Words *words)
{
  json_object *all = NULL;
  g_autoptr (json_object) answer
      = shell_call (shell, "snapshot-list", words_arguments (words, "domain", NULL), 0);
  if (answer == NULL || !json_get_array (answer, "snapshots", &all, NULL))
    return EXIT_FAILED;
  size_t n = json_object_array_length (all), limit = (size_t)words_number (words, "limit", n);
  if (n > limit)
    json_object_array_del_idx (all, 0, n - limit);
  if (!shell_print_json (shell, answer))
    table_print (all, list_columns);
  return EXIT_DONE;
}

static const Option one_options[] = { DOMAIN, SNAPSHOT, END };

static int
run_info (Shell *shell, const Words *words)
{
  json_object *disks = NULL;
  g_autoptr (json_object) answer
      = shell_call (shell, "snapshot-info", words_arguments (words, "domain", "snapshot", NULL), 0);
  if (answer == NULL)
    return EXIT_FAILED;
  if (shell_print_json (shell, answer))
    return EXIT_DONE;
  table_print_one (answer, info_columns);
  if (json_get_array (answer, "disks", &disks, NULL)) {
    putchar ('\n');
    table_print (disks, disk_columns);
  }
  return EXIT_DONE;
}

/* --- what changes them --- */

static int
finish (Shell *shell, json_object *answer, const char *said)
{
  G_GNUC_UNUSED g_autoptr (json_object) owned = answer;
  if (answer == NULL)
    return EXIT_FAILED;
  if (!shell_print_json (shell, answer) && !shell->quiet)
    puts (said);
  return EXIT_DONE;
}

static const Option delete_options[]
    = { DOMAIN,
        { "snapshots", OPTION_LIST, true, true, "which; see snapshot-info" },
        { "force", OPTION_FLAG, false, false, "held and evidence ones, too" },
        END };

static int
run_delete (Shell *shell, const Words *words)
{
  return finish (shell,
                 shell_call (shell, "snapshot-delete",
                             words_arguments (words, "domain", "snapshots", "force", NULL), 24 * HOURS),
                 "Deleted");
}

static const Option hold_options[]
    = { DOMAIN, SNAPSHOT, { "reason", OPTION_STRING, false, true, "why it is to stay" }, END };

static int
run_hold (Shell *shell, const Words *words)
{
  return finish (
      shell,
      shell_call (shell, "snapshot-hold", words_arguments (words, "domain", "snapshot", "reason", NULL), 0),
      "Held: it is not pruned until it is released");
}

static int
run_release (Shell *shell, const Words *words)
{
  return finish (
      shell, shell_call (shell, "snapshot-release", words_arguments (words, "domain", "snapshot", NULL), 0),
      "Released");
}

/* --- snapshot-verify --- */

static const Option verify_options[]
    = { DOMAIN,
        { "snapshot", OPTION_STRING, true, false, "one; without it all of the domain" },
        { "deep", OPTION_FLAG, false, false, "all that restoring it needs, too" },
        END };

static int
run_verify (Shell *shell, const Words *words)
{
  json_object *verified = NULL;
  g_autoptr (json_object) answer = shell_call (
      shell, "snapshot-verify", words_arguments (words, "domain", "snapshot", "deep", NULL), 24 * HOURS);
  if (answer == NULL || !json_get_array (answer, "verified", &verified, NULL))
    return EXIT_FAILED;
  if (!shell_print_json (shell, answer) && !shell->quiet)
    printf ("%zu snapshots are as they were sealed\n", json_object_array_length (verified));
  return EXIT_DONE;
}

const Command snapshot_commands[] = {
  { "snapshot-create", create_options, run_create, "take a snapshot now" },
  { "snapshot-list", list_options, run_list, "snapshots of a domain" },
  { "snapshot-info", one_options, run_info, "one snapshot" },
  { "snapshot-delete", delete_options, run_delete, "remove snapshots" },
  { "snapshot-hold", hold_options, run_hold, "keep a snapshot from being pruned" },
  { "snapshot-release", one_options, run_release, "end a hold" },
  { "snapshot-verify", verify_options, run_verify, "compare what is stored with its hashes" },
  { NULL, NULL, NULL, NULL },
};
