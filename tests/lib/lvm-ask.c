/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lvm-ask HELPER VG LOCK-DIRECTORY: puts each line of its input (a request as in lvm/protocol.h) to
 * guardd-lvm by way of the client that guardd uses, and prints each answer: a line of JSON, or "lost: why".
 */
#include "lvm/client.h"

#include <stdio.h>
#include <string.h>

#define DEADLINE_MS 60000u

int
main (int argc, char **argv)
{
  char line[8192];
  if (argc != 4)
    return 2;
  g_autoptr (LvmClient) client = lvm_client_new (argv[1], argv[2], argv[3]);
  while (fgets (line, sizeof line, stdin) != NULL) {
    g_autoptr (GError) error = NULL;
    json_object *request = json_tokener_parse (line), *answer = NULL;
    if (request == NULL)
      return 2;
    if (lvm_client_ask (client, request, DEADLINE_MS, &answer, &error))
      puts (json_object_to_json_string_ext (answer, JSON_C_TO_STRING_PLAIN));
    else
      printf ("%s: %s\n", g_error_matches (error, LVM_ERROR, LVM_ERROR_LOST) ? "lost" : "refused",
              error->message);
    fflush (stdout);
    json_object_put (answer);
  }
  return 0;
}
