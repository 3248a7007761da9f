/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "base/json.h"

#include "describe.h"
#include "job.h"
#include "rollback.h"
#include "schedule.h"

#include <string.h>

void
guest_free (gpointer data)
{
  Guest *guest = data;
  g_clear_pointer (&guest->domain, domain_unref);
  session_free (guest->session);
  watch_free (guest->watch);
  incident_free (guest->incident);
  engine_verdict_clear (&guest->engine);
  json_object_put (guest->inspection);
  g_clear_pointer (&guest->blind_spots, g_ptr_array_unref);
  g_clear_pointer (&guest->reliefs, g_ptr_array_unref);
  g_clear_pointer (&guest->still, g_hash_table_unref);
  g_free (guest->choice_policy);
  g_free (guest->last_error);
  g_free (guest->full);
  g_free (guest->answered);
  g_free (guest->uuid);
  g_free (guest->name);
  g_free (guest);
}

Session *
daemon_session (const Daemon *daemon, const char *uuid)
{
  SessionHost host = { daemon->roster, daemon->libvirt_calls, daemon->libvirt_workers, daemon->config };
  return session_new (&host, uuid);
}

Guest *
daemon_guest (Daemon *daemon, const char *uuid, const char *name)
{
  Guest *guest = g_hash_table_lookup (daemon->guests, uuid);
  if (guest == NULL) {
    guest = g_new0 (Guest, 1);
    guest->uuid = g_strdup (uuid);
    guest->session = daemon_session (daemon, uuid);
    /* Before anything is pruned: an incident may be open. */
    guest->watch = watch_new (daemon->config->state_dir, uuid);
    guest->incident = incident_copy (watch_incident (guest->watch));
    g_queue_init (&guest->waiting);
    g_hash_table_insert (daemon->guests, guest->uuid, guest);
  }
  if (name && g_strcmp0 (guest->name, name) != 0) {
    g_free (guest->name);
    guest->name = g_strdup (name);
  }
  return guest;
}

Guest *
daemon_find_guest (Daemon *daemon, const char *which, GError **error)
{
  g_autofree char *lower = g_ascii_strdown (which, -1);
  Guest *found = g_hash_table_lookup (daemon->guests, lower), *guest;
  GHashTableIter iter;
  if (found)
    return found;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest))
    if (g_strcmp0 (guest->name, which) == 0 && (found == NULL || guest->domain))
      found = guest; /* one that exists before one that only the pool remembers */
  if (found == NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "no domain \"%s\", neither in libvirt nor in a pool; \"guardsh list\" shows all", which);
  return found;
}

const char *
guest_state_name (const Daemon *daemon, const Guest *guest)
{
  if (!daemon->libvirt_connected)
    return "unknown";
  return guest->domain ? domain_state_name (guest->domain->state) : "undefined";
}

guint64
guest_snapshots (const Guest *guest)
{
  return guest->pool ? pool_count (guest->pool, guest->uuid) : 0;
}

/* --- policy --- */

static const ConfigPolicy *
only_policy (const Config *config)
{
  return config->policies->len == 1 ? config->policies->pdata[0] : NULL;
}

/* *skip: targets that the configuration leaves out. */
static const ConfigPolicy *
guest_policy (const Daemon *daemon, const Guest *guest, char ***skip)
{
  const Config *config = daemon->config;
  const ConfigProtect *protect = config_protect (config, guest->name);
  const ConfigPolicy *policy = NULL;
  *skip = protect ? protect->skip_disks : NULL;
  if (guest->choice == CHOICE_UNPROTECT || guest->domain == NULL)
    return NULL;
  if (protect && strcmp (protect->policy, "none") != 0)
    policy = config_policy (config, protect->policy);
  if (guest->choice == CHOICE_PROTECT) {
    if (guest->choice_policy)
      policy = config_policy (config, guest->choice_policy);
    if (policy == NULL)
      policy = only_policy (config);
  }
  return policy;
}

/* Where its snapshots are, when no policy says. */
static Pool *
guest_pool (Daemon *daemon, const Guest *guest)
{
  GHashTableIter iter;
  Pool *pool = NULL;
  if (guest->policy)
    return g_hash_table_lookup (daemon->pools, guest->policy->pool);
  g_hash_table_iter_init (&iter, daemon->pools);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&pool)) {
    g_autoptr (Snapshot) latest = pool_latest (pool, guest->uuid);
    if (latest)
      return pool;
  }
  const ConfigPolicy *policy = only_policy (daemon->config);
  return g_hash_table_size (daemon->pools) == 1 ? pool
         : policy                               ? g_hash_table_lookup (daemon->pools, policy->pool)
                                                : NULL;
}

