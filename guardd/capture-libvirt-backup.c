/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "capture-libvirt-backup.h"

#include "capture-libvirt-checkpoint.h"
#include "capture-libvirt-place.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define END_MS 10000u
#define LOOK_US 2000u
#define LOOK_MAX_US 50000u

struct LibvirtBackup {
  CapturePlan *plan;
  LibvirtCalls *calls;
  virDomainPtr domain; /* reference */
  LibvirtPlace *place;
  char *socket;
  GStrv scratch; /* one per disk of the plan */
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

/* --- XML --- */

G_GNUC_PRINTF (2, 3)
static void
add (GString *xml, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_markup_vprintf_escaped (format, arguments);
  va_end (arguments);
  g_string_append (xml, text);
}

static void
add_disk (GString *xml, const LibvirtBackup *backup, guint index)
{
  const CapturePlan *plan = backup->plan;
  const PlanDisk *disk = plan->disks->pdata[index];
  add (xml, "<disk name='%s' backup='yes' type='file' exportname='%s'", disk->disk->target,
       disk->disk->target);
  if (disk->full_reason)
    add (xml, " backupmode='full'>");
  else
    add (xml, " backupmode='incremental' incremental='%s' exportbitmap='%s'>", plan->old_bitmap,
         LIBVIRT_BACKUP_BITMAP);
  add (xml, "<driver type='qcow2'/><scratch file='%s'/></disk>", backup->scratch[index]);
}

static bool
has_disk (const CapturePlan *plan, const DomainDisk *disk)
{
  for (guint i = 0; i < plan->disks->len; i++)
    if (((const PlanDisk *)plan->disks->pdata[i])->disk == disk)
      return true;
  return false;
}

/* A disk that is not named would be backed up. */
static void
add_others (GString *xml, const CapturePlan *plan, const char *no)
{
  const GPtrArray *disks = plan->request->domain->disks;
  for (guint i = 0; i < disks->len; i++) {
    const DomainDisk *disk = disks->pdata[i];
    if (!has_disk (plan, disk))
      add (xml, "<disk name='%s' %s='no'/>", disk->target, no);
  }
}

static char *
backup_xml (const LibvirtBackup *backup)
{
  GString *xml = g_string_new ("<domainbackup mode='pull'>");
  add (xml, "<server transport='unix' socket='%s'/><disks>", backup->socket);
  for (guint i = 0; i < backup->plan->disks->len; i++)
    add_disk (xml, backup, i);
  add_others (xml, backup->plan, "backup");
  g_string_append (xml, "</disks></domainbackup>");
  return g_string_free (xml, FALSE);
}

/* NULL: no disk can have one. */
static char *
checkpoint_xml (const CapturePlan *plan)
{
  bool any = false;
  GString *xml = g_string_new ("<domaincheckpoint>");
  add (xml, "<name>%s</name><description>guardd: what changes from here on</description><disks>",
       plan->new_bitmap);
  for (guint i = 0; i < plan->disks->len; i++) {
    const PlanDisk *disk = plan->disks->pdata[i];
    add (xml, "<disk name='%s' checkpoint='%s'/>", disk->disk->target, disk->in_bitmaps ? "bitmap" : "no");
    any = any || disk->in_bitmaps;
  }
  add_others (xml, plan, "checkpoint");
  g_string_append (xml, "</disks></domaincheckpoint>");
  return g_string_free (xml, !any);
}

/* --- begin --- */

typedef struct {
  char *backup, *checkpoint;
  char *socket;
  gint64 begun, done; /* monotonic */
  gint64 time_us;
} Begin;

static void
begin_clear (gpointer data)
{
  Begin *begin = data;
  g_free (begin->backup);
  g_free (begin->checkpoint);
  g_free (begin->socket);
}

/* Somebody else's job is not waited for: libvirt would do that for half a minute, and this thread with it. */
static bool
is_free (virDomainPtr domain, GError **error)
{
  virDomainJobInfo info;
  if (virDomainGetJobInfo (domain, &info) < 0)
    return libvirt_call_fail (error, "job information");
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

/* libvirt aborts whatever job there is: it must be ours. */
static bool
abort_call (virDomainPtr domain, gpointer data, GError **error)
{
  const Begin *begin = data;
  bool ours;
  if (!find_job (domain, begin->socket, &ours, error))
    return false;
  if (!ours || virDomainAbortJob (domain) == 0)
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
  begin->backup = backup_xml (backup);
  begin->checkpoint = checkpoint_xml (backup->plan);
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

static bool
call_with_socket (LibvirtCalls *calls, virDomainPtr domain, LibvirtFunc func, const char *socket,
                  GError **error)
{
  const LibvirtCall call = { .func = func, .timeout_ms = LIBVIRT_CALL_MS };
  Begin *begin = begin_new (socket);
  bool ok = libvirt_call (calls, domain, &call, begin, begin_clear, error);
  g_atomic_rc_box_release_full (begin, begin_clear);
  return ok;
}

void
libvirt_backup_abort (LibvirtBackup *backup)
{
  g_autoptr (GError) error = NULL;
  if (!call_with_socket (backup->calls, backup->domain, abort_call, backup->socket, &error))
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
  return call_with_socket (backup->calls, backup->domain, end_call, backup->socket, error);
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
  if (!call_with_socket (calls, domain, end_call, socket, error))
    return false;
  libvirt_place_sweep (place);
  return true;
}
