/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "daemon.h"

#include "job.h"
#include "rollback.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>

#define MEET_SECONDS 10
#define WATCHDOG_SECONDS 1
#define BUFFERS_KEPT 2u /* what a snapshot is read through, and the sample that is looked at */

static bool
make_directory (const char *path, int mode, GError **error)
{
  if (g_mkdir_with_parents (path, mode) == 0)
    return true;
  g_set_error (error, G_IO_ERROR, (gint)g_io_error_from_errno (errno), "%s: cannot make it: %s", path,
               g_strerror (errno));
  return false;
}

/* All, or guardd does not start: what belongs into the one that is missing would be looked for in another. */
static bool
open_pools (Daemon *daemon, GError **error)
{
  const Config *config = daemon->config;
  for (guint i = 0; i < config->pools->len; i++) {
    const ConfigPool *entry = config->pools->pdata[i];
    g_autoptr (GError) failure = NULL;
    g_autofree char *file = g_strdup_printf ("%s.sqlite", entry->name);
    g_autofree char *catalog = g_build_filename (config->state_dir, file, NULL);
    PoolStorage storage = { entry->storage, (const struct guardd_param *)(void *)entry->params->data,
                            entry->params->len, config->libexec_dir };
    Pool *pool = pool_open (entry->name, entry->path, config->plugin_dir, catalog, &storage, &failure);
    if (pool == NULL) {
      g_propagate_error (error, g_steal_pointer (&failure));
      return false;
    }
    g_auto (GStrv) problems = pool_problems (pool);
    for (char **problem = problems; *problem; problem++)
      g_warning ("pool %s: %s", entry->name, *problem);
    g_hash_table_insert (daemon->pools, entry->name, pool);
  }
  return true;
}

static gboolean
meet_late (gpointer data)
{
  *(bool *)data = true;
  return G_SOURCE_CONTINUE;
}

/* Whoever asks the first question shall not hear that there are no guests, only because nobody has looked
 * yet. */
static void
meet_libvirt (Daemon *daemon)
{
  bool late = false;
  guint timer = g_timeout_add_seconds (MEET_SECONDS, meet_late, &late);
  while (!daemon->met_libvirt && !late && !daemon->stopping)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timer);
}

static gboolean
daemon_sample (gpointer data)
{
  job_sample (data);
  return G_SOURCE_CONTINUE;
}

static bool
daemon_start (Daemon *daemon, GError **error)
{
  const Config *config = daemon->config;
  /* Others may enter run_dir: the sockets in it decide who may talk to guardd. */
  if (!make_directory (config->run_dir, 0755, error) || !make_directory (config->state_dir, 0700, error)
      || !open_pools (daemon, error))
    return false;
  if (!daemon_choices_load (daemon, error) || !rollback_load (daemon, error))
    return false;
  daemon->roster = roster_new (config->uri, &daemon_roster_callbacks, daemon);
  daemon->buffers = buffer_stock_new (BUFFERS_KEPT);
  daemon->holds = guest_holds_new (daemon->roster, config->state_dir);
  GHashTableIter iter;
  Guest *guest;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest)) {
    session_free (guest->session); /* of a choice that was loaded before there was a roster */
    guest->session = daemon_session (daemon, guest->uuid);
  }
  daemon_load_guests (daemon);
  daemon->detectors = detectors_open (config->plugin_dir, config->detectors, error);
  if (daemon->detectors == NULL)
    return false;
  daemon->alerts = alerts_open (config, error);
  if (daemon->alerts == NULL)
    return false;
  meet_libvirt (daemon);
  daemon->control = control_new (config->run_dir, config->control_group, daemon_commands, daemon, error);
  daemon_alarm_untold (daemon);
  guint64 every = config->sample_every_us;
  if (every > 0)
    daemon->sample_timer = g_timeout_add ((guint)MAX (every / 1000, 1), daemon_sample, daemon);
  daemon->watchdog_timer = g_timeout_add_seconds (WATCHDOG_SECONDS, daemon_watchdog, daemon);
  return daemon->control != NULL;
}

