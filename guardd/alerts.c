/* SPDX-License-Identifier: GPL-2.0-or-later */
#define ALERTS_KEPT 10000u
#define G_LOG_DOMAIN "guardd"
#include "alerts.h"

#include "alert-channel.h"
#include "verdict.h"

#include <string.h>

#define RETRY_MIN_US G_USEC_PER_SEC
#define RETRY_DOUBLINGS 8u                         /* 256 s */
#define REFUSED_US ((gint64)3600 * G_USEC_PER_SEC) /* until what the receiver refused is tried again */
#define REFUSED_TIMES 168u                         /* a week; then it is given up */
#define PACE_US (G_USEC_PER_SEC / 5)  /* between two deliveries: a flood must not become one elsewhere */
#define REST_US (10 * G_USEC_PER_SEC) /* when the store could not be told what became of one */
#define CLOSE_US ((gint64)5 * G_USEC_PER_SEC)

typedef struct {
  Alerts *alerts;
  const ConfigAlert *config;
  AlertChannel *way; /* NULL: it could not be used at the start; what is raised waits for the next */
  char *told;        /* the last that has arrived, whether or not the store knows; its thread's */
  GThread *thread;   /* NULL: there is no way */
  bool done;         /* the thread is */
} Channel;

struct Alerts {
  AlertStore *store;
  GPtrArray *channels; /* Channel */
  GMutex lock;
  GCond wake; /* something was added, or it ends */
  bool ending;
};

static bool
is_ending (void *opaque)
{
  Alerts *alerts = opaque;
  g_mutex_lock (&alerts->lock);
  bool ending = alerts->ending;
  g_mutex_unlock (&alerts->lock);
  return ending;
}

/* The receiver will not have it, whatever the others are: it must not keep them waiting. */
static bool
put_behind (const Channel *channel, const Alert *alert, const char *why, GError **error)
{
  AlertStore *store = channel->alerts->store;
  const char *name = channel->config->name;
  guint times = 0;
  if (!alert_store_refused (store, name, alert->id, g_get_real_time () + REFUSED_US, why, &times, error))
    return false;
  if (times == 1)
    g_warning (
        "alert %.8s is refused by the receiver of \"%s\": %s; the others go first, and it is tried again "
        "every hour for a week",
        alert->id, name, why);
  if (times < REFUSED_TIMES)
    return true;
  g_warning ("alert %.8s has been refused by the receiver of \"%s\" for a week and is given up: %s",
             alert->id, name, why);
  return alert_store_delivered (store, name, alert->id, error);
}

static bool
put_off (const Channel *channel, const Alert *alert, guint attempts, const char *why, GError **error)
{
  gint64 wait = RETRY_MIN_US << MIN (attempts, RETRY_DOUBLINGS);
  if (attempts == 0 || attempts % 10 == 0)
    g_warning ("alert %.8s could not be delivered by \"%s\" (attempt %u): %s; trying again", alert->id,
               channel->config->name, attempts + 1, why);
  return alert_store_failed (channel->alerts->store, channel->config->name, alert->id,
                             g_get_real_time () + wait, why, error);
}

/* False: the store does not know what became of it. */
static bool
deliver (Channel *channel, const Alert *alert, guint attempts)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *why = NULL;
  Delivery result = g_strcmp0 (channel->told, alert->id) == 0
                        ? DELIVERY_ARRIVED
                        : alert_channel_deliver (channel->way, alert, is_ending, channel->alerts, &why);
  bool told = result == DELIVERY_ARRIVED;
  bool ok = told ? alert_store_delivered (channel->alerts->store, channel->config->name, alert->id, &error)
            : result == DELIVERY_REFUSED ? put_behind (channel, alert, why, &error)
                                         : put_off (channel, alert, attempts, why, &error);
  if (told) {
    g_free (channel->told);
    channel->told = g_strdup (alert->id);
  }
  if (!ok)
    g_warning ("%s; alert %.8s %s, and this is tried again", error->message, alert->id,
               told ? "was delivered all the same" : "was not delivered, either");
  return ok;
}

/* With the lock held: until something is to be done, or `until` (monotonic; 0: for ever). */
static void
channel_wait (Channel *channel, gint64 until)
{
  Alerts *alerts = channel->alerts;
  if (alerts->ending)
    return;
  if (until)
    g_cond_wait_until (&alerts->wake, &alerts->lock, until);
  else
    g_cond_wait (&alerts->wake, &alerts->lock);
}

