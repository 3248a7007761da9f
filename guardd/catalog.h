/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * catalog.h: an index of one pool's snapshots in SQLite, so that a pool of many
 * thousands opens without reading every manifest.  Never the truth: a row counts
 * only while its stamp is that of the file in the pool, and the file may be thrown
 * away at any time.
 *
 * It also remembers each history's head outside the pool, which is how a history
 * that was cut off or put back to an older state shows.
 *
 * Several pools (keyed by pool id) and processes may share one file.  Threads: any.
 */
#pragma once

#include "history.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>

typedef struct Catalog Catalog;

typedef struct {
  guint64 number;
  char *manifest;       /* text of manifest.json */
  char *manifest_stamp; /* catalog_stamp() of it */
  char *state;          /* text of state.json; NULL: none */
  char *state_stamp;    /* NULL: none */
} CatalogRow;

/* What a file is without reading it: changes with every change of the file; g_free(). */
char *catalog_stamp (const struct stat *st);

/* Opens or makes the file.  One that is damaged is moved to PATH.damaged and a new one is made; then
 * *problem says so (g_free()). */
Catalog *catalog_open (const char *path, const char *pool_id, char **problem, GError **error);
void catalog_close (Catalog *catalog);

/* Everything between them is one transaction.  May be nested into none. */
bool catalog_begin (Catalog *catalog, GError **error);
bool catalog_commit (Catalog *catalog, GError **error);

/* CatalogRow by number (guint64 *), of one domain; empty on failure, too. */
GHashTable *catalog_load (Catalog *catalog, const char *domain);
bool catalog_put (Catalog *catalog, const char *domain, const CatalogRow *row, GError **error);
bool catalog_remove (Catalog *catalog, const char *domain, guint64 number, GError **error);
/* Forgets all snapshots of this pool (not the heads). */
bool catalog_clear (Catalog *catalog, GError **error);

bool catalog_put_head (Catalog *catalog, const char *domain, const HistoryHead *head, GError **error);
/* False: none known. */
bool catalog_get_head (Catalog *catalog, const char *domain, HistoryHead *head);
/* The domains of which a head is known; NULL-terminated. */
char **catalog_domains (Catalog *catalog);
/* Forgets a domain's head. */
bool catalog_forget (Catalog *catalog, const char *domain, GError **error);
