/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guardd/alert.h: the contract of an alert plugin: one way to tell people.
 *
 * The core keeps what is to be told until it has been, in order, and tries again: a plugin delivers one
 * alert, once, or says that it could not.
 *
 * Concurrency: one call at a time per instance, on a thread of the core's that nothing else waits for.  Give
 * up when progress() returns nonzero; call it at least every second.  open() is also how a configuration is
 * tried, on any thread, while another instance is in use: it takes nothing that only one can have, tells
 * nobody anything, and returns at once.
 */
#ifndef GUARDD_ALERT_H
#define GUARDD_ALERT_H

#include <errno.h>
#include <guardd/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What deliver() gives to error() as errno_value when the receiver is there and refuses this very alert, as
 * it would again: the others must not wait behind it. */
#define GUARDD_ALERT_REFUSED EBADMSG

struct guardd_alert {
  uint32_t size_of;
  const char *id;       /* UUID: the same alert, told again, has the same */
  const char *level;    /* "warn", "critical", … */
  const char *domain;   /* the guest's name: any bytes but NUL, valid UTF-8 */
  const char *summary;  /* one line */
  const char *rollback; /* the command that brings the guest back; "": there is none */
  const char *json;     /* everything, as docs/protocol.md has it */
  int64_t time_us;      /* since 1970 */
};

struct guardd_alert_ops {
  uint32_t size; /* sizeof (struct guardd_alert_ops) */
  int (*open) (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
               void **instance);
  void (*close) (void *instance);
  /* 0: it has arrived.  Else it is tried again, later and later, and the others wait; one that was refused
   * (GUARDD_ALERT_REFUSED) waits behind the others and is tried again every hour for a week. */
  int (*deliver) (void *instance, const struct guardd_call *call, const struct guardd_alert *alert);
};

#ifdef __cplusplus
}
#endif
#endif
