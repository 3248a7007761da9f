/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guardd-inspector: which files are there, and which are gone; a process of its own for each question.
 *
 *   guardd-inspector appliance DIRECTORY                         builds the appliance when it is needed
 *   guardd-inspector look DIRECTORY kvm|tcg DISKS
 *   guardd-inspector compare
 *
 * look      3: a socket; sends it DISKS listening sockets, waits for a byte, and leaves the summary (JSON)
 *           there; 1: the inventory; 4: an earlier summary of this guest, or nothing; 5: an older inventory,
 *           or nothing
 * compare   3, 4: inventories, older one first; 5: the difference (JSON)
 *
 * What goes wrong is said on stderr, for people.
 */
#include "compare.h"
#include "inventory.h"
#include "jail.h"
#include "sentinel/sandbox.h"
#include "walk.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET_FD 3
#define KNOWN_FD 4
#define OLDER_FD 5
#define KNOWN_MAX (1u << 20)
#define COMPARE_SECONDS 60

static int
usage (void)
{
  fputs ("guardd-inspector is started by guardd; guardsh(1) has snapshot-inspect and diff\n", stderr);
  return 2;
}

/* What is not for the appliance's QEMU. */
static void
keep_to_itself (void)
{
  for (int fd = SOCKET_FD; fd <= OLDER_FD; fd++)
    (void)fcntl (fd, F_SETFD, FD_CLOEXEC);
}

/* NULL: there is none. */
static json_object *
read_known (void)
{
  static char text[KNOWN_MAX];
  size_t length = 0;
  for (ssize_t n; length < sizeof text - 1; length += (size_t)n)
    if ((n = read (KNOWN_FD, text + length, sizeof text - 1 - length)) <= 0)
      break;
  json_object *known = length > 0 ? json_tokener_parse (text) : NULL;
  if (json_object_is_type (known, json_type_object))
    return known;
  json_object_put (known);
  return NULL;
}

static int
look_inside (const char *accelerator, int disks)
{
  static char texts[JAIL_DISKS_MAX][64];
  const char *servers[JAIL_DISKS_MAX];
  keep_to_itself ();
  for (int i = 0; i < disks; i++) {
    snprintf (texts[i], sizeof texts[i], "unix:%s/disk%d", JAIL_TMP, i);
    servers[i] = texts[i];
  }
  struct walk_request request = { .appliance = JAIL_APPLIANCE,
                                  .tmp = JAIL_WORK,
                                  .kvm = strcmp (accelerator, "kvm") == 0,
                                  .servers = servers,
                                  .n_servers = disks };
  if (!jail_enter (request.kvm))
    return 1;
  FILE *summary = fdopen (SOCKET_FD, "w");
  if (summary == NULL)
    return 1;
  gzFile out = gzdopen (STDOUT_FILENO, "wb1");
  if (out == NULL) {
    fclose (summary);
    return 1;
  }
  request.known = read_known ();
  request.older = gzdopen (OLDER_FD, "rb");
  bool ok = walk (&request, out, summary);
  json_object_put (request.known);
  ok = gzclose (out) == Z_OK && ok;
  return fclose (summary) == 0 && ok ? 0 : 1;
}

static int
look (const char *directory, const char *accelerator, int disks)
{
  char byte;
  if (disks < 1 || disks > JAIL_DISKS_MAX)
    return usage ();
  if (!jail_build (directory) || !jail_send_sockets (SOCKET_FD, disks) || read (SOCKET_FD, &byte, 1) != 1)
    return 1;
  int status = 0;
  /* Namespaces of processes begin with a child. */
  pid_t child = fork ();
  if (child == 0)
    _exit (look_inside (accelerator, disks));
  close (SOCKET_FD);
  close (STDOUT_FILENO);
  if (child < 0 || waitpid (child, &status, 0) != child)
    return 1;
  if (WIFSIGNALED (status))
    fprintf (stderr, "crashed: %s\n", strsignal (WTERMSIG (status)));
  return WIFEXITED (status) ? WEXITSTATUS (status) : 1;
}

static int
compare (void)
{
  gzFile older = gzdopen (3, "rb"), newer = gzdopen (4, "rb");
  /* json-c asks for random bytes once, which the sandbox would not allow. */
  json_object *first = json_object_new_object ();
  json_object_object_add (first, "", NULL);
  json_object_put (first);
  if (older == NULL || newer == NULL || !sandbox_enter (5, COMPARE_SECONDS))
    return 1;
  return compare_inventories (older, newer, 5) ? 0 : 1;
}

int
main (int argc, char **argv)
{
  if (argc == 3 && strcmp (argv[1], "appliance") == 0)
    return appliance_build (argv[2]) ? 0 : 1;
  /* _exit: in a sandbox there is nothing to tidy up, and no way for a leak checker to look. */
  if (argc == 5 && strcmp (argv[1], "look") == 0)
    _exit (look (argv[2], argv[3], atoi (argv[4])));
  if (argc == 2 && strcmp (argv[1], "compare") == 0)
    _exit (compare ());
  return usage ();
}
