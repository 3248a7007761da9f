/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <json-c/json.h>

/* For people and JSON: what is no text, or would move a terminal's cursor, is written as \xNN; at most 1 KiB,
 * the rest is "…". */
json_object *text_to_json (const char *bytes);
