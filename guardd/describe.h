/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * describe.h: values as docs/protocol.md has them in JSON.
 */
#pragma once

#include "daemon.h"

json_object *describe_snapshot (const Snapshot *snapshot);
json_object *describe_domain (Daemon *daemon, const Guest *guest);
/* Adds what domain-info has besides.  sizes: as the newest snapshot knows them. */
void describe_domain_disks (const Guest *guest, json_object *object);
json_object *describe_pool (Pool *pool, GError **error);
/* {"domain": …, "uuid": …} for events */
json_object *describe_guest_event (const Guest *guest);
/* What channels are told of an alert, with all members.  blind: BlindSpot; NULL: not known.  incident NULL:
 * it is about none.  losses NULL: not known. */
json_object *describe_alarm (const Alert *alert, const GPtrArray *blind, const Incident *incident,
                             json_object *losses);
