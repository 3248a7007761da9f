/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

#define NO_OPTION                                                                                            \
  {                                                                                                          \
    NULL, OPTION_FLAG, false, false, NULL                                                                    \
  }

static const Column list_columns[] = {
  { "Alert", "id", CELL_ID },
  { "Time", "time", CELL_TIME },
  { "Level", "level", CELL_TEXT },
  { "Domain", "domain", CELL_TEXT },
  { "Summary", "summary", CELL_TEXT },
  { "Resolved", "resolved", CELL_TEXT },
  { "Undelivered", "undelivered", CELL_NUMBER },
  { NULL, NULL, CELL_TEXT },
};

static const Column info_columns[] = {
  { "Alert:", "id", CELL_TEXT },
  { "Time:", "time", CELL_TIME },
  { "Level:", "level", CELL_TEXT },
  { "Domain:", "domain", CELL_TEXT },
  { "Summary:", "summary", CELL_TEXT },
  { "Bring it back:", "rollback", CELL_TEXT },
  { "Resolved:", "resolved", CELL_TEXT },
  { "Reason:", "reason", CELL_TEXT },
  { "Undelivered:", "undelivered", CELL_NUMBER },
  { NULL, NULL, CELL_TEXT },
};

static const Column finding_columns[] = {
  { "Level", "level", CELL_TEXT },    { "Rule", "rule", CELL_TEXT },    { "Disk", "disk", CELL_TEXT },
  { "Part", "structure", CELL_TEXT }, { "Finding", "text", CELL_TEXT }, { NULL, NULL, CELL_TEXT },
};

static const Column number_columns[] = {
  { "Rule", "rule", CELL_TEXT },
  { "Disk", "disk", CELL_TEXT },
  { "Seen", "seen", CELL_NUMBER },
  { "Expected", "expected", CELL_NUMBER },
  { "Unit", "unit", CELL_TEXT },
  { "Against", "horizon", CELL_NOTE },
  { "A false positive relieves it", "soft", CELL_YES },
  { NULL, NULL, CELL_TEXT },
};

static const Option list_options[]
    = { { "domain", OPTION_STRING, true, false, "only its alerts" }, NO_OPTION };

static int
run_list (Shell *shell, const Words *words)
{
  json_object *alerts = NULL;
  g_autoptr (json_object) answer
      = shell_call (shell, "alert-list", words_arguments (words, "domain", NULL), 0);
  if (answer == NULL)
    return EXIT_FAILED;
  if (!shell_print_json (shell, answer) && json_get_array (answer, "alerts", &alerts, NULL))
    table_print (alerts, list_columns);
  return EXIT_DONE;
}

static const Option alert_options[]
    = { { "alert", OPTION_STRING, true, true, "its id, or the first characters of it" }, NO_OPTION };

static void
print_considered (json_object *finding, bool *any)
{
  json_object *considered;
  const char *rule;
  if (!json_get_string (finding, "rule", &rule, NULL)
      || !json_get_array (finding, "considered", &considered, NULL))
    return;
  for (size_t i = 0; i < json_object_array_length (considered); i++) {
    const char *text = json_object_get_string (json_object_array_get_idx (considered, i));
    g_autofree char *safe = shell_escape (text ? text : ""), *safe_rule = shell_escape (rule);
    printf ("%s  %s: %s\n", *any ? "" : "\nConsidered and rejected:\n", safe_rule, safe);
    *any = true;
  }
}

/* The numbers behind the findings, and what else would explain them but does not. */
static void
print_evidence (json_object *findings)
{
  g_autoptr (json_object) numbers = json_object_new_array ();
  for (size_t i = 0; i < json_object_array_length (findings); i++) {
    json_object *finding = json_object_array_get_idx (findings, i);
    if (json_object_object_get (finding, "unit"))
      json_object_array_add (numbers, json_object_get (finding));
  }
  if (json_object_array_length (numbers) > 0) {
    puts ("");
    table_print (numbers, number_columns);
  }
  bool any = false;
  for (size_t i = 0; i < json_object_array_length (findings); i++)
    print_considered (json_object_array_get_idx (findings, i), &any);
}

static int
run_info (Shell *shell, const Words *words)
{
  json_object *body = NULL, *findings = NULL;
  g_autoptr (json_object) answer
      = shell_call (shell, "alert-info", words_arguments (words, "alert", NULL), 0);
  if (answer == NULL)
    return EXIT_FAILED;
  if (shell_print_json (shell, answer))
    return EXIT_DONE;
  table_print_one (answer, info_columns);
  if (json_get_object (answer, "alert", &body, NULL) && json_get_array (body, "findings", &findings, NULL)) {
    puts ("");
    table_print (findings, finding_columns);
    print_evidence (findings);
  }
  return EXIT_DONE;
}

static const Option ack_options[]
    = { { "alert", OPTION_STRING, true, true, "its id, or the first characters of it" },
        { "as", OPTION_STRING, false, true, "\"real\", or \"false-positive\": what is there now is normal" },
        { "reason", OPTION_STRING, false, false, "for those who come later" },
        NO_OPTION };

static int
run_ack (Shell *shell, const Words *words)
{
  g_autoptr (json_object) answer
      = shell_call (shell, "alert-ack", words_arguments (words, "alert", "as", "reason", NULL), 0);
  if (answer == NULL)
    return EXIT_FAILED;
  if (!shell_print_json (shell, answer) && !shell->quiet)
    puts (
        "Acknowledged; what is held stays held: see snapshot-release; dominfo says which rules are relieved");
  return EXIT_DONE;
}

static const Option test_options[]
    = { { "channel", OPTION_STRING, true, false, "the name of one [alert]; without it all" }, NO_OPTION };

static int
run_test (Shell *shell, const Words *words)
{
  g_autoptr (json_object) answer
      = shell_call (shell, "alert-test", words_arguments (words, "channel", NULL), 0);
  if (answer == NULL)
    return EXIT_FAILED;
  if (!shell_print_json (shell, answer) && !shell->quiet)
    puts ("Sent; alert-list says whether it has been delivered");
  return EXIT_DONE;
}

const Command alert_commands[] = {
  { "alert-list", list_options, run_list, "what people were told" },
  { "alert-info", alert_options, run_info, "one alert, and what it was found by" },
  { "alert-ack", ack_options, run_ack, "say whether an alert was real" },
  { "alert-test", test_options, run_test, "tell people that this is a test" },
  { NULL, NULL, NULL, NULL },
};
