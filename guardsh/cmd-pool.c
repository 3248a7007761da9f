/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/units.h"
#include "guardd/pool.h"

#include "command.h"
#include "table.h"

#include <stdio.h>
#include <unistd.h>

#define HOURS (3600u)

static const Column pool_columns[] = {
  { "Name", "name", CELL_TEXT },
  { "Path", "path", CELL_TEXT },
  { "Size", "size_bytes", CELL_SIZE },
  { "Free", "free_bytes", CELL_SIZE },
  { "Domains", "domains", CELL_NUMBER },
  { "Snapshots", "snapshots", CELL_NUMBER },
  { "Stored", "stored_bytes", CELL_SIZE },
  { "Reflinks", "reflinks", CELL_YES },
  { NULL, NULL, CELL_TEXT },
};

static const Column info_columns[] = {
  { "Name:", "name", CELL_TEXT },
  { "Path:", "path", CELL_TEXT },
  { "Id:", "id", CELL_TEXT },
  { "Storage:", "storage", CELL_TEXT },
  { "Size:", "size_bytes", CELL_SIZE },
  { "Free:", "free_bytes", CELL_SIZE },
  { "Stored:", "stored_bytes", CELL_SIZE },
  { "Domains:", "domains", CELL_NUMBER },
  { "Snapshots:", "snapshots", CELL_NUMBER },
  { "Reflinks:", "reflinks", CELL_YES },
  { NULL, NULL, CELL_TEXT },
};

static int
run_list (Shell *shell, const Words *words)
{
  json_object *pools = NULL;
  g_autoptr (json_object) answer = shell_call (shell, "pool-list", NULL, 0);
  if (answer == NULL)
    return EXIT_FAILED;
  if (!shell_print_json (shell, answer) && json_get_array (answer, "pools", &pools, NULL))
    table_print (pools, pool_columns);
  return EXIT_DONE;
}

static const Option pool_options[]
    = { { "pool", OPTION_STRING, true, true, "its name" }, { NULL, OPTION_FLAG, false, false, NULL } };

static int
run_info (Shell *shell, const Words *words)
{
  json_object *problems = NULL;
  g_autoptr (json_object) answer = shell_call (shell, "pool-info", words_arguments (words, "pool", NULL), 0);
  if (answer == NULL)
    return EXIT_FAILED;
  if (shell_print_json (shell, answer))
    return EXIT_DONE;
  table_print_one (answer, info_columns);
  if (!json_get_array (answer, "problems", &problems, NULL))
    return EXIT_DONE;
  for (size_t i = 0; i < json_object_array_length (problems); i++) {
    g_autofree char *text = shell_escape (json_object_get_string (json_object_array_get_idx (problems, i)));
    printf ("Problem: %s\n", text);
  }
  return EXIT_DONE;
}

static int
run_scan (Shell *shell, const Words *words)
{
  guint64 found = 0;
  g_autoptr (json_object) answer
      = shell_call (shell, "pool-scan", words_arguments (words, "pool", NULL), 24 * HOURS);
  if (answer == NULL)
    return EXIT_FAILED;
  json_get_u64 (answer, "snapshots", &found, NULL);
  if (!shell_print_json (shell, answer) && !shell->quiet)
    printf ("%" G_GUINT64_FORMAT " snapshots found\n", found);
  return EXIT_DONE;
}

static const Option create_options[]
    = { { "path", OPTION_STRING, true, true, "a new or empty directory" },
        { "size", OPTION_STRING, false, false, "in a filesystem image of its own, e.g. 100G" },
        { "storage", OPTION_STRING, false, false, "the storage plugin: qcow2 (default), lvmthin" },
        { "volume-group", OPTION_STRING, false, false, "lvmthin: the volume group" },
        { "thin-pool", OPTION_STRING, false, false, "lvmthin: the thin pool in it" },
        { NULL, OPTION_FLAG, false, false, NULL } };

/* params: two. */
static bool
create_storage (const Words *words, PoolStorage *storage, struct guardd_param *params)
{
  const char *group = words_string (words, "volume-group"), *pool = words_string (words, "thin-pool");
  storage->name = words_string (words, "storage");
  if ((g_strcmp0 (storage->name, "lvmthin") == 0) != (group && pool) || !group != !pool) {
    shell_error ("pool-create: --storage lvmthin, --volume-group and --thin-pool go together");
    return false;
  }
  if (group)
    params[storage->n_params++] = (struct guardd_param){ "volume_group", group };
  if (pool)
    params[storage->n_params++] = (struct guardd_param){ "thin_pool", pool };
  return true;
}

/* Here and not in the daemon: guardd does not start without its pools. */
static int
run_create (Shell *shell, const Words *words)
{
  g_autoptr (GError) error = NULL;
  const char *path = words_string (words, "path"), *size_text = words_string (words, "size");
  guint64 size = 0;
  if (!g_path_is_absolute (path)) {
    shell_error ("pool-create: %s: the path must be absolute", path);
    return EXIT_USAGE;
  }
  if (size_text && !size_parse (size_text, &size, &error)) {
    shell_error ("pool-create: %s", error->message);
    return EXIT_USAGE;
  }
  struct guardd_param params[2];
  PoolStorage storage = { .params = params };
  if (!create_storage (words, &storage, params))
    return EXIT_USAGE;
  if (!pool_create (path, size, storage.name ? &storage : NULL, &error)) {
    shell_error ("%s%s", error->message, geteuid () == 0 ? "" : " (only root can make a pool)");
    return EXIT_FAILED;
  }
  g_autoptr (json_object) answer = json_object_new_object ();
  json_add_string (answer, "path", path);
  if (!shell_print_json (shell, answer) && !shell->quiet)
    printf ("Pool made. Put this into guardd.conf and restart guardd:\n\n  [pool main]\n  path = %s\n", path);
  return EXIT_DONE;
}

const Command pool_commands[] = {
  { "pool-list", NULL, run_list, "all pools" },
  { "pool-info", pool_options, run_info, "one pool, and what is wrong with it" },
  { "pool-create", create_options, run_create, "make a pool (needs no daemon)" },
  { "pool-scan", pool_options, run_scan, "rebuild the catalog of a pool from what is on disk" },
  { NULL, NULL, NULL, NULL },
};
