/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens to several guests of a host within an hour is an attack on the host's guests, not on one. */
#include "daemon.h"

#include <string.h>

#define FLEET_US ((gint64)3600 * G_USEC_PER_SEC)
#define SHORT_US ((guint64)G_USEC_PER_SEC)

typedef struct {
  char *uuid, *rule;
  gint64 time; /* monotonic */
} DaemonAlarm;

static void
alarm_clear (gpointer data)
{
  DaemonAlarm *alarm = data;
  g_free (alarm->uuid);
  g_free (alarm->rule);
}

static bool
is_recent (const DaemonAlarm *alarm)
{
  return g_get_monotonic_time () - alarm->time < FLEET_US;
}

guint
daemon_fleet_note (Daemon *daemon, const Guest *guest, const char *rule)
{
  g_autoptr (GHashTable) others = g_hash_table_new (g_str_hash, g_str_equal);
  if (daemon->alarms == NULL) {
    daemon->alarms = g_array_new (false, false, sizeof (DaemonAlarm));
    g_array_set_clear_func (daemon->alarms, alarm_clear);
  }
  while (daemon->alarms->len > 0 && !is_recent (&g_array_index (daemon->alarms, DaemonAlarm, 0)))
    g_array_remove_index (daemon->alarms, 0);
  for (guint i = 0; i < daemon->alarms->len; i++) {
    const DaemonAlarm *alarm = &g_array_index (daemon->alarms, DaemonAlarm, i);
    if (strcmp (alarm->rule, rule) == 0 && strcmp (alarm->uuid, guest->uuid) != 0)
      g_hash_table_add (others, alarm->uuid);
  }
  DaemonAlarm alarm = { g_strdup (guest->uuid), g_strdup (rule), g_get_monotonic_time () };
  g_array_append_val (daemon->alarms, alarm);
  return g_hash_table_size (others);
}

static bool
fleet_is_attacked (const Daemon *daemon)
{
  const char *first = NULL;
  for (guint i = 0; daemon->alarms && i < daemon->alarms->len; i++) {
    const DaemonAlarm *alarm = &g_array_index (daemon->alarms, DaemonAlarm, i);
    if (!is_recent (alarm))
      continue;
    if (first && strcmp (first, alarm->uuid) != 0)
      return true;
    first = alarm->uuid;
  }
  return false;
}

bool
daemon_is_frozen (const Daemon *daemon, const Guest *guest)
{
  return guest->incident != NULL || fleet_is_attacked (daemon);
}

guint64
daemon_guest_interval (const Guest *guest)
{
  guint64 interval = guest->policy->interval_us;
  /* A quarter, but a minute at most and not less than a second. */
  return guest->incident ? MAX (MIN (interval, SHORT_US), MIN (interval / 4, 60 * SHORT_US)) : interval;
}
