/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"
#include "table.h"

#include <stdio.h>

static const Column list_columns[] = {
  { "Name", "name", CELL_TEXT },
  { "State", "state", CELL_TEXT },
  { "Policy", "policy", CELL_TEXT },
  { "Level", "level", CELL_TEXT },
  { "Alert", "incident.level", CELL_TEXT },
  { "Snapshots", "snapshots", CELL_NUMBER },
  { "Newest", "latest.time", CELL_AGE },
  { "Missed", "missed_intervals", CELL_NUMBER },
  { "Problem", "last_error", CELL_NOTE },
  { NULL, NULL, CELL_TEXT },
};

static int
run_list (Shell *shell, const Words *words)
{
  json_object *domains = NULL;
  g_autoptr (json_object) answer = shell_call (shell, "domain-list", NULL, 0);
  if (answer == NULL)
    return EXIT_FAILED;
  if (!shell_print_json (shell, answer) && json_get_array (answer, "domains", &domains, NULL))
    table_print (domains, list_columns);
  return EXIT_DONE;
}

static const Option domain_options[]
    = { { "domain", OPTION_STRING, true, true, "name or UUID" }, { NULL, OPTION_FLAG, false, false, NULL } };

static const Column info_columns[] = {
  { "Name:", "name", CELL_TEXT },
  { "UUID:", "uuid", CELL_TEXT },
  { "State:", "state", CELL_TEXT },
  { "Protected:", "protected", CELL_YES },
  { "Policy:", "policy", CELL_TEXT },
  { "By:", "protected_by", CELL_TEXT },
  { "Interval:", "interval_ms", CELL_MS },
  { "Pool:", "pool", CELL_TEXT },
  { "Engine:", "engine", CELL_TEXT },
  { "Why that engine:", "engine_reason", CELL_TEXT },
  { "Snapshots:", "snapshots", CELL_NUMBER },
  { "Newest:", "latest.number", CELL_NUMBER },
  { "Taken:", "latest.time", CELL_AGE },
  { "Next in:", "next_in_ms", CELL_MS },
  { "Missed intervals:", "missed_intervals", CELL_NUMBER },
  { "Failures:", "failures", CELL_NUMBER },
  { "Last error:", "last_error", CELL_TEXT },
  { "Level:", "level", CELL_TEXT },
  { "Open incident:", "incident.id", CELL_TEXT },
  { "Its level:", "incident.level", CELL_TEXT },
  { "First bad snapshot:", "incident.snapshot_bad", CELL_NUMBER },
  { "Last good before:", "incident.snapshot_good", CELL_NUMBER },
  { NULL, NULL, CELL_TEXT },
};

static const Column disk_columns[] = {
  { "Disk", "target", CELL_TEXT },     { "Format", "format", CELL_TEXT },
  { "Size", "size_bytes", CELL_SIZE }, { "Captured", "captured", CELL_YES },
  { "Source", "source", CELL_TEXT },   { "Why not", "reason", CELL_NOTE },
  { NULL, NULL, CELL_TEXT },
};

static const Column blind_columns[] = {
  { "Disk", "disk", CELL_TEXT },
  { "Part", "structure", CELL_TEXT },
  { "Rules", "rules_text", CELL_NOTE },
  { "Only late", "late", CELL_YES },
  { "Why they do not see it", "why", CELL_TEXT },
  { NULL, NULL, CELL_TEXT },
};

static const Column relief_columns[] = {
  { "Rule", "rule", CELL_TEXT },
  { "Relieved by percent", "percent", CELL_NUMBER },
  { "Until", "until", CELL_TIME },
  { NULL, NULL, CELL_TEXT },
};

/* All disks' in one table; a list of rules as one text. */
static json_object *
collect_blind (json_object *disks)
{
  json_object *all = json_object_new_array (), *blind, *rules;
  for (size_t i = 0; i < json_object_array_length (disks); i++) {
    json_object *disk = json_object_array_get_idx (disks, i);
    size_t n = json_get_array (disk, "blind", &blind, NULL) ? json_object_array_length (blind) : 0;
    for (size_t k = 0; k < n; k++) {
      json_object *spot = json_object_array_get_idx (blind, k);
      g_autoptr (GString) text = g_string_new (NULL);
      size_t n_rules = json_get_array (spot, "rules", &rules, NULL) ? json_object_array_length (rules) : 0;
      for (size_t r = 0; r < n_rules; r++)
        g_string_append_printf (text, "%s%s", r ? " " : "",
                                json_object_get_string (json_object_array_get_idx (rules, r)));
      json_add_string (spot, "rules_text", n_rules ? text->str : "all");
      json_object_array_add (all, json_object_get (spot));
    }
  }
  return all;
}

/* What guardd cannot see, and what it was told to be patient with. */
static void
print_blind (json_object *answer, json_object *disks)
{
  json_object *reliefs;
  g_autoptr (json_object) blind = collect_blind (disks);
  if (json_object_array_length (blind) > 0) {
    puts ("\nRules that are blind here:");
    table_print (blind, blind_columns);
  }
  if (json_get_array (answer, "reliefs", &reliefs, NULL) && json_object_array_length (reliefs) > 0) {
    puts ("\nRelieved by false positives:");
    table_print (reliefs, relief_columns);
  }
}

static int
run_dominfo (Shell *shell, const Words *words)
{
  json_object *disks = NULL;
  g_autoptr (json_object) answer
      = shell_call (shell, "domain-info", words_arguments (words, "domain", NULL), 0);
  if (answer == NULL)
    return EXIT_FAILED;
  if (shell_print_json (shell, answer))
    return EXIT_DONE;
  table_print_one (answer, info_columns);
  if (json_get_array (answer, "disks", &disks, NULL)) {
    putchar ('\n');
    table_print (disks, disk_columns);
    print_blind (answer, disks);
  }
  return EXIT_DONE;
}

static int
done (Shell *shell, json_object *answer, const char *what, const char *now)
{
  G_GNUC_UNUSED g_autoptr (json_object) owned = answer;
  if (answer == NULL)
    return EXIT_FAILED;
  if (!shell_print_json (shell, answer) && !shell->quiet) {
    g_autofree char *safe = shell_escape (what);
    printf ("Domain %s %s\n", safe, now);
  }
  return EXIT_DONE;
}

static const Option protect_options[]
    = { { "domain", OPTION_STRING, true, true, "name or UUID" },
        { "policy", OPTION_STRING, false, false, "a [policy] of guardd.conf" },
        { NULL, OPTION_FLAG, false, false, NULL } };

static int
run_protect (Shell *shell, const Words *words)
{
  json_object *answer = shell_call (shell, "protect", words_arguments (words, "domain", "policy", NULL), 0);
  return done (shell, answer, words_string (words, "domain"), "is protected");
}

static int
run_unprotect (Shell *shell, const Words *words)
{
  json_object *answer = shell_call (shell, "unprotect", words_arguments (words, "domain", NULL), 0);
  return done (shell, answer, words_string (words, "domain"), "is protected no longer; its snapshots stay");
}

const Command domain_commands[] = {
  { "list", NULL, run_list, "all domains, and how they are protected" },
  { "dominfo", domain_options, run_dominfo, "one domain and its disks" },
  { "protect", protect_options, run_protect, "take snapshots of a domain" },
  { "unprotect", domain_options, run_unprotect, "take no more snapshots of a domain" },
  { NULL, NULL, NULL, NULL },
};
