/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check.h"

#include <guardd/alert.h>

#define PATIENCE_US (60 * G_USEC_PER_SEC)
#define GIVING_UP_US (5 * G_USEC_PER_SEC)

/* A name that a guest chose to break what prints it. */
static const struct guardd_alert alerts[] = {
  { .size_of = sizeof alerts[0],
    .id = "0b5c1f7a-0000-4000-8000-000000000001",
    .level = "critical",
    .domain = "web01",
    .summary = "p1: was ext4 and is empty",
    .rollback = "guardsh rollback web01 41",
    .json = "{\"id\": \"0b5c1f7a-0000-4000-8000-000000000001\", \"level\": \"critical\"}",
    .time_us = G_GINT64_CONSTANT (1700000000000000) },
  { .size_of = sizeof alerts[0],
    .id = "0b5c1f7a-0000-4000-8000-000000000002",
    .level = "blind",
    .domain = "a b\"'$(x)\n\x1b[2J\xc3\xa4",
    .summary = "nobody could look",
    .rollback = "",
    .json = "{}",
    .time_us = G_GINT64_CONSTANT (1700000000000001) },
};

static void
deliver (const struct guardd_alert_ops *ops, void *instance, bool stop)
{
  for (guint i = 0; i < G_N_ELEMENTS (alerts); i++) {
    Host host;
    host_begin (&host);
    host.stop = stop;
    gint64 started = g_get_monotonic_time ();
    int result = ops->deliver (instance, &host.call, &alerts[i]);
    gint64 took = g_get_monotonic_time () - started;
    if (result != 0)
      check_words (&host, "an alert that it could not deliver");
    else
      check (host.told == 0, "an alert that has arrived is no error");
    check (took < (stop ? GIVING_UP_US : PATIENCE_US), "%s",
           stop ? "gives up when it is asked to" : "delivers within a minute, or says that it could not");
    host_clear (&host);
  }
}

void
check_alert (const struct guardd_plugin *plugin, const struct guardd_param *params, size_t n_params)
{
  const struct guardd_alert_ops *ops = plugin->ops;
  const struct guardd_param strange = { "no-plugin-has-this", "1" };
  void *instance = NULL, *second = NULL;
  Host host;
  if (!check (ops->size >= sizeof *ops && ops->open && ops->close && ops->deliver,
              "has all operations of an alert plugin"))
    return;
  host_begin (&host);
  check (ops->open (&host.call, &strange, 1, &instance) != 0, "refuses a parameter that it does not know");
  check_words (&host, "a parameter that it does not know");
  host_clear (&host);
  bool opened = ops->open (&host.call, params, n_params, &instance) == 0;
  if (!check (opened, "opens with its parameters: %s", host.words ? host.words : ""))
    return;
  check (ops->open (&host.call, params, n_params, &second) == 0 && second != instance, "opens twice");
  ops->close (second);
  deliver (ops, instance, false);
  deliver (ops, instance, true);
  ops->close (instance);
  host_clear (&host);
}
