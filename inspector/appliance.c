/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libguestfs would do at its first launch, done where the host's kernel and packages can be read:
 * supermin(1) makes a kernel, an initrd and a root of what the host has, and does nothing when they are newer
 * than that.  README.fixed makes it a fixed appliance, see guestfs-faq(1). */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <guestfs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
say (const char *what)
{
  fprintf (stderr, "appliance: %s: %s\n", what, strerror (errno));
  return false;
}

/* The first directory of libguestfs's own search path that has what supermin needs; to be freed. */
static char *
find_parts (void)
{
  guestfs_h *g = guestfs_create_flags (GUESTFS_CREATE_NO_ENVIRONMENT);
  char *path = g ? strdup (guestfs_get_path (g)) : NULL, *found = NULL;
  for (char *rest = path, *one; found == NULL && (one = strsep (&rest, ":")) != NULL;) {
    if (asprintf (&found, "%s/supermin.d", one) < 0)
      found = NULL;
    if (found && access (found, R_OK) < 0) {
      free (found);
      found = NULL;
    }
  }
  free (path);
  if (g)
    guestfs_close (g);
  return found;
}

static bool
run (char *const *argv)
{
  int status = -1;
  pid_t child = fork ();
  if (child == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    execvp (argv[0], argv);
    _exit (127);
  }
  while (child > 0 && waitpid (child, &status, 0) < 0 && errno == EINTR)
    ;
  return status == 0;
}

bool
appliance_build (const char *directory)
{
  char readme[4096], lock[4096];
  char *parts = find_parts ();
  umask (022); /* nobody's process reads it; there is nothing in it but the host's packages */
  if (parts == NULL) {
    fputs ("appliance: libguestfs has no supermin.d: is the package libguestfs0 (Debian), libguestfs "
           "(Fedora) whole?\n",
           stderr);
    return false;
  }
  snprintf (readme, sizeof readme, "%s/README.fixed", directory);
  snprintf (lock, sizeof lock, "%s.lock", directory);
  char *argv[] = { "supermin", "--build",    "--if-newer", "--lock", lock, "--copy-kernel",   "-f",
                   "ext2",     "--host-cpu", "x86_64",     parts,    "-o", (char *)directory, NULL };
  bool ok = run (argv);
  free (parts);
  if (!ok) {
    fputs ("appliance: supermin has failed, see above; is there a kernel in /boot?\n", stderr);
    return false;
  }
  int fd = open (readme, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0)
    return say (readme);
  close (fd);
  return chmod (directory, 0755) == 0 || say (directory);
}
