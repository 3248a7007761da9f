/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "catalog.h"

#include <errno.h>
#include <gio/gio.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Any other number in the file: it is thrown away and made anew. */
#define CATALOG_VERSION 1
#define BUSY_MS 2000

enum { SQL_LOAD, SQL_PUT, SQL_REMOVE, SQL_CLEAR, SQL_PUT_HEAD, SQL_GET_HEAD, SQL_DOMAINS, SQL_FORGET, N_SQL };

static const char *const statements[N_SQL] = {
  [SQL_LOAD] = "SELECT * FROM snapshots WHERE pool = ?1 AND domain = ?2",
  [SQL_PUT] = "INSERT OR REPLACE INTO snapshots VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
  [SQL_REMOVE] = "DELETE FROM snapshots WHERE pool = ?1 AND domain = ?2 AND number = ?3",
  [SQL_CLEAR] = "DELETE FROM snapshots WHERE pool = ?1",
  [SQL_PUT_HEAD] = "INSERT OR REPLACE INTO heads VALUES (?1, ?2, ?3, ?4)",
  [SQL_GET_HEAD] = "SELECT n, hash FROM heads WHERE pool = ?1 AND domain = ?2",
  [SQL_DOMAINS] = "SELECT domain FROM heads WHERE pool = ?1",
  [SQL_FORGET] = "DELETE FROM heads WHERE pool = ?1 AND domain = ?2",
};

struct Catalog {
  GMutex lock; /* the prepared statements */
  sqlite3 *db;
  char *path;
  char *pool_id;
  sqlite3_stmt *statement[N_SQL];
};

char *
catalog_stamp (const struct stat *st)
{
  return g_strdup_printf ("%" G_GUINT64_FORMAT ":%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT ".%09ld",
                          (guint64)st->st_ino, (gint64)st->st_size, (gint64)st->st_ctim.tv_sec,
                          st->st_ctim.tv_nsec);
}

static bool
catalog_fail (const Catalog *catalog, const char *what, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: cannot %s: %s", catalog->path, what,
               catalog->db ? sqlite3_errmsg (catalog->db) : "out of memory");
  return false;
}

static bool
catalog_exec (Catalog *catalog, const char *sql, const char *what, GError **error)
{
  return sqlite3_exec (catalog->db, sql, NULL, NULL, NULL) == SQLITE_OK
         || catalog_fail (catalog, what, error);
}

/* --- opening --- */

