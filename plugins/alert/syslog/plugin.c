/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The syslog alert plugin: one line per alert to the system's log (and so to the journal, where there is
 * one).
 */
#include <guardd/alert.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

static const struct {
  const char *name;
  int value;
} facilities[] = {
  { "daemon", LOG_DAEMON }, { "user", LOG_USER },     { "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 },
  { "local2", LOG_LOCAL2 }, { "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 },
  { "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 },
};

static int
find_facility (const char *name)
{
  for (size_t i = 0; i < sizeof facilities / sizeof facilities[0]; i++)
    if (strcmp (facilities[i].name, name) == 0)
      return facilities[i].value;
  return -1;
}

static int
refuse (const struct guardd_call *call, const struct guardd_param *param, bool known)
{
  char message[256];
  if (known)
    snprintf (message, sizeof message, "facility \"%.40s\": accepted: daemon, user, local0 to local7",
              param->value);
  else
    snprintf (message, sizeof message, "alert syslog has no parameter \"%.40s\"; accepted: facility",
              param->key);
  call->error (call->opaque, EINVAL, message);
  return -1;
}

static int
syslog_open (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
             void **instance)
{
  int *facility = malloc (sizeof *facility);
  if (facility == NULL)
    return -1;
  *facility = LOG_DAEMON;
  for (size_t i = 0; i < n_params; i++) {
    bool known = strcmp (params[i].key, "facility") == 0;
    if (!known || (*facility = find_facility (params[i].value)) < 0) {
      free (facility);
      return refuse (call, &params[i], known);
    }
  }
  *instance = facility;
  return 0;
}

static int
syslog_deliver (void *instance, const struct guardd_call *call, const struct guardd_alert *alert)
{
  const int *facility = instance;
  /* Names are a guest's choice: what could forge a line of its own is taken out. */
  char domain[128];
  snprintf (domain, sizeof domain, "%s", alert->domain);
  for (char *at = domain; *at; at++)
    if ((unsigned char)*at < ' ' || *at == 127)
      *at = '?';
  syslog (*facility | (strcmp (alert->level, "critical") == 0 ? LOG_CRIT : LOG_WARNING),
          "guardd: %s: %s: %s%s%s [%s]", alert->level, domain, alert->summary,
          alert->rollback[0] ? "; bring it back: " : "", alert->rollback, alert->id);
  return 0;
}

static const struct guardd_alert_ops ops = {
  .size = sizeof ops,
  .open = syslog_open,
  .close = free,
  .deliver = syslog_deliver,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_ALERT,
  .name = "syslog",
  .version = GUARDD_VERSION,
  .description = "one line per alert to the system's log",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
