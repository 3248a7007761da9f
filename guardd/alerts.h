/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * alerts.h: tells people, by every [alert] of the configuration, until it has arrived.
 *
 * Each channel has a thread that nobody waits for: a receiver that is away, or a plugin that hangs, keeps no
 * snapshot and no other channel waiting.  Threads: any, but open and close.
 */
#pragma once

#include "alert-store.h"
#include "config.h"

typedef struct Alerts Alerts;

/* A channel that cannot be used is left out with a warning: guardd must start.  What is raised for it is kept
 * until it can be, after another start. */
Alerts *alerts_open (const Config *config, GError **error);
/* Waits a few seconds for deliveries under way. */
void alerts_close (Alerts *alerts); /* NULL is fine */
AlertStore *alerts_store (Alerts *alerts);
/* Whether that channel could be used at the start; threads: any. */
bool alerts_uses (const Alerts *alerts, const char *channel);
/* Stores it and has it delivered by the channels whose level it reaches. */
bool alerts_raise (Alerts *alerts, const Alert *alert, GError **error);
/* Through one channel (NULL: all), whatever its level.  False with G_IO_ERROR_NOT_FOUND: there is none. */
bool alerts_raise_by (Alerts *alerts, const Alert *alert, const char *channel, GError **error);