static bool
catalog_check (Catalog *catalog, int *version, GError **error)
{
  sqlite3_stmt *statement = NULL;
  bool ok = false;
  if (sqlite3_prepare_v2 (catalog->db, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK
      && sqlite3_step (statement) == SQLITE_ROW) {
    const char *answer = (const char *)sqlite3_column_text (statement, 0);
    ok = answer != NULL && strcmp (answer, "ok") == 0;
  }
  sqlite3_finalize (statement);
  if (!ok)
    return catalog_fail (catalog, "use it (it is damaged)", error);
  ok = sqlite3_prepare_v2 (catalog->db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK
       && sqlite3_step (statement) == SQLITE_ROW;
  if (ok)
    *version = sqlite3_column_int (statement, 0);
  sqlite3_finalize (statement);
  return ok || catalog_fail (catalog, "read its version", error);
}

static bool
catalog_make_tables (Catalog *catalog, GError **error)
{
  g_autofree char *sql = g_strdup_printf (
      "BEGIN IMMEDIATE;"
      "DROP TABLE IF EXISTS snapshots; DROP TABLE IF EXISTS heads;"
      "CREATE TABLE snapshots (pool TEXT NOT NULL, domain TEXT NOT NULL, number INTEGER NOT NULL,"
      " manifest TEXT NOT NULL, manifest_stamp TEXT NOT NULL, state TEXT, state_stamp TEXT,"
      " PRIMARY KEY (pool, domain, number)) WITHOUT ROWID;"
      "CREATE TABLE heads (pool TEXT NOT NULL, domain TEXT NOT NULL, n INTEGER NOT NULL,"
      " hash BLOB NOT NULL, PRIMARY KEY (pool, domain)) WITHOUT ROWID;"
      "PRAGMA user_version = %d; COMMIT",
      CATALOG_VERSION);
  return catalog_exec (catalog, sql, "make its tables", error);
}

static void
catalog_shut (Catalog *catalog)
{
  for (int i = 0; i < N_SQL; i++)
    g_clear_pointer (&catalog->statement[i], sqlite3_finalize);
  g_clear_pointer (&catalog->db, sqlite3_close);
}

static bool
catalog_try (Catalog *catalog, GError **error)
{
  int version = 0;
  if (sqlite3_open_v2 (catalog->path, &catalog->db,
                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL)
      != SQLITE_OK)
    return catalog_fail (catalog, "open it", error);
  sqlite3_busy_timeout (catalog->db, BUSY_MS);
  /* NORMAL: a crash may lose the last rows, which costs reading those manifests again and nothing else. */
  if (!catalog_exec (catalog, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", "set it up", error)
      || !catalog_check (catalog, &version, error)
      || (version != CATALOG_VERSION && !catalog_make_tables (catalog, error)))
    return false;
  for (int i = 0; i < N_SQL; i++)
    if (sqlite3_prepare_v3 (catalog->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &catalog->statement[i],
                            NULL)
        != SQLITE_OK)
      return catalog_fail (catalog, "use its tables", error);
  return true;
}

/* Whether another file would help; a full disk or a missing folder would not. */
static bool
catalog_is_damaged (const Catalog *catalog)
{
  int code = catalog->db ? sqlite3_errcode (catalog->db) & 0xff : SQLITE_OK;
  return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR || code == SQLITE_SCHEMA
         || code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE;
}

static bool
catalog_move_aside (const char *path, GError **error)
{
  static const char *const suffixes[] = { "-wal", "-shm" };
  g_autofree char *aside = g_strconcat (path, ".damaged", NULL);
  for (size_t i = 0; i < G_N_ELEMENTS (suffixes); i++) {
    g_autofree char *companion = g_strconcat (path, suffixes[i], NULL);
    unlink (companion);
  }
  if (rename (path, aside) == 0)
    return true;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "%s: cannot move the damaged file aside: %s",
               path, g_strerror (errno));
  return false;
}

Catalog *
catalog_open (const char *path, const char *pool_id, char **problem, GError **error)
{
  g_autoptr (GError) failure = NULL;
  Catalog *catalog = g_new0 (Catalog, 1);
  g_mutex_init (&catalog->lock);
  catalog->path = g_strdup (path);
  catalog->pool_id = g_strdup (pool_id);
  bool ok = catalog_try (catalog, &failure);
  if (!ok && catalog_is_damaged (catalog)) {
    catalog_shut (catalog);
    ok = catalog_move_aside (path, error) && catalog_try (catalog, error);
    if (ok)
      *problem = g_strdup_printf ("%s; it was moved to %s.damaged and is made anew from the pool",
                                  failure->message, path);
  } else if (!ok) {
    g_propagate_error (error, g_steal_pointer (&failure));
  }
  if (ok)
    return catalog;
  catalog_close (catalog);
  return NULL;
}

void
catalog_close (Catalog *catalog)
{
  if (catalog == NULL)
    return;
  catalog_shut (catalog);
  g_mutex_clear (&catalog->lock);
  g_free (catalog->path);
  g_free (catalog->pool_id);
  g_free (catalog);
}

/* --- using --- */

/* Both with catalog->lock held. */
static sqlite3_stmt *
catalog_bind (Catalog *catalog, int sql, const char *domain)
{
  sqlite3_stmt *statement = catalog->statement[sql];
  sqlite3_bind_text (statement, 1, catalog->pool_id, -1, SQLITE_STATIC);
  if (domain != NULL)
    sqlite3_bind_text (statement, 2, domain, -1, SQLITE_STATIC);
  return statement;
}

static bool
catalog_run (Catalog *catalog, sqlite3_stmt *statement, const char *what, GError **error)
{
  bool ok = sqlite3_step (statement) == SQLITE_DONE || catalog_fail (catalog, what, error);
  sqlite3_reset (statement);
  sqlite3_clear_bindings (statement);
  return ok;
}

bool
catalog_begin (Catalog *catalog, GError **error)
{
  return catalog_exec (catalog, "BEGIN IMMEDIATE", "begin", error);
}

bool
catalog_commit (Catalog *catalog, GError **error)
{
  if (catalog_exec (catalog, "COMMIT", "commit", error))
    return true;
  sqlite3_exec (catalog->db, "ROLLBACK", NULL, NULL, NULL);
  return false;
}

static void
catalog_row_free (void *pointer)
{
  CatalogRow *row = pointer;
  g_free (row->manifest);
  g_free (row->manifest_stamp);
  g_free (row->state);
  g_free (row->state_stamp);
  g_free (row);
}

GHashTable *
catalog_load (Catalog *catalog, const char *domain)
{
  GHashTable *rows = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, catalog_row_free);
  g_mutex_lock (&catalog->lock);
  sqlite3_stmt *statement = catalog_bind (catalog, SQL_LOAD, domain);
  while (sqlite3_step (statement) == SQLITE_ROW) {
    CatalogRow *row = g_new0 (CatalogRow, 1);
    row->number = (guint64)sqlite3_column_int64 (statement, 2);
    row->manifest = g_strdup ((const char *)sqlite3_column_text (statement, 3));
    row->manifest_stamp = g_strdup ((const char *)sqlite3_column_text (statement, 4));
    row->state = g_strdup ((const char *)sqlite3_column_text (statement, 5));
    row->state_stamp = g_strdup ((const char *)sqlite3_column_text (statement, 6));
    g_hash_table_replace (rows, &row->number, row);
  }
  sqlite3_reset (statement);
  sqlite3_clear_bindings (statement);
  g_mutex_unlock (&catalog->lock);
  return rows;
}

bool
catalog_put (Catalog *catalog, const char *domain, const CatalogRow *row, GError **error)
{
  g_mutex_lock (&catalog->lock);
  sqlite3_stmt *statement = catalog_bind (catalog, SQL_PUT, domain);
  sqlite3_bind_int64 (statement, 3, (gint64)row->number);
  sqlite3_bind_text (statement, 4, row->manifest, -1, SQLITE_STATIC);
  sqlite3_bind_text (statement, 5, row->manifest_stamp, -1, SQLITE_STATIC);
  sqlite3_bind_text (statement, 6, row->state, -1, SQLITE_STATIC);
  sqlite3_bind_text (statement, 7, row->state_stamp, -1, SQLITE_STATIC);
  bool ok = catalog_run (catalog, statement, "enter a snapshot", error);
  g_mutex_unlock (&catalog->lock);
  return ok;
}

bool
catalog_remove (Catalog *catalog, const char *domain, guint64 number, GError **error)
{
  g_mutex_lock (&catalog->lock);
  sqlite3_stmt *statement = catalog_bind (catalog, SQL_REMOVE, domain);
  sqlite3_bind_int64 (statement, 3, (gint64)number);
  bool ok = catalog_run (catalog, statement, "remove a snapshot", error);
  g_mutex_unlock (&catalog->lock);
  return ok;
}

bool
catalog_clear (Catalog *catalog, GError **error)
{
  g_mutex_lock (&catalog->lock);
  bool ok = catalog_run (catalog, catalog_bind (catalog, SQL_CLEAR, NULL), "clear it", error);
  g_mutex_unlock (&catalog->lock);
  return ok;
}

bool
catalog_put_head (Catalog *catalog, const char *domain, const HistoryHead *head, GError **error)
{
  g_mutex_lock (&catalog->lock);
  sqlite3_stmt *statement = catalog_bind (catalog, SQL_PUT_HEAD, domain);
  sqlite3_bind_int64 (statement, 3, (gint64)head->n);
  sqlite3_bind_blob (statement, 4, head->hash, HISTORY_HASH_SIZE, SQLITE_STATIC);
  bool ok = catalog_run (catalog, statement, "remember a history's head", error);
  g_mutex_unlock (&catalog->lock);
  return ok;
}

bool
catalog_get_head (Catalog *catalog, const char *domain, HistoryHead *head)
{
  g_mutex_lock (&catalog->lock);
  sqlite3_stmt *statement = catalog_bind (catalog, SQL_GET_HEAD, domain);
  bool found
      = sqlite3_step (statement) == SQLITE_ROW && sqlite3_column_bytes (statement, 1) == HISTORY_HASH_SIZE;
  if (found) {
    head->n = (guint64)sqlite3_column_int64 (statement, 0);
    memcpy (head->hash, sqlite3_column_blob (statement, 1), HISTORY_HASH_SIZE);
  }
  sqlite3_reset (statement);
  sqlite3_clear_bindings (statement);
  g_mutex_unlock (&catalog->lock);
  return found;
}

char **
catalog_domains (Catalog *catalog)
{
  g_autoptr (GPtrArray) domains = g_ptr_array_new ();
  g_mutex_lock (&catalog->lock);
  sqlite3_stmt *statement = catalog_bind (catalog, SQL_DOMAINS, NULL);
  while (sqlite3_step (statement) == SQLITE_ROW) {
    const char *domain = (const char *)sqlite3_column_text (statement, 0);
    if (domain != NULL)
      g_ptr_array_add (domains, g_strdup (domain));
  }
  sqlite3_reset (statement);
  sqlite3_clear_bindings (statement);
  g_mutex_unlock (&catalog->lock);
  g_ptr_array_add (domains, NULL);
  return (char **)g_ptr_array_steal (domains, NULL);
}

bool
catalog_forget (Catalog *catalog, const char *domain, GError **error)
{
  g_mutex_lock (&catalog->lock);
  bool ok = catalog_run (catalog, catalog_bind (catalog, SQL_FORGET, domain), "forget a domain", error);
  g_mutex_unlock (&catalog->lock);
  return ok;
}
