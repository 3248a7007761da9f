/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * alert-store.h: alerts, and to which channels they have not been delivered yet: STATE_DIR/alerts.sqlite.
 * What alert_store_add() has returned true for survives a crash.
 * Threads: any.
 */
#pragma once

#include <gio/gio.h>
#include <glib.h>
#include <stdbool.h>

typedef struct {
  char *id;       /* UUID */
  char *incident; /* id of the incident that it is about; NULL: none */
  char *uuid;     /* the domain's; "": the host */
  char *domain;   /* its name */
  char *level;
  char *summary;
  char *rollback;    /* command; "": none */
  char *json;        /* everything */
  gint64 time_us;    /* since 1970 */
  char *resolved;    /* "real", "false-positive", "recovered"; NULL: open */
  char *reason;      /* a person's words; NULL */
  guint undelivered; /* channels */
} Alert;

void alert_free (Alert *alert);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Alert, alert_free)

typedef struct AlertStore AlertStore;

/* kept: of those that everybody has been told, so many of the newest stay.  What is there can be read, and
 * told, while the disk is full. */
AlertStore *alert_store_open (const char *path, guint kept, GError **error);
void alert_store_close (AlertStore *store); /* NULL is fine */

/* Queues it for the channels (NULL-terminated).  One with a known id is not added again. */
bool alert_store_add (AlertStore *store, const Alert *alert, const char *const *channels, GError **error);
/* Newest first; uuid NULL: of all. */
GPtrArray *alert_store_list (AlertStore *store, const char *uuid, guint limit, GError **error);
/* By id, or the start of one (at least 4 characters) that only one has. */
Alert *alert_store_find (AlertStore *store, const char *id, GError **error);
/* *told: it has an alert of that incident at that level, or a critical one, open or resolved. */
bool alert_store_knows (AlertStore *store, const char *incident, const char *level, bool *told,
                        GError **error);
/* Marks all alerts of an incident, or the one that is about none and has this id, unless a person has. */
bool alert_store_resolve (AlertStore *store, const char *incident, const char *how, const char *reason,
                          GError **error);
/* The oldest that a channel has not delivered, those that were refused last; NULL without error: all are.
 * *not_before: when to try again, microseconds since 1970. */
Alert *alert_store_next (AlertStore *store, const char *channel, guint *attempts, gint64 *not_before,
                         GError **error);
bool alert_store_delivered (AlertStore *store, const char *channel, const char *id, GError **error);
bool alert_store_failed (AlertStore *store, const char *channel, const char *id, gint64 not_before,
                         const char *why, GError **error);
/* Puts it behind all others of the channel, also those to come.  *times: how often it has been refused. */
bool alert_store_refused (AlertStore *store, const char *channel, const char *id, gint64 not_before,
                          const char *why, guint *times, GError **error);
