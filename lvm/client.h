/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h: a guardd-lvm process and the way to ask it.
 *
 * It is started when it is first needed, killed when an answer is late, and started anew after it has died;
 * the request that it died of fails and is not repeated: every request can be, by whoever knows what it was
 * for.  After a death, what it may have left suspended is resumed before anything else is asked.
 *
 * Thread-safe: requests wait for one another.
 */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

#define LVM_ERROR (lvm_error_quark ())
GQuark lvm_error_quark (void);
typedef enum {
  LVM_ERROR_REFUSED, /* LVM said no; the message has its words */
  LVM_ERROR_LOST,    /* it died, hung or babbled: nobody knows whether it was done */
} LvmErrorCode;

typedef struct LvmClient LvmClient;

/* program: guardd-lvm's path.  vg: what is settled after a death.  lock_directory: an existing directory;
 * while a guardd-lvm lives that was started with it, no other is (one that a dead guardd left ends its work
 * first). */
LvmClient *lvm_client_new (const char *program, const char *vg, const char *lock_directory);
void lvm_client_free (LvmClient *client); /* NULL is fine; waits until it has ended */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LvmClient, lvm_client_free)

/* Takes request, a JSON object with "op" (protocol.h), and adds "vg".  answer (may be NULL):
 * json_object_put().
 */
bool lvm_client_ask (LvmClient *client, json_object *request, guint deadline_ms, json_object **answer,
                     GError **error);

/* Process id of the helper that runs now; 0: none.  For tests and messages. */
int lvm_client_pid (LvmClient *client);
