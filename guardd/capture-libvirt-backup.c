/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "capture-libvirt-backup.h"

#include "capture-libvirt-checkpoint.h"
#include "capture-libvirt-place.h"
#include "capture-libvirt-xml.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define END_MS 10000u
#define WANTED_US 100000
#define LOOK_US 2000u
#define LOOK_MAX_US 50000u

struct LibvirtBackup {
  CapturePlan *plan;
  LibvirtCalls *calls;
  virDomainPtr domain; /* reference */
  LibvirtPlace *place;
  char *socket;
  GStrv scratch; /* one per disk of the plan */
  bool aborted;  /* libvirt has agreed to; of one thread at a time: the watch's, then its joiner's */
};

LibvirtBackup *
libvirt_backup_new (CapturePlan *plan, LibvirtCalls *calls, virDomainPtr domain, GError **error)
{
  const CaptureRequest *request = plan->request;
  g_autoptr (LibvirtPlace) place
      = libvirt_place_new (request->config, request->pool, domain, request->domain->uuid, error);
  if (place == NULL)
    return NULL;
  LibvirtBackup *backup = g_new0 (LibvirtBackup, 1);
  backup->plan = plan;
  backup->calls = calls;
  virDomainRef (domain);
  backup->domain = domain;
  backup->socket = libvirt_place_socket (place, plan->id);
  backup->scratch = g_new0 (char *, plan->disks->len + 1);
  for (guint i = 0; i < plan->disks->len; i++) {
    const PlanDisk *disk = plan->disks->pdata[i];
    backup->scratch[i] = libvirt_place_scratch (place, plan->id, disk->disk->target);
  }
  backup->place = g_steal_pointer (&place);
  return backup;
}

void
libvirt_backup_free (LibvirtBackup *backup)
{
  if (backup == NULL)
    return;
  virDomainFree (backup->domain);
  libvirt_place_free (backup->place);
  g_strfreev (backup->scratch);
  g_free (backup->socket);
  g_free (backup);
}

char *
libvirt_backup_bitmap (const CapturePlan *plan)
{
  return g_strdup_printf ("guardd-dirty-%.8s", plan->id);
}

/* --- begin --- */

typedef struct {
  char *backup, *checkpoint;
  char *socket;
  gint64 begun, done; /* monotonic */
  gint64 time_us;
  bool aborted; /* the call's own until it has returned */
} Begin;

static void
begin_clear (gpointer data)
{
  Begin *begin = data;
  g_free (begin->backup);
  g_free (begin->checkpoint);
  g_free (begin->socket);
}

/* libvirt 9.0: a libvirtd that died while it began a backup job comes back with a job that it knows nothing
 * of. It says VIR_ERR_INTERNAL_ERROR, and an abort does nothing. */
static bool
explain_lost (virDomainPtr domain, GError **error)
{
  bool internal = error && g_error_matches (*error, LIBVIRT_ERROR, VIR_ERR_INTERNAL_ERROR);
  char *xml = internal ? virDomainBackupGetXMLDesc (domain, 0) : NULL;
  const virError *last = xml ? NULL : virGetLastError ();
  free (xml);
  if (internal && last && last->code == VIR_ERR_NO_DOMAIN_BACKUP)
    g_prefix_error (error,
                    "libvirtd died while it began a backup job, and has lost what that job is: nobody can "
                    "have a job on the guest until it is shut down and started again: ");
  return false;
}

/* Somebody else's job is not waited for: libvirt would do that for half a minute, and this thread with it. */
static bool
is_free (virDomainPtr domain, GError **error)
{
  virDomainJobInfo info;
  if (virDomainGetJobInfo (domain, &info) < 0) {
    libvirt_call_fail (error, "job information");
    return explain_lost (domain, error);
  }
  if (info.type == VIR_DOMAIN_JOB_NONE)
    return true;
  g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_BUSY,
               "somebody has a libvirt job on the guest (\"virsh domjobinfo\" shows it): trying again later");
  return false;
}

static bool
begin_call (virDomainPtr domain, gpointer data, GError **error)
{
  Begin *begin = data;
  if (!is_free (domain, error))
    return false;
  begin->begun = g_get_monotonic_time ();
  if (virDomainBackupBegin (domain, begin->backup, begin->checkpoint, 0) < 0)
    return libvirt_call_fail (error, "begin of the backup job");
  begin->done = g_get_monotonic_time ();
  begin->time_us = g_get_real_time ();
  return true;
}

/* *ours: a backup job with this socket. */
static bool
find_job (virDomainPtr domain, const char *socket, bool *ours, GError **error)
{
  char *xml = virDomainBackupGetXMLDesc (domain, 0);
  const virError *last = xml ? NULL : virGetLastError ();
  *ours = xml && strstr (xml, socket) != NULL;
  free (xml);
  if (last == NULL || last->code == VIR_ERR_NO_DOMAIN_BACKUP || last->code == VIR_ERR_NO_DOMAIN
      || last->code == VIR_ERR_OPERATION_INVALID)
    return true;
  return libvirt_call_fail (error, "state of the backup job");
}

/* libvirt aborts whatever job there is: it must be ours.  Once only: ours ends by that, and who waited for it
 * has a job before a second look is over. */
static bool
abort_call (virDomainPtr domain, gpointer data, GError **error)
{
  Begin *begin = data;
  bool ours;
  if (begin->aborted)
    return true;
  if (!find_job (domain, begin->socket, &ours, error))
    return false;
  if (!ours)
    return true;
  begin->aborted = virDomainAbortJob (domain) == 0;
  if (begin->aborted)
    return true;
  /* it may have ended by itself in between */
  GError *failure = NULL;
  libvirt_call_fail (&failure, "end of the backup job");
  if (!find_job (domain, begin->socket, &ours, NULL) || ours) {
    g_propagate_error (error, failure);
    return false;
  }
  g_error_free (failure);
  return true;
}

