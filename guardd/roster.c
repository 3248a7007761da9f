/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "roster.h"

#include <libvirt/virterror.h>

#define BACKOFF_MAX_US (30 * G_USEC_PER_SEC)
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT 6

struct Roster {
  char *uri;
  RosterCallbacks callbacks;
  void *opaque;
  GMainContext *context;
  GAsyncQueue *news; /* News, for the describing thread */
  GThread *describer;
  GMutex lock; /* connection, stopping */
  virConnectPtr connection;
  bool stopping;
  GHashTable *known; /* uuid set; the describing thread's */
};

/* Something happened; uuid NULL: the connection broke, or the roster ends. */
typedef struct {
  char *uuid;
  const char *what;
} News;

static void
news_push (Roster *roster, const char *uuid, const char *what)
{
  News *news = g_new0 (News, 1);
  news->uuid = g_strdup (uuid);
  news->what = what;
  g_async_queue_push (roster->news, news);
}

static void
news_free (gpointer data)
{
  g_free (((News *)data)->uuid);
  g_free (data);
}

static bool
roster_stopping (Roster *roster)
{
  g_mutex_lock (&roster->lock);
  bool stopping = roster->stopping;
  g_mutex_unlock (&roster->lock);
  return stopping;
}

static void
set_libvirt_error (GError **error, const char *what)
{
  const virError *last = virGetLastError ();
  bool unknown = last && last->code == VIR_ERR_NO_DOMAIN;
  g_set_error (error, G_IO_ERROR, unknown ? G_IO_ERROR_NOT_FOUND : G_IO_ERROR_NOT_CONNECTED, "%s: %s", what,
               last && last->message ? last->message : "no reason given");
}

/* --- libvirt's event loop: one per process --- */

static void
ignore_libvirt_error (void *opaque, virErrorPtr error)
{
}

static gpointer
event_thread (gpointer data)
{
  for (;;)
    if (virEventRunDefaultImpl () < 0)
      g_usleep (100000);
  return NULL;
}

static gpointer
event_loop_start (gpointer data)
{
  virSetErrorFunc (NULL, ignore_libvirt_error); /* errors are reported where they are met */
  virEventRegisterDefaultImpl ();
  g_thread_unref (g_thread_new ("libvirt-events", event_thread, NULL));
  return GINT_TO_POINTER (1);
}

/* --- events --- */

static void
push_domain (Roster *roster, virDomainPtr domain, const char *what)
{
  char uuid[VIR_UUID_STRING_BUFLEN];
  if (virDomainGetUUIDString (domain, uuid) == 0)
    news_push (roster, uuid, what);
}

static int
on_lifecycle (virConnectPtr connection, virDomainPtr domain, int event, int detail, void *opaque)
{
  static const char *const names[] = { "defined", "undefined", "started",   "suspended", "resumed",
                                       "stopped", "shutdown",  "suspended", "crashed" };
  push_domain (opaque, domain, event >= 0 && (guint)event < G_N_ELEMENTS (names) ? names[event] : "changed");
  return 0;
}

static void
on_device_added (virConnectPtr connection, virDomainPtr domain, const char *alias, void *opaque)
{
  push_domain (opaque, domain, "device attached");
}

static void
on_device_removed (virConnectPtr connection, virDomainPtr domain, const char *alias, void *opaque)
{
  push_domain (opaque, domain, "device detached");
}

static void
on_block_job (virConnectPtr connection, virDomainPtr domain, const char *disk, int type, int status,
              void *opaque)
{
  push_domain (opaque, domain, "block job");
}

static void
on_disk_change (virConnectPtr connection, virDomainPtr domain, const char *old_source, const char *new_source,
                const char *alias, int reason, void *opaque)
{
  push_domain (opaque, domain, "disk changed");
}

static void
on_close (virConnectPtr connection, int reason, void *opaque)
{
  news_push (opaque, NULL, NULL);
}

static void
register_events (Roster *roster, virConnectPtr connection)
{
  virConnectDomainEventRegisterAny (connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                    VIR_DOMAIN_EVENT_CALLBACK (on_lifecycle), roster, NULL);
  virConnectDomainEventRegisterAny (connection, NULL, VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
                                    VIR_DOMAIN_EVENT_CALLBACK (on_device_added), roster, NULL);
  virConnectDomainEventRegisterAny (connection, NULL, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
                                    VIR_DOMAIN_EVENT_CALLBACK (on_device_removed), roster, NULL);
  virConnectDomainEventRegisterAny (connection, NULL, VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
                                    VIR_DOMAIN_EVENT_CALLBACK (on_block_job), roster, NULL);
  virConnectDomainEventRegisterAny (connection, NULL, VIR_DOMAIN_EVENT_ID_DISK_CHANGE,
                                    VIR_DOMAIN_EVENT_CALLBACK (on_disk_change), roster, NULL);
}

