/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A storage plugin may hang: in a disk that does not answer, or in itself.  The thread that called it is
 * lost, and the guest that it worked for waits.  Everybody else does not: the main thread never calls a
 * plugin, and what is seen here is told, once, as a failure; guardd ends when it is told to all the same.
 */
#define G_LOG_DOMAIN "guardd"
#include "base/json.h"
#include "base/units.h"

#include "describe.h"
#include "job.h"

#define HELD_WAIT_US (30 * G_USEC_PER_SEC)

static void
guest_is_silent (Daemon *daemon, Guest *guest, guint64 silence, const char *operation)
{
  const struct guardd_plugin *plugin = pool_plugin (guest->pool);
  g_autofree char *for_time = duration_format (silence);
  g_autofree char *why = g_strdup_printf ("no snapshot: storage plugin %s of pool %s has not come back from "
                                          "%s for %s; see whether its disks answer, "
                                          "then restart guardd",
                                          plugin->name, pool_name (guest->pool), operation, for_time);
  guest->silent = true;
  guest->failures++;
  g_free (guest->last_error);
  guest->last_error = g_strdup (why);
  json_object *event = describe_guest_event (guest);
  json_add_string (event, "error", why);
  control_event (daemon->control, "SNAPSHOT_FAILED", event);
  job_fail_waiting (guest, why);
  daemon_alarm_silent (daemon, guest, why);
}

/* A guest that stands still for its clones goes on first, if libvirt lets it. */
static bool
may_end (const Daemon *daemon)
{
  g_auto (GStrv) held = guest_holds_list (daemon->holds);
  return *held == NULL || g_get_monotonic_time () - daemon->stopping_since > HELD_WAIT_US;
}

static void
end_without (Daemon *daemon)
{
  GHashTableIter iter;
  Pool *pool;
  const char *operation = NULL;
  g_hash_table_iter_init (&iter, daemon->pools);
  while (!daemon->abandoned && g_hash_table_iter_next (&iter, NULL, (gpointer *)&pool)) {
    if (pool_silence_us (pool, NULL, &operation) <= daemon->config->capture_timeout_us)
      continue;
    g_warning ("ending although storage plugin %s of pool %s has not come back from %s; what it was about is "
               "finished "
               "or undone at the next start",
               pool_plugin (pool)->name, pool_name (pool), operation);
    daemon->abandoned = true;
    g_main_loop_quit (daemon->loop);
  }
}

gboolean
daemon_watchdog (gpointer data)
{
  Daemon *daemon = data;
  GHashTableIter iter;
  Guest *guest;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest)) {
    const char *operation = NULL;
    guint64 silence = guest->busy && guest->pool && !guest->silent
                          ? pool_silence_us (guest->pool, guest->uuid, &operation)
                          : 0;
    if (silence > daemon->config->capture_timeout_us)
      guest_is_silent (daemon, guest, silence, operation);
  }
  daemon_alarm_again (daemon);
  if (daemon->stopping && may_end (daemon))
    end_without (daemon);
  return G_SOURCE_CONTINUE;
}