void
daemon_guest_apply (Daemon *daemon, Guest *guest)
{
  char **skip = NULL;
  const ConfigPolicy *before = guest->policy;
  gint64 now = g_get_monotonic_time ();
  guest->policy = guest_policy (daemon, guest, &skip);
  guest->pool = guest_pool (daemon, guest);
  if (skip && guest->domain) {
    Domain *plain = guest->domain;
    guest->domain = domain_skip_disks (plain, skip);
    domain_unref (plain);
  }
  if (guest->policy == NULL)
    guest->due = 0;
  else if (guest->due == 0 || guest->policy != before) {
    g_autoptr (Snapshot) latest = pool_latest (guest->pool, guest->uuid);
    /* One without any snapshot is not made to wait. */
    guest->due = latest ? schedule_first (guest->uuid, guest->policy->interval_us, now) : now;
  }
}

/* --- what the roster says --- */

static void
guest_state_changed (Daemon *daemon, Guest *guest, bool was_active, const char *what)
{
  bool active = domain_is_active (guest->domain);
  Job *busy = guest->busy;
  if (active && !was_active && busy && (busy->capture || g_atomic_int_get (&busy->reads_off)))
    g_cancellable_cancel (busy->cancellable); /* its images are being read; QEMU has it now */
  if (active && !was_active && busy == NULL && guest->unfinished)
    rollback_recover (daemon); /* whoever started it has gone past what the journal knows */
  if (was_active != active || strcmp (what, "started") == 0) {
    engine_verdict_clear (&guest->engine);
    if (guest->busy == NULL)
      session_reset (guest->session);
  }
  if (!was_active || active || guest->policy == NULL)
    return;
  guest->shutdown_due = true;
  guest->due = g_get_monotonic_time ();
}

static void
roster_changed (Domain *domain, const char *what, void *opaque)
{
  Daemon *daemon = opaque;
  Guest *guest = daemon_guest (daemon, domain->uuid, domain->name);
  bool was_active = guest->domain && domain_is_active (guest->domain);
  bool known = guest->domain != NULL;
  g_clear_pointer (&guest->domain, domain_unref);
  guest->domain = domain_ref (domain);
  daemon_guest_apply (daemon, guest);
  guest_state_changed (daemon, guest, known && was_active, what);
  if (strcmp (what, "checked") != 0 && strcmp (what, "found") != 0) {
    json_object *event = describe_guest_event (guest);
    json_add_string (event, "what", what);
    control_event (daemon->control, "DOMAIN_CHANGED", event);
  }
  /* a snapshot, under way or due, sweeps by itself */
  bool due = guest->due && guest->due < g_get_monotonic_time () + G_USEC_PER_SEC;
  if ((strcmp (what, "found") == 0 || strcmp (what, "started") == 0) && !due && guest->busy == NULL)
    job_sweep (guest);
  daemon_schedule (daemon);
}

static void
roster_gone (const char *uuid, void *opaque)
{
  Daemon *daemon = opaque;
  Guest *guest = g_hash_table_lookup (daemon->guests, uuid);
  if (guest == NULL)
    return;
  g_clear_pointer (&guest->domain, domain_unref);
  daemon_guest_apply (daemon, guest);
  json_object *event = describe_guest_event (guest);
  json_add_string (event, "what", "undefined");
  control_event (daemon->control, "DOMAIN_CHANGED", event);
  if (!job_any (daemon, guest) && guest_snapshots (guest) == 0)
    g_hash_table_remove (daemon->guests, uuid);
}

static void
roster_connection (bool connected, const char *why, void *opaque)
{
  Daemon *daemon = opaque;
  bool before = daemon->libvirt_connected;
  daemon->met_libvirt = true;
  daemon->libvirt_connected = connected;
  g_free (daemon->libvirt_error);
  daemon->libvirt_error = g_strdup (why);
  if (connected) {
    g_message ("connected to libvirt at %s: %u domains", daemon->config->uri,
               g_hash_table_size (daemon->guests));
    control_event (daemon->control, "LIBVIRT_CONNECTED", NULL);
    job_release_held (daemon);
    rollback_recover (daemon);
  } else if (before || g_hash_table_size (daemon->guests) == 0) {
    json_object *event = json_object_new_object ();
    json_add_string (event, "error", why);
    g_warning ("libvirt is away: %s; trying again until it is back", why);
    control_event (daemon->control, "LIBVIRT_LOST", event);
  }
  daemon_schedule (daemon);
}

const RosterCallbacks daemon_roster_callbacks = { roster_changed, roster_gone, roster_connection };

void
daemon_load_guests (Daemon *daemon)
{
  GHashTableIter iter;
  Pool *pool;
  g_hash_table_iter_init (&iter, daemon->pools);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&pool)) {
    g_auto (GStrv) uuids = pool_domains (pool);
    for (char **uuid = uuids; *uuid; uuid++) {
      g_autoptr (Snapshot) latest = pool_latest (pool, *uuid);
      Guest *guest = daemon_guest (daemon, *uuid, latest ? latest->manifest->domain_name : *uuid);
      daemon_guest_apply (daemon, guest);
    }
  }
}