static gboolean
daemon_stop (gpointer data)
{
  Daemon *daemon = data;
  if (daemon->stopping)
    return G_SOURCE_CONTINUE;
  g_message ("ending: %u captures and other works are given up", daemon->running->len);
  daemon->stopping = true;
  daemon->stopping_since = g_get_monotonic_time ();
  for (guint i = 0; i < daemon->running->len; i++)
    g_cancellable_cancel (((Job *)daemon->running->pdata[i])->cancellable);
  if (daemon->running->len == 0)
    g_main_loop_quit (daemon->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean
daemon_hang_up (gpointer data)
{
  g_message ("SIGHUP: the configuration is read at the start only; restart guardd to have it read again");
  return G_SOURCE_CONTINUE;
}

Daemon *
daemon_new (const char *config_path, GError **error)
{
  Config *config = config_load (config_path, error);
  if (config == NULL)
    return NULL;
  Daemon *daemon = g_new0 (Daemon, 1);
  /* For good: while nobody owns the main context, what other threads g_main_context_invoke() is run by them,
   * beside this one. */
  g_main_context_acquire (NULL);
  daemon->config = config;
  daemon->slow_kvm = KVM_UNKNOWN;
  daemon->pools = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)pool_close);
  daemon->guests = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, guest_free);
  daemon->running = g_ptr_array_new ();
  daemon->libvirt_calls = libvirt_calls_new ();
  daemon->libvirt_workers = libvirt_workers_new (daemon->libvirt_calls, config->libexec_dir);
  daemon->threads = g_thread_pool_new (job_thread, daemon, -1, FALSE, NULL);
  daemon->loop = g_main_loop_new (NULL, FALSE);
  g_unix_signal_add (SIGTERM, daemon_stop, daemon);
  g_unix_signal_add (SIGINT, daemon_stop, daemon);
  g_unix_signal_add (SIGHUP, daemon_hang_up, NULL);
  if (daemon_start (daemon, error))
    return daemon;
  daemon_free (daemon);
  return NULL;
}

bool
daemon_run (Daemon *daemon)
{
  g_message ("guardd " GUARDD_VERSION " is up, listening in %s", daemon->config->run_dir);
  if (!daemon->stopping || daemon->running->len > 0)
    g_main_loop_run (daemon->loop);
  return !daemon->abandoned;
}

void
daemon_free (Daemon *daemon)
{
  if (daemon == NULL)
    return;
  GHashTableIter iter;
  Guest *guest;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest))
    job_fail_waiting (guest, "guardd is ending");
  g_clear_pointer (&daemon->control, control_free);
  if (daemon->sample_timer)
    g_source_remove (daemon->sample_timer);
  if (daemon->watchdog_timer)
    g_source_remove (daemon->watchdog_timer);
  if (daemon->rollback_timer)
    g_source_remove (daemon->rollback_timer);
  g_hash_table_unref (daemon->guests);
  g_clear_pointer (&daemon->roster, roster_free);
  guest_holds_free (daemon->holds);
  g_thread_pool_free (daemon->threads, FALSE, TRUE);
  buffer_stock_unref (daemon->buffers);
  libvirt_workers_free (daemon->libvirt_workers);
  libvirt_calls_free (daemon->libvirt_calls);
  g_hash_table_unref (daemon->pools);
  alerts_close (daemon->alerts);
  g_queue_clear_full (&daemon->untold, (GDestroyNotify)alert_free);
  detectors_close (daemon->detectors);
  if (daemon->prunes)
    g_hash_table_unref (daemon->prunes);
  if (daemon->alarms)
    g_array_unref (daemon->alarms);
  g_ptr_array_unref (daemon->running);
  g_main_loop_unref (daemon->loop);
  g_free (daemon->libvirt_error);
  config_free (daemon->config);
  g_free (daemon);
}