/* --- telling the main thread --- */

typedef struct {
  Roster *roster; /* outlives its reports: the main loop has ended before it is freed */
  Domain *domain; /* NULL: gone, or the connection */
  char *uuid;     /* gone */
  char *what;     /* or the error */
  bool connected;
} Report;

static void
report_free (gpointer data)
{
  Report *report = data;
  g_clear_pointer (&report->domain, domain_unref);
  g_free (report->uuid);
  g_free (report->what);
  g_free (report);
}

static gboolean
report_deliver (gpointer data)
{
  const Report *report = data;
  const Roster *roster = report->roster;
  if (report->domain)
    roster->callbacks.changed (report->domain, report->what, roster->opaque);
  else if (report->uuid)
    roster->callbacks.gone (report->uuid, roster->opaque);
  else
    roster->callbacks.connection (report->connected, report->what, roster->opaque);
  return G_SOURCE_REMOVE;
}

/* In order: every report has the same priority. */
static void
report_post (Roster *roster, Domain *domain, const char *uuid, const char *what, bool connected)
{
  Report *report = g_new0 (Report, 1);
  *report = (Report){ roster, domain, g_strdup (uuid), g_strdup (what), connected };
  GSource *source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, report_deliver, report, report_free);
  g_source_set_name (source, "guardd-roster");
  g_source_attach (source, roster->context);
  g_source_unref (source);
}

/* --- describing --- */

Domain *
roster_describe (virDomainPtr domain, GError **error)
{
  int state = VIR_DOMAIN_NOSTATE, reason = 0;
  g_autofree char *live = NULL, *inactive = NULL;
  int persistent = virDomainIsPersistent (domain);
  if (virDomainGetState (domain, &state, &reason, 0) == 0)
    live = virDomainGetXMLDesc (domain, VIR_DOMAIN_XML_SECURE);
  if (live && persistent == 1)
    inactive = virDomainGetXMLDesc (domain, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE);
  if (live == NULL || (persistent == 1 && inactive == NULL)) {
    set_libvirt_error (error, "libvirt does not describe the domain");
    return NULL;
  }
  DomainState how = DOMAIN_STATE_PAUSED;
  if (state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED)
    how = DOMAIN_STATE_RUNNING;
  else if (state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_CRASHED || state == VIR_DOMAIN_NOSTATE)
    how = DOMAIN_STATE_SHUT_OFF;
  return domain_from_xml (live, inactive ? inactive : live, how, persistent == 1, error);
}

static void
describe_uuid (Roster *roster, const char *uuid, const char *what)
{
  g_autoptr (GError) error = NULL;
  virDomainPtr domain = virDomainLookupByUUIDString (roster->connection, uuid);
  if (domain == NULL) {
    const virError *last = virGetLastError ();
    if (last && last->code == VIR_ERR_NO_DOMAIN) {
      g_hash_table_remove (roster->known, uuid);
      report_post (roster, NULL, uuid, NULL, false);
    }
    return;
  }
  Domain *value = roster_describe (domain, &error);
  virDomainFree (domain);
  if (value == NULL) {
    g_message ("%s: %s, ignoring this change", uuid, error->message);
    return;
  }
  g_hash_table_add (roster->known, g_strdup (uuid));
  report_post (roster, value, NULL, what, false);
}

/* Every domain, and those that have gone while nobody looked. */
static bool
describe_all (Roster *roster)
{
  virDomainPtr *domains = NULL;
  int n = virConnectListAllDomains (roster->connection, &domains, 0);
  if (n < 0)
    return false;
  g_autoptr (GHashTable) before = g_steal_pointer (&roster->known);
  roster->known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (int i = 0; i < n; i++) {
    char uuid[VIR_UUID_STRING_BUFLEN];
    if (virDomainGetUUIDString (domains[i], uuid) == 0) {
      g_hash_table_remove (before, uuid);
      describe_uuid (roster, uuid, "found");
    }
    virDomainFree (domains[i]);
  }
  free (domains);
  GHashTableIter iter;
  gpointer uuid;
  g_hash_table_iter_init (&iter, before);
  while (g_hash_table_iter_next (&iter, &uuid, NULL))
    report_post (roster, NULL, uuid, NULL, false);
  return true;
}

