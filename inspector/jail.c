/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NOBODY 65534
/* Addresses of what reads the appliance's answers: a directory of some million names. */
#define MEMORY_MAX (1536ul << 20)
/* Of the overlays that journals are replayed into; in memory, and only as far as it is used. */
#define TMP_OPTIONS "mode=0700,uid=65534,gid=65534,size=1g"

static bool
say (const char *what)
{
  fprintf (stderr, "%s: %s\n", what, strerror (errno));
  return false;
}

bool
jail_build (const char *appliance)
{
  if (prctl (PR_SET_PDEATHSIG, SIGKILL)
      || unshare (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID))
    return say ("cannot have namespaces of its own");
  if (mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
    return say ("cannot have mounts of its own");
  /* By a descriptor: the path may lie below what is covered now. */
  if (chdir (appliance))
    return say (appliance);
  if (mount ("guardd", JAIL_TMP, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, TMP_OPTIONS)
      || mkdir (JAIL_APPLIANCE, 0755) || mount (".", JAIL_APPLIANCE, NULL, MS_BIND, NULL)
      || mount (NULL, JAIL_APPLIANCE, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
    return say ("cannot have a /tmp of its own");
  struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
  struct mount_attr writable = { .attr_clr = MOUNT_ATTR_RDONLY };
  /* Linux 5.12; before that, what is everybody's to write stays so. */
  if (mount_setattr (AT_FDCWD, "/", AT_RECURSIVE, &read_only, sizeof read_only) && errno != ENOSYS)
    return say ("cannot have the host's files read-only");
  if (mount_setattr (AT_FDCWD, JAIL_TMP, 0, &writable, sizeof writable) && errno != ENOSYS)
    return say (JAIL_TMP);
  return chdir ("/") == 0 || say ("/");
}

static int
listen_at (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind (fd, (const struct sockaddr *)&address, sizeof address) || listen (fd, 16)
      || chown (path, NOBODY, NOBODY)) {
    say (path);
    if (fd >= 0)
      close (fd);
    return -1;
  }
  return fd;
}

bool
jail_send_sockets (int to, int n)
{
  int fds[JAIL_DISKS_MAX];
  char control[CMSG_SPACE (sizeof fds)] = { 0 }, path[64], byte = 's';
  int opened = 0;
  for (; opened < n; opened++) {
    snprintf (path, sizeof path, "%s/disk%d", JAIL_TMP, opened);
    fds[opened] = listen_at (path);
    if (fds[opened] < 0)
      break;
  }
  size_t length = sizeof (int) * (size_t)n;
  struct iovec part = { &byte, 1 };
  struct msghdr message
      = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE (length) };
  struct cmsghdr *header = CMSG_FIRSTHDR (&message);
  if (header == NULL)
    return false; /* cannot be: there is room for one */
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN (length);
  memcpy (CMSG_DATA (header), fds, length);
  bool ok = opened == n && (sendmsg (to, &message, MSG_NOSIGNAL) == 1 || say ("cannot reach guardd"));
  for (int i = 0; i < opened; i++)
    close (fds[i]);
  return ok;
}

static bool
give_up_root (bool kvm)
{
  struct stat device;
  bool group = kvm && stat ("/dev/kvm", &device) == 0;
  if (setgroups (group ? 1 : 0, group ? &device.st_gid : NULL) || setresgid (NOBODY, NOBODY, NOBODY)
      || setresuid (NOBODY, NOBODY, NOBODY))
    return say ("cannot give up root");
  return true;
}

bool
jail_limit_memory (void)
{
  struct rlimit limits = { MEMORY_MAX, MEMORY_MAX };
#ifdef __SANITIZE_ADDRESS__ /* it reserves terabytes of addresses */
  return true;
#endif
  return setrlimit (RLIMIT_AS, &limits) == 0 || say ("cannot limit its memory");
}

bool
jail_enter (bool kvm)
{
  struct rlimit no_core = { 0, 0 };
  /* Its own processes only; where that is refused, it sees names of others and can do nothing to them. */
  (void)mount ("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  if (geteuid () == 0 && !give_up_root (kvm))
    return false;
  /* After the change of user, which forgets it. */
  if (prctl (PR_SET_PDEATHSIG, SIGKILL) || prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
      || setrlimit (RLIMIT_CORE, &no_core))
    return say ("cannot set its own limits");
  static char *environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" JAIL_WORK, "TMPDIR=" JAIL_WORK,
                                 "XDG_RUNTIME_DIR=" JAIL_WORK,         "LC_ALL=C",        NULL };
  clearenv ();
  for (char **at = environment; *at; at++)
    putenv (*at);
  return (mkdir (JAIL_WORK, 0700) == 0 && chdir (JAIL_WORK) == 0) || say (JAIL_WORK);
}
