/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert-channel.h"

#include "plugin-load.h"

#include <guardd/alert.h>

#define DEADLINE_US (30 * G_USEC_PER_SEC) /* of one delivery, for plugins that ask */

struct AlertChannel {
  Plugin plugin;
  const struct guardd_alert_ops *ops; /* NULL: not open */
  void *instance;
};

/* What a call of a plugin is told, and tells. */
typedef struct {
  bool (*is_over) (void *opaque); /* NULL: never */
  void *opaque;
  gint64 deadline;
  bool refused;
  char *why; /* NULL: the plugin has said nothing */
} Talk;

static void
talk_error (void *opaque, int errno_value, const char *message)
{
  Talk *talk = opaque;
  g_free (talk->why);
  talk->refused = errno_value == GUARDD_ALERT_REFUSED;
  talk->why = g_utf8_make_valid (message, -1);
}

static int
talk_progress (void *opaque, uint64_t done, uint64_t total)
{
  const Talk *talk = opaque;
  return (talk->is_over && talk->is_over (talk->opaque)) || g_get_monotonic_time () > talk->deadline;
}

static char *
talk_why (const Talk *talk)
{
  return talk->why ? talk->why : g_strdup ("the plugin gave no reason");
}

AlertChannel *
alert_channel_open (const ConfigAlert *config, const char *plugin_dir, GError **error)
{
  g_autoptr (AlertChannel) channel = g_new0 (AlertChannel, 1);
  if (!plugin_load (&channel->plugin, plugin_dir, GUARDD_PLUGIN_ALERT, config->type, sizeof *channel->ops,
                    error))
    return NULL;
  const struct guardd_alert_ops *ops = channel->plugin.plugin->ops;
  Talk talk = { .deadline = G_MAXINT64 };
  struct guardd_call call = { sizeof call, &talk, talk_error, talk_progress };
  if (ops->open (&call, (const struct guardd_param *)(void *)config->params->data, config->params->len,
                 &channel->instance)
      == 0) {
    channel->ops = ops;
    g_free (talk.why);
    return g_steal_pointer (&channel);
  }
  g_autofree char *why = talk_why (&talk);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, why);
  return NULL;
}

void
alert_channel_close (AlertChannel *channel)
{
  if (channel == NULL)
    return;
  if (channel->ops)
    channel->ops->close (channel->instance);
  plugin_unload (&channel->plugin);
  g_free (channel);
}

Delivery
alert_channel_deliver (AlertChannel *channel, const Alert *alert, bool (*is_over) (void *opaque),
                       void *opaque, char **why)
{
  Talk talk = { is_over, opaque, g_get_monotonic_time () + DEADLINE_US, false, NULL };
  struct guardd_call call = { sizeof call, &talk, talk_error, talk_progress };
  const struct guardd_alert tell = { .size_of = sizeof tell,
                                     .id = alert->id,
                                     .level = alert->level,
                                     .domain = alert->domain,
                                     .summary = alert->summary,
                                     .rollback = alert->rollback,
                                     .json = alert->json,
                                     .time_us = alert->time_us };
  if (channel->ops->deliver (channel->instance, &call, &tell) == 0) {
    g_free (talk.why);
    return DELIVERY_ARRIVED;
  }
  *why = talk_why (&talk);
  return talk.refused ? DELIVERY_REFUSED : DELIVERY_FAILED;
}