static gpointer
channel_thread (gpointer data)
{
  Channel *channel = data;
  Alerts *alerts = channel->alerts;
  gint64 pace = 0;
  g_mutex_lock (&alerts->lock);
  while (!alerts->ending) {
    g_autoptr (GError) error = NULL;
    guint attempts = 0;
    gint64 not_before = 0, now = g_get_real_time (), clock = g_get_monotonic_time ();
    /* Under the lock, so that no alert is added between the look and the wait. */
    g_autoptr (Alert) alert
        = alert_store_next (alerts->store, channel->config->name, &attempts, &not_before, &error);
    if (error) {
      g_warning ("%s", error->message);
      channel_wait (channel, clock + 60 * G_USEC_PER_SEC);
    } else if (alert == NULL) {
      channel_wait (channel, 0);
    } else if (not_before > now) {
      /* A clock that was set back must not silence anybody. */
      channel_wait (channel, clock + MIN (not_before - now, (gint64)RETRY_MIN_US << RETRY_DOUBLINGS));
      if (g_get_real_time () < now)
        alert_store_failed (alerts->store, channel->config->name, alert->id, 0, "the clock was set back",
                            NULL);
    } else if (pace > clock) {
      channel_wait (channel, pace);
    } else {
      g_mutex_unlock (&alerts->lock);
      gint64 rest = deliver (channel, alert, attempts) ? PACE_US : REST_US;
      pace = g_get_monotonic_time () + rest;
      g_mutex_lock (&alerts->lock);
    }
  }
  channel->done = true;
  g_cond_broadcast (&alerts->wake);
  g_mutex_unlock (&alerts->lock);
  return NULL;
}

static void
channel_free (gpointer data)
{
  Channel *channel = data;
  if (channel->way)
    alert_channel_close (channel->way);
  g_free (channel->told);
  g_free (channel);
}

Alerts *
alerts_open (const Config *config, GError **error)
{
  g_autofree char *path = g_build_filename (config->state_dir, "alerts.sqlite", NULL);
  AlertStore *store = alert_store_open (path, ALERTS_KEPT, error);
  if (store == NULL)
    return NULL;
  Alerts *alerts = g_new0 (Alerts, 1);
  alerts->store = store;
  alerts->channels = g_ptr_array_new ();
  g_mutex_init (&alerts->lock);
  g_cond_init (&alerts->wake);
  for (guint i = 0; i < config->alerts->len; i++) {
    g_autoptr (GError) failure = NULL;
    Channel *channel = g_new0 (Channel, 1);
    channel->alerts = alerts;
    channel->config = config->alerts->pdata[i];
    channel->way = alert_channel_open (channel->config, config->plugin_dir, &failure);
    g_ptr_array_add (alerts->channels, channel);
    if (channel->way)
      channel->thread = g_thread_new ("alert", channel_thread, channel);
    else
      g_warning ("[alert %s]: %s; nobody will be told by it until guardd is started with what it lacks",
                 channel->config->name, failure->message);
  }
  return alerts;
}

void
alerts_close (Alerts *alerts)
{
  if (alerts == NULL)
    return;
  gint64 end = g_get_monotonic_time () + CLOSE_US;
  bool all = true;
  g_mutex_lock (&alerts->lock);
  alerts->ending = true;
  g_cond_broadcast (&alerts->wake);
  for (guint i = 0; i < alerts->channels->len; i++) {
    Channel *channel = alerts->channels->pdata[i];
    while (channel->thread && !channel->done && g_cond_wait_until (&alerts->wake, &alerts->lock, end))
      ;
    all = all && (channel->thread == NULL || channel->done);
  }
  g_mutex_unlock (&alerts->lock);
  if (!all)
    return; /* a plugin hangs: its memory is left to the end of the process */
  for (guint i = 0; i < alerts->channels->len; i++) {
    const Channel *channel = alerts->channels->pdata[i];
    if (channel->thread)
      g_thread_join (channel->thread);
  }
  g_ptr_array_set_free_func (alerts->channels, channel_free);
  g_ptr_array_unref (alerts->channels);
  alert_store_close (alerts->store);
  g_mutex_clear (&alerts->lock);
  g_cond_clear (&alerts->wake);
  g_free (alerts);
}

AlertStore *
alerts_store (Alerts *alerts)
{
  return alerts->store;
}

bool
alerts_uses (const Alerts *alerts, const char *channel)
{
  for (guint i = 0; i < alerts->channels->len; i++) {
    const Channel *one = alerts->channels->pdata[i];
    if (strcmp (one->config->name, channel) == 0)
      return one->way != NULL;
  }
  return false;
}

static bool
raise_by (Alerts *alerts, const Alert *alert, GPtrArray *names, GError **error)
{
  g_ptr_array_add (names, NULL);
  g_mutex_lock (&alerts->lock);
  bool ok = alert_store_add (alerts->store, alert, (const char *const *)names->pdata, error);
  g_cond_broadcast (&alerts->wake);
  g_mutex_unlock (&alerts->lock);
  return ok;
}

bool
alerts_raise (Alerts *alerts, const Alert *alert, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  Level level = LEVEL_CRITICAL;
  level_from_name (alert->level, &level);
  for (guint i = 0; i < alerts->channels->len; i++) {
    const Channel *channel = alerts->channels->pdata[i];
    if (level >= channel->config->level)
      g_ptr_array_add (names, channel->config->name);
  }
  return raise_by (alerts, alert, names, error);
}

bool
alerts_raise_by (Alerts *alerts, const Alert *alert, const char *name, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  for (guint i = 0; i < alerts->channels->len; i++) {
    const Channel *channel = alerts->channels->pdata[i];
    if (channel->way && (name == NULL || strcmp (channel->config->name, name) == 0))
      g_ptr_array_add (names, channel->config->name);
  }
  if (names->len > 0)
    return raise_by (alerts, alert, names, error);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
               name ? "there is no [alert %s] that works: see guardd's log"
                    : "guardd.conf has no [alert] that works",
               name);
  return false;
}
