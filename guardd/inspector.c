/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inspector-child.h"

#include "nbd-export.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define DISKS_MAX 64u
#define BUILD_US (600 * G_USEC_PER_SEC)
/* Addresses of each process: of a QEMU with 768 MiB and a gigabyte of translated code; of a comparison, which
 * allows itself less. */
#define LOOK_MEMORY ((guint64)4 << 30)
#define COMPARE_MEMORY ((guint64)1 << 30)

/* --- the appliance --- */

static bool
build_appliance (const InspectorRequest *request, GCancellable *cancellable, GError **error)
{
  char *argv[] = { (char *)request->program, (char *)"appliance", (char *)request->appliance, NULL };
  Child child;
  child_init (&child, BUILD_US, cancellable);
  g_autofree char *parent = g_path_get_dirname (request->appliance);
  g_mkdir_with_parents (parent, 0755); /* what fails is said by supermin */
  bool ok = child_spawn (&child, argv, NULL, 0, -1, 0, error) && child_listen (&child, -1, error)
            && child_end (&child, error);
  child_clear (&child);
  return ok;
}

/* --- looking --- */

/* The sockets that it listens on: one for each disk. */
static bool
receive_sockets (const Child *child, int *fds, guint n, GError **error)
{
  char byte, control[CMSG_SPACE (DISKS_MAX * sizeof (int))];
  struct iovec part = { &byte, 1 };
  struct msghdr message
      = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
  struct pollfd wait = { child->answer, POLLIN, 0 };
  gint64 time = child->end - g_get_monotonic_time ();
  if (time <= 0 || poll (&wait, 1, (int)(time / 1000 + 1)) <= 0
      || recvmsg (child->answer, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1)
    return false;
  const struct cmsghdr *header = CMSG_FIRSTHDR (&message);
  if (header == NULL || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN (n * sizeof (int)))
    return child_blind (error, "says what cannot be");
  memcpy (fds, CMSG_DATA (header), n * sizeof (int));
  return true;
}

/* text: NULL for none; -1 on error. */
static int
text_file (const char *text)
{
  size_t length = text ? strlen (text) : 0;
  int fd = memfd_create ("known", MFD_CLOEXEC);
  if (fd >= 0 && length > 0
      && (write (fd, text, length) != (ssize_t)length || lseek (fd, 0, SEEK_SET) != 0)) {
    close (fd);
    return -1;
  }
  return fd;
}

/* A descriptor of its own for `older`, or of nothing. */
static int
older_file (int older)
{
  return older >= 0 ? fcntl (older, F_DUPFD_CLOEXEC, 3) : open ("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool
look_spawn (Child *child, const InspectorRequest *request, GError **error)
{
  char disks[8];
  char *argv[] = { (char *)request->program,
                   (char *)"look",
                   (char *)request->appliance,
                   (char *)(request->kvm ? "kvm" : "tcg"),
                   disks,
                   NULL };
  int given[CHILD_FDS_MAX] = { -1, text_file (request->known), older_file (request->older) };
  int ends[2] = { -1, -1 }, bulk[2] = { -1, -1 };
  g_snprintf (disks, sizeof disks, "%u", request->n_disks);
  bool ok = given[1] >= 0 && given[2] >= 0 && socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0
            && pipe2 (bulk, O_CLOEXEC) == 0;
  given[0] = ends[1];
  child->answer = ends[0];
  child->bulk = bulk[0];
  ok = ok ? child_spawn (child, argv, given, CHILD_FDS_MAX, bulk[1], LOOK_MEMORY, error)
          : child_blind (error, "has no descriptors: too many open files?");
  for (guint i = 0; i < CHILD_FDS_MAX; i++)
    if (given[i] >= 0)
      close (given[i]);
  if (bulk[1] >= 0)
    close (bulk[1]);
  return ok;
}

static bool
look_run (Child *child, const InspectorRequest *request, GError **error)
{
  int fds[DISKS_MAX];
  NbdExport *served[DISKS_MAX];
  /* What it says instead, when it has no sockets. */
  if (!receive_sockets (child, fds, request->n_disks, error))
    return (error == NULL || *error == NULL) && child_listen (child, -1, error) && child_end (child, error)
           && child_blind (error, "has ended early");
  for (guint i = 0; i < request->n_disks; i++)
    served[i] = nbd_export_start (fds[i], request->disks[i]);
  bool ok = (send (child->answer, "g", 1, MSG_NOSIGNAL) == 1 || child_blind (error, "died"))
            && child_listen (child, request->inventory, error) && child_end (child, error);
  for (guint i = 0; i < request->n_disks; i++)
    nbd_export_stop (served[i]);
  return ok;
}

json_object *
inspector_look (const InspectorRequest *request, GCancellable *cancellable, GError **error)
{
  Child child;
  json_object *summary = NULL;
  if (request->n_disks == 0 || request->n_disks > DISKS_MAX) {
    child_blind (error, request->n_disks ? "cannot take more than 64 disks" : "has no disk to look at");
    return NULL;
  }
  if (!build_appliance (request, cancellable, error))
    return NULL;
  child_init (&child, (gint64)request->deadline_us, cancellable);
  if (look_spawn (&child, request, error) && look_run (&child, request, error))
    summary = child_answer (&child, error);
  child_clear (&child);
  return summary;
}

/* --- comparing --- */

json_object *
inspector_compare (const char *program, int older, int newer, guint64 deadline_us, GCancellable *cancellable,
                   GError **error)
{
  Child child;
  int pipes[2];
  json_object *difference = NULL;
  char *argv[] = { (char *)program, (char *)"compare", NULL };
  if (pipe2 (pipes, O_CLOEXEC) < 0) {
    child_blind (error, "has no pipe: too many open files?");
    return NULL;
  }
  int given[] = { older, newer, pipes[1] };
  lseek (older, 0, SEEK_SET); /* it may have been read before */
  lseek (newer, 0, SEEK_SET);
  child_init (&child, (gint64)deadline_us, cancellable);
  child.answer = pipes[0];
  bool ok = child_spawn (&child, argv, given, G_N_ELEMENTS (given), -1, COMPARE_MEMORY, error);
  close (pipes[1]);
  if (ok && child_listen (&child, -1, error) && child_end (&child, error))
    difference = child_answer (&child, error);
  child_clear (&child);
  return difference;
}
