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
#include <time.h>
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

/* supermin takes two seconds to find out that there is nothing to do: what it looks at is looked at here.
 * parts: its other input. */
static bool
is_new_enough (const char *readme, const char *parts)
{
  static const char *const databases[] = { "/var/lib/dpkg/status", "/usr/lib/sysimage/rpm/rpmdb.sqlite",
                                           "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages" };
  const char *const others[] = { "/boot", "/lib/modules", parts };
  struct stat made, st;
  bool known = false;
  if (stat (readme, &made) < 0)
    return false;
  for (size_t i = 0; i < sizeof databases / sizeof databases[0]; i++)
    if (stat (databases[i], &st) == 0) {
      known = true;
      if (st.st_mtime >= made.st_mtime)
        return false;
    }
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (stat (others[i], &st) == 0 && st.st_mtime >= made.st_mtime)
      return false;
  return known;
}

/* The file that makes it a fixed appliance; its time is that of what the appliance was made from. */
static bool
sign (const char *readme, time_t began)
{
  const struct timespec times[] = { { .tv_sec = began }, { .tv_sec = began } };
  int fd = open (readme, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0)
    return say (readme);
  bool ok = futimens (fd, times) == 0 || say (readme);
  close (fd);
  return ok;
}

bool
appliance_build (const char *directory)
{
  char readme[4096], lock[4096];
  time_t began = time (NULL);
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
  bool fresh = is_new_enough (readme, parts), ok = fresh || run (argv);
  free (parts);
  if (!ok) {
    fputs ("appliance: supermin has failed, see above; is there a kernel in /boot?\n", stderr);
    return false;
  }
  return fresh || (sign (readme, began) && (chmod (directory, 0755) == 0 || say (directory)));
}
