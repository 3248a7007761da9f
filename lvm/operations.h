/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * operations.h: the requests of protocol.h.
 */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

/* Does what a request says and adds what there is to say to `answer`. */
bool operation_run (json_object *request, json_object *answer, GError **error);
