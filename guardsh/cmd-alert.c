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
    puts ("Acknowledged; what is held stays held: see snapshot-release");
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
