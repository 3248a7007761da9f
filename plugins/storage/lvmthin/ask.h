/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ask.h: requests to guardd-lvm (lvm/protocol.h) with a plugin's way of failing.
 */
#pragma once

#include "../common/fail.h"
#include "lvm/client.h"

/* Beyond this the helper is killed and another one started. */
#define ASK_DEADLINE_MS 60000u
#define ASK_DELTA_DEADLINE_MS 600000u

G_DEFINE_AUTOPTR_CLEANUP_FUNC (json_object, json_object_put)

/* A request about a thin pool; string members follow as key, value, … NULL. */
json_object *ask_new (const char *op, ...) G_GNUC_NULL_TERMINATED;
void ask_add_number (json_object *request, const char *key, guint64 value);
/* Adds a list of one, or another one to it. */
void ask_add_to (json_object *request, const char *key, json_object *value);

/* Of a request "snapshot". */
void ask_add_snapshot (json_object *request, const char *origin, const char *lv);

/* Takes request.  answer may be NULL. */
int ask (LvmClient *client, const struct guardd_call *call, json_object *request, json_object **answer);
int ask_for (LvmClient *client, const struct guardd_call *call, guint deadline_ms, json_object *request,
             json_object **answer);

/* Of an answer: 0 or "" where it is not there. */
guint64 answer_number (json_object *answer, const char *key);
const char *answer_text (json_object *answer, const char *key);