/* --- the connection --- */

static void
connection_set (Roster *roster, virConnectPtr connection)
{
  g_mutex_lock (&roster->lock);
  virConnectPtr old = roster->connection;
  roster->connection = connection;
  g_mutex_unlock (&roster->lock);
  if (old) {
    virConnectUnregisterCloseCallback (old, on_close);
    virConnectClose (old);
  }
}

static bool
roster_connect (Roster *roster, GError **error)
{
  virConnectPtr connection = virConnectOpen (roster->uri);
  if (connection == NULL) {
    set_libvirt_error (error, roster->uri);
    return false;
  }
  virConnectSetKeepAlive (connection, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
  virConnectRegisterCloseCallback (connection, on_close, roster, NULL);
  register_events (roster, connection);
  connection_set (roster, connection);
  if (describe_all (roster))
    return true;
  set_libvirt_error (error, roster->uri);
  return false;
}

/* Handles news until the connection breaks or the roster ends. */
static void
roster_follow (Roster *roster)
{
  while (!roster_stopping (roster)) {
    News *news = g_async_queue_pop (roster->news);
    bool broken = news->uuid == NULL;
    if (!broken)
      describe_uuid (roster, news->uuid, news->what);
    news_free (news);
    if (broken || virConnectIsAlive (roster->connection) != 1)
      return;
  }
}

static gpointer
describe_thread (gpointer data)
{
  Roster *roster = data;
  guint64 backoff = G_USEC_PER_SEC / 4;
  while (!roster_stopping (roster)) {
    g_autoptr (GError) error = NULL;
    if (roster_connect (roster, &error)) {
      backoff = G_USEC_PER_SEC / 4;
      report_post (roster, NULL, NULL, NULL, true);
      roster_follow (roster);
    }
    connection_set (roster, NULL);
    if (roster_stopping (roster))
      break;
    report_post (roster, NULL, NULL, error ? error->message : "libvirtd closed the connection", false);
    News *news = g_async_queue_timeout_pop (roster->news, backoff); /* an end comes this way, too */
    if (news)
      news_free (news);
    backoff = MIN (backoff * 2, BACKOFF_MAX_US);
  }
  return NULL;
}

/* --- interface --- */

Roster *
roster_new (const char *uri, const RosterCallbacks *callbacks, void *opaque)
{
  static GOnce once = G_ONCE_INIT;
  g_once (&once, event_loop_start, NULL);
  Roster *roster = g_new0 (Roster, 1);
  roster->uri = g_strdup (uri);
  roster->callbacks = *callbacks;
  roster->opaque = opaque;
  roster->context = g_main_context_ref_thread_default ();
  roster->news = g_async_queue_new_full (news_free);
  roster->known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_mutex_init (&roster->lock);
  roster->describer = g_thread_new ("roster", describe_thread, roster);
  return roster;
}

void
roster_free (Roster *roster)
{
  if (roster == NULL)
    return;
  g_mutex_lock (&roster->lock);
  roster->stopping = true;
  g_mutex_unlock (&roster->lock);
  news_push (roster, NULL, NULL);
  g_thread_join (roster->describer);
  g_async_queue_unref (roster->news);
  g_hash_table_unref (roster->known);
  g_main_context_unref (roster->context);
  g_mutex_clear (&roster->lock);
  g_free (roster->uri);
  g_free (roster);
}

virDomainPtr
roster_lookup (Roster *roster, const char *uuid, GError **error)
{
  virDomainPtr domain = NULL;
  g_mutex_lock (&roster->lock);
  virConnectPtr connection = roster->connection;
  if (connection)
    virConnectRef (connection);
  g_mutex_unlock (&roster->lock);
  if (connection == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED, "libvirt cannot be reached just now (%s)",
                 roster->uri);
    return NULL;
  }
  domain = virDomainLookupByUUIDString (connection, uuid);
  if (domain == NULL)
    set_libvirt_error (error, "domain lookup");
  virConnectClose (connection);
  return domain;
}

void
roster_refresh (Roster *roster, const char *uuid, const char *what)
{
  news_push (roster, uuid, what);
}
