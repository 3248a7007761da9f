/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "killpoint.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__ ((visibility ("default")))
/* The function that this one stands before. */
#define NEXT(function)                                                                                       \
  static __typeof__ (&(function)) real;                                                                      \
  if (!real)                                                                                                 \
  real = (__typeof__ (&(function)))dlsym (RTLD_NEXT, #function)

static struct killpoint *control;

__attribute__ ((constructor)) static void
set_up (void)
{
  const char *path = getenv ("KILLPOINT_FILE");
  int fd = path ? open (path, O_RDWR | O_CLOEXEC) : -1;
  void *map;

  /* for guardd alone, not for what it starts */
  unsetenv ("LD_PRELOAD");
  if (fd < 0)
    return;
  map = mmap (NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  control = map == MAP_FAILED ? NULL : map;
  close (fd);
}

static int
undoing (void)
{
  return control && control->power;
}

static void
die (void)
{
  if (control->power)
    undo_all ();
  kill (getpid (), SIGKILL);
  for (;;)
    pause ();
}

static bool
is_meant (int kind, const char *call)
{
  return control && (control->kinds & kind) && strstr (call, control->only) != NULL;
}

/* *hit: it is the one. */
static void
count_call (int kind, const char *call, int *hit)
{
  *hit = 0;
  if (!is_meant (kind, call))
    return;
  __atomic_add_fetch (&control->count, 1, __ATOMIC_SEQ_CST);
  if (control->countdown <= 0 || __atomic_sub_fetch (&control->countdown, 1, __ATOMIC_SEQ_CST) != 0)
    return;
  snprintf (control->last, sizeof control->last, "%s", call);
  *hit = 1;
}

int
killpoint_pass (int kind, const char *call)
{
  int hit;

  count_call (kind, call, &hit);
  if (!control)
    return 0;
  if (is_meant (kind, call) && control->delay_us)
    usleep ((useconds_t)control->delay_us);
  if (control->failure)
    return is_meant (kind, call) && control->last[0] ? (int)control->failure : 0;
  if (!hit)
    return 0;
  if (control->target)
    kill ((pid_t)control->target, SIGKILL);
  else
    die ();
  return 0;
}

/* For functions that say -1 and errno. */
#define PASS(kind, call)                                                                                     \
  do {                                                                                                       \
    int failure = killpoint_pass (kind, call);                                                               \
    if (failure) {                                                                                           \
      errno = failure;                                                                                       \
      return -1;                                                                                             \
    }                                                                                                        \
  } while (0)

static int
is_file (int fd)
{
  struct stat st;

  return fstat (fd, &st) == 0 && S_ISREG (st.st_mode);
}

static int
before_write (int fd, off_t offset, size_t length, const char *call)
{
  if (!is_file (fd))
    return 0;
  PASS (KIND_DATA, call);
  if (undoing ())
    undo_note_write (fd, offset, length);
  return 0;
}

EXPORT ssize_t
write (int fd, const void *data, size_t length)
{
  NEXT (write);
  off_t at = lseek (fd, 0, fcntl (fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
  return at >= 0 && before_write (fd, at, length, "write") < 0 ? -1 : real (fd, data, length);
}

EXPORT ssize_t
pwrite (int fd, const void *data, size_t length, off_t offset)
{
  NEXT (pwrite);
  return before_write (fd, offset, length, "pwrite") < 0 ? -1 : real (fd, data, length, offset);
}

EXPORT ssize_t
pwrite64 (int fd, const void *data, size_t length, off_t offset)
{
  return pwrite (fd, data, length, offset);
}

EXPORT int
ftruncate (int fd, off_t length)
{
  NEXT (ftruncate);
  if (is_file (fd) && undoing ())
    undo_note_truncate (fd);
  return real (fd, length);
}

EXPORT int
ftruncate64 (int fd, off_t length)
{
  return ftruncate (fd, length);
}

static int
sync_with (int (*real) (int), int fd, const char *call)
{
  PASS (KIND_SYNC, call);
  int result = real (fd);
  if (result == 0 && undoing ())
    undo_note_synced (fd);
  return result;
}

EXPORT int
fsync (int fd)
{
  NEXT (fsync);
  return sync_with (real, fd, "fsync");
}

EXPORT int
fdatasync (int fd)
{
  NEXT (fdatasync);
  return sync_with (real, fd, "fdatasync");
}

EXPORT int
renameat (int from_fd, const char *from, int to_fd, const char *to)
{
  NEXT (renameat);
  PASS (KIND_NAME, "renameat");
  int result = real (from_fd, from, to_fd, to);
  if (result == 0 && undoing ())
    undo_note_renamed (from_fd, from, to_fd, to);
  return result;
}

EXPORT int
renameat2 (int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
  NEXT (renameat2);
  PASS (KIND_NAME, "renameat2");
  int result = real (from_fd, from, to_fd, to, flags);
  if (result == 0 && undoing ())
    undo_note_renamed (from_fd, from, to_fd, to);
  return result;
}

EXPORT int
rename (const char *from, const char *to)
{
  return renameat (AT_FDCWD, from, AT_FDCWD, to);
}

EXPORT int
mkdirat (int dir_fd, const char *path, mode_t mode)
{
  NEXT (mkdirat);
  PASS (KIND_NAME, "mkdirat");
  int result = real (dir_fd, path, mode);
  if (result == 0 && undoing ())
    undo_note_created (dir_fd, path);
  return result;
}

EXPORT int
unlinkat (int dir_fd, const char *path, int flags)
{
  NEXT (unlinkat);
  PASS (KIND_NAME, "unlinkat");
  return real (dir_fd, path, flags);
}

EXPORT int
openat (int dir_fd, const char *path, int flags, ...)
{
  NEXT (openat);
  va_list arguments;
  va_start (arguments, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg (arguments, mode_t) : 0;
  va_end (arguments);
  if (!(flags & O_CREAT))
    return real (dir_fd, path, flags, mode);
  PASS (KIND_NAME, "openat");
  int is_new = faccessat (dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
  int fd = real (dir_fd, path, flags, mode);
  if (fd >= 0 && is_new && undoing ())
    undo_note_created (dir_fd, path);
  return fd;
}

/* What a QEMU might say that an intruder has taken over; the command itself was carried out. */
static const char *const lies[] = {
  "{\"return\": 7}",
  "{\"return\": []}",
  "{\"return\": {}}",
  "{\"return\": [{\"device\": 1, \"id\": [], \"inserted\": {\"image\": -1}, \"node-name\": {}}]}",
  "{\"return\": {\"fdset-id\": -99999999999999999999, \"fd\": \"x\"}}",
  "{\"error\": {\"class\": \"GenericError\", \"desc\": \"a lie\"}}",
  "{\"error\": 1}",
  "{}",
  "[]",
  "{\"return\": \"\xff\xfe\"}",
  "{\"re",
  "",
};

static void
replace_answer (char **result)
{
  size_t which = (size_t)(control->lie - 1) % (sizeof lies / sizeof lies[0]);

  free (*result);
  *result = strdup (lies[which]);
}

/* In libvirt's words to a client that polkit does not let through. */
static int
refuse (void)
{
  static char words[] = "access denied: 'QEMU' denied access";
  virError error = { .code = VIR_ERR_ACCESS_DENIED, .level = VIR_ERR_ERROR, .message = words };
  int (*set) (virErrorPtr) = (int (*) (virErrorPtr))dlsym (RTLD_DEFAULT, "virSetError");

  set (&error);
  return -1;
}

/* Before a command to QEMU's monitor; hit: its answer is to be replaced.  False: it is refused. */
static bool
monitor_pass (const char *command, int *hit)
{
  if (control && (control->kinds & KIND_REFUSED))
    return false;
  if (control && control->lie)
    count_call (KIND_LIBVIRT, command, hit);
  else
    killpoint_pass (KIND_LIBVIRT, command);
  return true;
}

EXPORT int
virDomainQemuMonitorCommand (virDomainPtr domain, const char *command, char **result, unsigned int flags)
{
  NEXT (virDomainQemuMonitorCommand);
  int hit = 0;
  if (!monitor_pass (command, &hit))
    return refuse ();
  int status = real (domain, command, result, flags);
  if (hit && status == 0)
    replace_answer (result);
  return status;
}

EXPORT int
virDomainQemuMonitorCommandWithFiles (virDomainPtr domain, const char *command, unsigned int n_in, int *in,
                                      unsigned int *n_out, int **out, char **result, unsigned int flags)
{
  NEXT (virDomainQemuMonitorCommandWithFiles);
  int hit = 0;
  if (!monitor_pass (command, &hit))
    return refuse ();
  int status = real (domain, command, n_in, in, n_out, out, result, flags);
  if (hit && status == 0)
    replace_answer (result);
  return status;
}

EXPORT int
clock_gettime (clockid_t clock, struct timespec *time)
{
  NEXT (clock_gettime);
  int status = real (clock, time);
  if (status == 0 && clock == CLOCK_REALTIME && control)
    time->tv_sec += control->clock_us / 1000000;
  return status;
}

#define DOMAIN_CALL(name)                                                                                    \
  EXPORT int name (virDomainPtr domain)                                                                      \
  {                                                                                                          \
    NEXT (name);                                                                                             \
    return killpoint_pass (KIND_LIBVIRT, #name) ? refuse () : real (domain);                                 \
  }

DOMAIN_CALL (virDomainSuspend)
DOMAIN_CALL (virDomainResume)
DOMAIN_CALL (virDomainDestroy)
DOMAIN_CALL (virDomainCreate)
DOMAIN_CALL (virDomainAbortJob)

EXPORT int
virDomainBackupBegin (virDomainPtr domain, const char *backup, const char *checkpoint, unsigned int flags)
{
  NEXT (virDomainBackupBegin);
  killpoint_pass (KIND_LIBVIRT, "virDomainBackupBegin");
  return real (domain, backup, checkpoint, flags);
}

EXPORT virDomainCheckpointPtr
virDomainCheckpointCreateXML (virDomainPtr domain, const char *xml, unsigned int flags)
{
  NEXT (virDomainCheckpointCreateXML);
  killpoint_pass (KIND_LIBVIRT, "virDomainCheckpointCreateXML");
  return real (domain, xml, flags);
}

EXPORT int
virDomainCheckpointDelete (virDomainCheckpointPtr checkpoint, unsigned int flags)
{
  NEXT (virDomainCheckpointDelete);
  killpoint_pass (KIND_LIBVIRT, "virDomainCheckpointDelete");
  return real (checkpoint, flags);
}