static bool
connect_disks (LibvirtBackup *backup, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  if (g_strlcpy (address.sun_path, backup->socket, sizeof address.sun_path) >= sizeof address.sun_path) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG, "%s: too long for a socket",
                 backup->socket);
    return false;
  }
  for (guint i = 0; i < backup->plan->disks->len; i++) {
    PlanDisk *disk = backup->plan->disks->pdata[i];
    disk->socket = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (disk->socket < 0 || connect (disk->socket, (const struct sockaddr *)&address, sizeof address) < 0) {
      int saved = errno;
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved), "%s: connect: %s", backup->socket,
                   g_strerror (saved));
      return false;
    }
  }
  return true;
}

static Begin *
begin_new (const char *socket)
{
  Begin *begin = g_atomic_rc_box_new0 (Begin);
  begin->socket = g_strdup (socket);
  return begin;
}

bool
libvirt_backup_begin (LibvirtBackup *backup, guint64 *stall_us, gint64 *time_us, GError **error)
{
  const LibvirtCall call = { .func = begin_call, .undo = abort_call, .timeout_ms = LIBVIRT_CALL_MS };
  Begin *begin = begin_new (backup->socket);
  g_autofree char *bitmap = libvirt_backup_bitmap (backup->plan);
  begin->backup = libvirt_backup_xml (backup->plan, backup->socket, bitmap, backup->scratch);
  begin->checkpoint = libvirt_checkpoint_xml (backup->plan);
  bool ok = libvirt_call (backup->calls, backup->domain, &call, begin, begin_clear, error);
  if (ok) {
    *stall_us = (guint64)(begin->done - begin->begun);
    *time_us = begin->time_us;
    ok = connect_disks (backup, error);
    unlink (backup->socket); /* nobody else is to connect, ignoring */
  }
  g_atomic_rc_box_release_full (begin, begin_clear);
  return ok;
}

/* --- check, end --- */

bool
libvirt_backup_check (const LibvirtBackup *backup, GError **error)
{
  return libvirt_place_check (backup->place, backup->scratch, error);
}

static bool
end_call (virDomainPtr domain, gpointer data, GError **error)
{
  const Begin *begin = data;
  gint64 deadline = g_get_monotonic_time () + END_MS * 1000;
  guint pause = LOOK_US;
  bool ours = true;
  if (!abort_call (domain, data, error))
    return false;
  for (;;) {
    if (!find_job (domain, begin->socket, &ours, error))
      return false;
    if (!ours)
      return true;
    if (g_get_monotonic_time () > deadline)
      break;
    g_usleep (pause);
    pause = MIN (pause * 2, LOOK_MAX_US);
  }
  g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_LEFT,
               "the backup job has not ended within %u s of its abort: virsh domjobabort", END_MS / 1000);
  return false;
}

/* *aborted: as Begin's, before the call and after it; NULL: nobody has, and nobody asks. */
static bool
call_with_socket (LibvirtCalls *calls, virDomainPtr domain, LibvirtFunc func, const char *socket,
                  bool *aborted, GError **error)
{
  const LibvirtCall call = { .func = func, .timeout_ms = LIBVIRT_CALL_MS };
  Begin *begin = begin_new (socket);
  begin->aborted = aborted && *aborted;
  bool ok = libvirt_call (calls, domain, &call, begin, begin_clear, error);
  if (ok && aborted)
    *aborted = begin->aborted;
  g_atomic_rc_box_release_full (begin, begin_clear);
  return ok;
}

void
libvirt_backup_abort (LibvirtBackup *backup)
{
  g_autoptr (GError) error = NULL;
  if (!call_with_socket (backup->calls, backup->domain, abort_call, backup->socket, &backup->aborted, &error))
    g_warning ("%s: %s", backup->plan->request->domain->name, error->message);
}

bool
libvirt_backup_end (LibvirtBackup *backup, GError **error)
{
  for (guint i = 0; i < backup->plan->disks->len; i++) {
    PlanDisk *disk = backup->plan->disks->pdata[i];
    if (disk->socket >= 0)
      close (disk->socket);
    disk->socket = -1;
  }
  return call_with_socket (backup->calls, backup->domain, end_call, backup->socket, &backup->aborted, error);
}

/* Who waited has a job as soon as ours is over; short ones are over themselves soon. */
static bool
wanted_call (virDomainPtr domain, gpointer data, GError **error)
{
  gint64 until = g_get_monotonic_time () + WANTED_US;
  do {
    virDomainJobInfo info;
    if (virDomainGetJobInfo (domain, &info) < 0 || info.type != VIR_DOMAIN_JOB_NONE)
      return true;
    g_usleep (LOOK_US);
  } while (g_get_monotonic_time () < until);
  g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_NOTHING, "nobody has taken it");
  return false;
}

bool
libvirt_backup_was_wanted (LibvirtCalls *calls, virDomainPtr domain)
{
  return call_with_socket (calls, domain, wanted_call, "", NULL, NULL);
}

bool
libvirt_backup_sweep (LibvirtCalls *calls, virDomainPtr domain, const Config *config, Pool *pool,
                      const char *domain_uuid, GError **error)
{
  g_autoptr (LibvirtPlace) place = libvirt_place_new (config, pool, domain, domain_uuid, error);
  if (place == NULL)
    return false;
  /* the start of every socket's name */
  g_autofree char *socket = libvirt_place_socket (place, "");
  if (!call_with_socket (calls, domain, end_call, socket, NULL, error))
    return false;
  libvirt_place_sweep (place);
  return true;
}
