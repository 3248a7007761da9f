/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * alert-channel.h: one [alert] of the configuration: its plugin, opened with what its section says.
 * Threads: one at a time per channel.
 */
#pragma once

#include "alert-store.h"
#include "config.h"

typedef struct AlertChannel AlertChannel;

typedef enum {
  DELIVERY_ARRIVED,
  DELIVERY_REFUSED, /* the receiver will not have this one, whatever the others are */
  DELIVERY_FAILED
} Delivery;

/* The caller's config must outlive it.  NULL: why the section cannot be used. */
AlertChannel *alert_channel_open (const ConfigAlert *config, const char *plugin_dir, GError **error);
void alert_channel_close (AlertChannel *channel); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AlertChannel, alert_channel_close)
/* At most half a minute; plugins give up early once is_over() says so.  *why, unless it has arrived: for
 * people, g_free(). */
Delivery alert_channel_deliver (AlertChannel *channel, const Alert *alert, bool (*is_over) (void *opaque),
                                void *opaque, char **why);
