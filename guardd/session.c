/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "session.h"

#include "capture-libvirt.h"
#include "capture.h"
#include "qmp/qmp-block.h"

struct Session {
  SessionHost host;
  char *uuid;
  QmpClient *client; /* NULL: to be made */
  GHashTable *swept; /* pool ids, for this engine: */
  Engine engine;
  CaptureSpares *spares; /* NULL: none yet */
  Probe passthrough, clones;
  Domain *cloned;          /* whose disks the storage of that pool was asked about; NULL: none yet */
  const Pool *cloned_pool; /* borrowed */
};

Session *
session_new (const SessionHost *host, const char *uuid)
{
  Session *session = g_new0 (Session, 1);
  session->host = *host;
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

static void
forget_clones (Session *session)
{
  probe_clear (&session->clones);
  g_clear_pointer (&session->cloned, domain_unref);
}

void
session_reset (Session *session)
{
  forget_clones (session);
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
  virDomainPtr domain = roster_lookup (session->host.roster, session->uuid, error);
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

/* Asked once for each description of the guest: a disk that comes or goes makes another. */
static void
probe_clones (Session *session, Pool *pool, Domain *domain)
{
  if (session->clones.result != PROBE_UNKNOWN && session->cloned == domain && session->cloned_pool == pool)
    return;
  forget_clones (session);
  session->cloned = domain_ref (domain);
  session->cloned_pool = pool;
  session->clones.why = capture_native_refusal (pool, domain);
  session->clones.result = session->clones.why ? PROBE_REFUSED : PROBE_WORKS;
}

bool
session_engine (Session *session, Pool *pool, Domain *domain, EngineChoice wanted, EngineVerdict *verdict,
                GError **error)
{
  bool may_clone = wanted == ENGINE_CHOICE_AUTO || wanted == ENGINE_CHOICE_NATIVE;
  if (may_clone)
    probe_clones (session, pool, domain);
  bool clones = may_clone && session->clones.result == PROBE_WORKS;
  bool asks = wanted == ENGINE_CHOICE_QMP || (wanted == ENGINE_CHOICE_AUTO && !clones);
  if (asks && !probe_passthrough (session, error))
    return false;
  EngineFacts facts = { .wanted = wanted,
                        .passthrough = session->passthrough,
                        .clones = session->clones,
                        .pool_clones = pool_clones (pool) };
  bool ok = engine_choose (&facts, verdict, error);
  if (ok && verdict->engine != session->engine) {
    g_hash_table_remove_all (session->swept); /* each engine leaves other things */
    session->engine = verdict->engine;
  }
  return ok;
}

/* The policy was changed: libvirt's checkpoints, and a job that may be left, are of no use any more. */
static bool
forget_libvirt (Session *session, Pool *pool, GError **error)
{
  g_autoptr (Snapshot) latest = pool_latest (pool, session->uuid);
  if (latest == NULL || g_strcmp0 (latest->manifest->engine, engine_name (ENGINE_LIBVIRT)) != 0)
    return true;
  virDomainPtr domain = roster_lookup (session->host.roster, session->uuid, error);
  if (domain == NULL)
    return false;
  bool ok = capture_libvirt_sweep (domain, session->host.calls, session->host.config, pool, session->uuid,
                                   false, error);
  virDomainFree (domain);
  return ok;
}

QmpClient *
session_client (Session *session, Pool *pool, GError **error)
{
  if (!session_connect (session, error))
    return NULL;
  if (g_hash_table_contains (session->swept, pool_id (pool)))
    return session->client;
  if (!forget_libvirt (session, pool, error)
      || !capture_qmp_sweep (session->client, pool, session->uuid, error)) {
    session_reset (session);
    return NULL;
  }
  g_hash_table_add (session->swept, g_strdup (pool_id (pool)));
  return session->client;
}

virDomainPtr
session_domain (Session *session, Pool *pool, GError **error)
{
  virDomainPtr domain = roster_lookup (session->host.roster, session->uuid, error);
  if (domain == NULL || g_hash_table_contains (session->swept, pool_id (pool)))
    return domain;
  if (!capture_libvirt_sweep (domain, session->host.calls, session->host.config, pool, session->uuid, true,
                              error)) {
    session_reset (session);
    virDomainFree (domain);
    return NULL;
  }
  g_hash_table_add (session->swept, g_strdup (pool_id (pool)));
  return domain;
}

const SessionHost *
session_host (const Session *session)
{
  return &session->host;
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
