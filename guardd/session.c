/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "session.h"

#include "capture.h"
#include "qmp/qmp-block.h"

struct Session {
  Roster *roster;
  char *uuid;
  QmpClient *client;     /* NULL: to be made */
  GHashTable *swept;     /* pool ids */
  CaptureSpares *spares; /* NULL: none yet */
  Probe passthrough;
};

Session *
session_new (Roster *roster, const char *uuid)
{
  Session *session = g_new0 (Session, 1);
  session->roster = roster;
  session->uuid = g_strdup (uuid);
  session->swept = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return session;
}

void
session_free (Session *session)
{
  if (session == NULL)
    return;
  session_reset (session);
  g_hash_table_unref (session->swept);
  g_free (session->uuid);
  g_free (session);
}

void
session_reset (Session *session)
{
  g_clear_pointer (&session->client, qmp_client_free);
  g_clear_pointer (&session->spares, capture_spares_free);
  g_hash_table_remove_all (session->swept);
  probe_clear (&session->passthrough);
}

static bool
session_connect (Session *session, GError **error)
{
  if (session->client != NULL)
    return true;
  virDomainPtr domain = roster_lookup (session->roster, session->uuid, error);
  if (domain == NULL)
    return false;
  session->client = qmp_client_new_libvirt (domain, NULL, error);
  virDomainFree (domain);
  return session->client != NULL;
}

/* A QEMU or a libvirtd that does not answer now says nothing about whether it would be let through. */
static bool
probe_passthrough (Session *session, GError **error)
{
  g_autoptr (GError) failure = NULL;
  QmpStatus status;
  if (session->passthrough.result != PROBE_UNKNOWN)
    return true;
  if (!session_connect (session, error))
    return false;
  if (qmp_query_status (session->client, &status, &failure)) {
    session->passthrough.result = PROBE_WORKS;
    return true;
  }
  g_clear_pointer (&session->client, qmp_client_free);
  if (!g_error_matches (failure, QMP_ERROR, QMP_ERROR_REFUSED)) {
    g_propagate_error (error, g_steal_pointer (&failure));
    return false;
  }
  session->passthrough.result = PROBE_REFUSED;
  session->passthrough.why
      = g_strdup_printf ("libvirt does not let guardd talk to QEMU's monitor (%s)", failure->message);
  return true;
}

/* Here the native engine asks the pool's storage plugin. */
static Probe
probe_clones (Pool *pool)
{
  return (Probe){ PROBE_REFUSED,
                  g_strdup_printf ("the storage of pool %s cannot clone disks", pool_name (pool)) };
}

bool
session_engine (Session *session, Pool *pool, EngineChoice wanted, EngineVerdict *verdict, GError **error)
{
  bool asks = wanted == ENGINE_CHOICE_AUTO || wanted == ENGINE_CHOICE_QMP;
  if (asks && !probe_passthrough (session, error))
    return false;
  EngineFacts facts
      = { .wanted = wanted, .passthrough = session->passthrough, .clones = probe_clones (pool) };
  bool ok = engine_choose (&facts, verdict, error);
  probe_clear (&facts.clones);
  return ok;
}

QmpClient *
session_client (Session *session, Pool *pool, GError **error)
{
  if (!session_connect (session, error))
    return NULL;
  if (g_hash_table_contains (session->swept, pool_id (pool)))
    return session->client;
  if (!capture_qmp_sweep (session->client, pool, session->uuid, error)) {
    session_reset (session);
    return NULL;
  }
  g_hash_table_add (session->swept, g_strdup (pool_id (pool)));
  return session->client;
}

CaptureSpares *
session_spares (Session *session)
{
  if (session->spares == NULL)
    session->spares = capture_spares_new ();
  return session->spares;
}

void
session_resume (Session *session, const char *name)
{
  g_autoptr (GError) error = NULL;
  QmpStatus status = QMP_STATUS_OTHER;
  session_reset (session); /* the failure may have broken it */
  if (!session_connect (session, &error) || !qmp_query_status (session->client, &status, &error)
      || status != QMP_STATUS_IO_ERROR)
    return; /* gone, or running */
  g_warning ("%s: stopped by an I/O error during a capture; resuming it", name);
  if (!qmp_cont (session->client, &error))
    g_warning ("%s: cannot resume it: %s; try \"virsh resume\"", name, error->message);
}
