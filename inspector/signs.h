/* SPDX-License-Identifier: GPL-2.0-or-later */
/* signs.h: what the name of a file says. */
#pragma once

#include <glib.h>
#include <stdbool.h>

const char *base_name (const char *path);
/* With its dot; "" for none. */
const char *extension (const char *path);
/* A system, its logs or a database need it. */
bool is_watched (const char *path);
/* A log that is written now, and says who was there. */
bool is_record (const char *path);
/* What those who want a ransom call their letter. */
bool is_note (const char *name);
