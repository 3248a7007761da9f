/* SPDX-License-Identifier: GPL-2.0-or-later */
/* template.h: an alert as different receivers want it. */
#pragma once

#include <guardd/alert.h>

enum template { TEMPLATE_GENERIC, TEMPLATE_SLACK, TEMPLATE_ALERTMANAGER, TEMPLATES };

/* "generic", …; TEMPLATES: there is none of that name. */
enum template template_find (const char *name);
/* The request's body; free() it; NULL: out of memory, or alert->json is none. */
char *template_body (enum template form, const struct guardd_alert *alert);
