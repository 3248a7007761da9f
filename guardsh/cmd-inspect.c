/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"
#include "table.h"

#include "base/json.h"
#include "base/units.h"

#include <stdio.h>

/* A list of all files of a large guest, twice, in an emulated appliance. */
#define PATIENCE_S (24 * 3600)

#define DOMAIN                                                                                               \
  {                                                                                                          \
    "domain", OPTION_STRING, true, true, "name or UUID"                                                      \
  }
#define NO_OPTION                                                                                            \
  {                                                                                                          \
    NULL, OPTION_FLAG, false, false, NULL                                                                    \
  }

static const Column filesystem_columns[] = {
  { "Device", "device", CELL_TEXT },         { "Type", "type", CELL_TEXT },
  { "Mounted at", "mountpoint", CELL_NOTE }, { "Files", "files", CELL_NUMBER },
  { "Unread", "unread", CELL_NUMBER },       { NULL, NULL, CELL_TEXT },
};

static const Column inspect_columns[] = {
  { "Snapshot:", "number", CELL_NUMBER },     { "System:", "os.product", CELL_NOTE },
  { "Host name:", "os.hostname", CELL_NOTE }, { "Files:", "files", CELL_NUMBER },
  { "Duration:", "duration_ms", CELL_MS },    { NULL, NULL, CELL_TEXT },
};

static const Option inspect_options[]
    = { DOMAIN,
        { "snapshot", OPTION_STRING, true, true, "number, latest, last-good, time, or age such as -15min" },
        NO_OPTION };

static int
run_inspect (Shell *shell, const Words *words)
{
  json_object *filesystems = NULL;
  g_autoptr (json_object) answer = shell_call (
      shell, "snapshot-inspect", words_arguments (words, "domain", "snapshot", NULL), PATIENCE_S);
  if (answer == NULL || !json_get_array (answer, "filesystems", &filesystems, NULL))
    return EXIT_FAILED;
  if (shell_print_json (shell, answer))
    return EXIT_DONE;
  table_print_one (answer, inspect_columns);
  puts ("");
  table_print (filesystems, filesystem_columns);
  return EXIT_DONE;
}

/* --- diff --- */

static const Column sample_columns[] = {
  { "Lost", "bytes", CELL_SIZE },
  { "How", "what", CELL_TEXT },
  { "File", "path", CELL_TEXT },
  { NULL, NULL, CELL_TEXT },
};

static const Column path_columns[] = {
  { "File", "path", CELL_TEXT },
  { NULL, NULL, CELL_TEXT },
};

static const Column group_columns[] = {
  { "Lost", "bytes", CELL_SIZE },
  { "Files", "files", CELL_NUMBER },
  { "Where", "name", CELL_TEXT },
  { NULL, NULL, CELL_TEXT },
};

static const Column count_columns[] = {
  { "Files", "files", CELL_NUMBER },
  { "Name", "name", CELL_TEXT },
  { NULL, NULL, CELL_TEXT },
};

static const Column lost_columns[] = {
  { "Device", "device", CELL_TEXT }, { "Was", "type", CELL_TEXT }, { "Mounted at", "mountpoint", CELL_TEXT },
  { "Is", "now", CELL_NOTE },        { NULL, NULL, CELL_TEXT },
};

static const struct {
  const char *key, *title;
  const Column *columns;
} sections[] = {
  { "filesystems", "Filesystems that are gone or another's:", lost_columns },
  { "tampered", "Logs that say who was there:", sample_columns },
  { "watched", "Files that a system, its logs or a database need:", sample_columns },
  { "directories", "Losses by directory:", group_columns },
  { "extensions", "Losses by extension:", group_columns },
  { "owners", "Losses by owner (user id):", group_columns },
  { "samples", "Biggest losses:", sample_columns },
  { "suffixes", "Files that came back under a longer name:", count_columns },
  { "notes", "The same new name in many directories:", count_columns },
};

static void
print_sums (json_object *answer)
{
  static const char *const names[] = { "deleted", "emptied", "shrunk", "renamed", "rewritten", "new" };
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    json_object *sum = NULL;
    guint64 files = 0, bytes = 0;
    if (!json_get_object (answer, names[i], &sum, NULL) || !json_get_u64 (sum, "files", &files, NULL)
        || !json_get_u64 (sum, "bytes", &bytes, NULL))
      continue;
    g_autofree char *size = size_format (bytes);
    g_autofree char *label = g_strdup_printf ("%s:", names[i]);
    printf ("%-18s %" G_GUINT64_FORMAT " files, %s\n", label, files, size);
  }
}

/* "content": files that are not what their names say. */
static void
print_content (json_object *answer)
{
  json_object *content = NULL, *samples = NULL;
  guint64 sampled = 0, other = 0;
  if (!json_get_object (answer, "content", &content, NULL)
      || !json_get_u64 (content, "sampled", &sampled, NULL) || !json_get_u64 (content, "other", &other, NULL)
      || !json_get_array (content, "samples", &samples, NULL) || other == 0)
    return;
  printf ("\nOf %" G_GUINT64_FORMAT " modified files that were looked into %" G_GUINT64_FORMAT
          " are not what their names say:\n",
          sampled, other);
  table_print (samples, path_columns);
}

static const Option diff_options[] = { DOMAIN,
                                       { "from", OPTION_STRING, true, true, "the older snapshot" },
                                       { "to", OPTION_STRING, true, true, "the newer one" },
                                       NO_OPTION };

static int
run_diff (Shell *shell, const Words *words)
{
  g_autoptr (json_object) answer
      = shell_call (shell, "diff", words_arguments (words, "domain", "from", "to", NULL), PATIENCE_S);
  if (answer == NULL)
    return EXIT_FAILED;
  if (shell_print_json (shell, answer))
    return EXIT_DONE;
  print_sums (answer);
  for (guint i = 0; i < G_N_ELEMENTS (sections); i++) {
    json_object *rows = NULL;
    if (!json_get_array (answer, sections[i].key, &rows, NULL) || json_object_array_length (rows) == 0)
      continue;
    printf ("\n%s\n", sections[i].title);
    table_print (rows, sections[i].columns);
  }
  print_content (answer);
  return EXIT_DONE;
}

const Command inspect_commands[] = {
  { "snapshot-inspect", inspect_options, run_inspect, "list all files of a snapshot" },
  { "diff", diff_options, run_diff, "which files are gone between two snapshots" },
  { NULL, NULL, NULL, NULL },
};
