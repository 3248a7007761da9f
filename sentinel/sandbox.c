/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEMORY_MAX (256ul << 20)
#define NOBODY 65534

static bool
say (const char *what)
{
  fprintf (stderr, "sandbox: %s: %s\n", what, strerror (errno));
  return false;
}

static bool
limit (int resource, rlim_t value)
{
  struct rlimit limits = { value, value };
  return setrlimit (resource, &limits) == 0;
}

static bool
drop_privileges (void)
{
  if (geteuid () != 0)
    return true;
  /* /proc/self/fdinfo is empty once this process has changed its user, and gone with it: nothing to
   * prepare, nothing that others can put something into. */
  if (chroot ("/proc/self/fdinfo") || chdir ("/"))
    return say ("cannot leave the file system");
  if (setgroups (0, NULL) || setresgid (NOBODY, NOBODY, NOBODY) || setresuid (NOBODY, NOBODY, NOBODY))
    return say ("cannot give up root");
  return true;
}

static bool
filter (void)
{
  static const int allowed[]
      = { SCMP_SYS (read),       SCMP_SYS (write),  SCMP_SYS (exit),    SCMP_SYS (brk),
          SCMP_SYS (mmap),       SCMP_SYS (munmap), SCMP_SYS (mremap),  SCMP_SYS (mprotect),
          SCMP_SYS (exit_group), SCMP_SYS (futex),  SCMP_SYS (madvise), SCMP_SYS (clock_gettime) };
  scmp_filter_ctx context = seccomp_init (SCMP_ACT_KILL_PROCESS);
  bool done = context != NULL;
  for (size_t i = 0; done && i < sizeof allowed / sizeof allowed[0]; i++)
    done = seccomp_rule_add (context, SCMP_ACT_ALLOW, allowed[i], 0) == 0;
  /* qsort() of the GNU C library asks how much memory there is when it sorts more than a kilobyte, and does
   * without the answer. */
  done = done && seccomp_rule_add (context, SCMP_ACT_ERRNO (ENOSYS), SCMP_SYS (sysinfo), 0) == 0;
  done = done && seccomp_load (context) == 0;
  seccomp_release (context);
  return done || say ("cannot limit its system calls");
}

/* AddressSanitizer reserves terabytes of addresses and makes calls of its own. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

bool
sandbox_enter (int last, unsigned cpu_seconds)
{
  close (0);
  close (1);
  if (close_range ((unsigned)last + 1, ~0u, 0) != 0)
    return say ("cannot close what it inherited");
  if ((!SANITIZED && !limit (RLIMIT_AS, MEMORY_MAX)) || !limit (RLIMIT_CPU, cpu_seconds)
      || !limit (RLIMIT_FSIZE, 0) || !limit (RLIMIT_CORE, 0) || !limit (RLIMIT_NPROC, 0))
    return say ("cannot set its own limits");
  if (!drop_privileges ())
    return false;
  /* After the change of user, which forgets the first of them. */
  if (prctl (PR_SET_PDEATHSIG, SIGKILL) || prctl (PR_SET_DUMPABLE, 0)
      || prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    return say ("cannot set its own limits");
  return SANITIZED || filter ();
}
