/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert-store.h"

#include <sqlite3.h>
#include <string.h>

#define BUSY_MS 5000
#define PREFIX_MIN 4
#define VERSION 1
/* Numbers of deliveries that the receiver has refused: a queue of its own, behind the other. */
#define REFUSED_SEQ (G_GINT64_CONSTANT (1) << 40)

struct AlertStore {
  GMutex lock;
  sqlite3 *db;
  char *path;
  guint kept;
};

static const char schema[]
    = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
      "CREATE TABLE IF NOT EXISTS alerts (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,"
      " incident TEXT, uuid TEXT NOT NULL, domain TEXT NOT NULL, level TEXT NOT NULL, summary TEXT NOT NULL,"
      " rollback TEXT NOT NULL, json TEXT NOT NULL, time_us INTEGER NOT NULL, resolved TEXT, reason TEXT);"
      "CREATE TABLE IF NOT EXISTS deliveries (alert TEXT NOT NULL, channel TEXT NOT NULL, seq INTEGER NOT "
      "NULL,"
      " attempts INTEGER NOT NULL DEFAULT 0, not_before INTEGER NOT NULL DEFAULT 0, error TEXT,"
      " PRIMARY KEY (channel, seq));";
static const char set_version[] = "PRAGMA user_version = " G_STRINGIFY (VERSION);

#define COLUMNS                                                                                              \
  "id, incident, uuid, domain, level, summary, rollback, json, time_us, resolved, reason,"                   \
  " (SELECT count(*) FROM deliveries WHERE alert = alerts.id)"

void
alert_free (Alert *alert)
{
  if (alert == NULL)
    return;
  char **texts[] = { &alert->id,      &alert->incident, &alert->uuid, &alert->domain,   &alert->level,
                     &alert->summary, &alert->rollback, &alert->json, &alert->resolved, &alert->reason };
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    g_free (*texts[i]);
  g_free (alert);
}

static bool
store_fail (const AlertStore *store, const char *what, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: cannot %s: %s", store->path, what,
               store->db ? sqlite3_errmsg (store->db) : "out of memory");
  return false;
}

static int
take_version (void *version, int n, char **values, char **names)
{
  *(guint64 *)version = g_ascii_strtoull (values[0], NULL, 10);
  return 0;
}

/* Writes nothing into a file that is as it should be: the disk may be full. */
static int
use (AlertStore *store, const char *locking)
{
  guint64 version = 0;
  sqlite3_close (store->db);
  int failed = sqlite3_open_v2 (store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
  if (failed || (failed = sqlite3_busy_timeout (store->db, BUSY_MS))
      || (failed = sqlite3_exec (store->db, locking, NULL, NULL, NULL))
      || (failed = sqlite3_exec (store->db, schema, NULL, NULL, NULL))
      || (failed = sqlite3_exec (store->db, "PRAGMA user_version", take_version, &version, NULL)))
    return failed;
  return version == VERSION ? SQLITE_OK : sqlite3_exec (store->db, set_version, NULL, NULL, NULL);
}

AlertStore *
alert_store_open (const char *path, guint kept, GError **error)
{
  AlertStore *store = g_new0 (AlertStore, 1);
  store->path = g_strdup (path);
  store->kept = kept;
  g_mutex_init (&store->lock);
  int failed = use (store, "PRAGMA locking_mode = NORMAL");
  if (failed == SQLITE_FULL || failed == SQLITE_IOERR) /* no space for the -shm, which this needs none of */
    failed = use (store, "PRAGMA locking_mode = EXCLUSIVE");
  if (failed == SQLITE_OK)
    return store;
  store_fail (store,
              failed == SQLITE_CORRUPT || failed == SQLITE_NOTADB
                  ? "use it; move it away to start with an empty list of alerts"
                  : "use it",
              error);
  alert_store_close (store);
  return NULL;
}

void
alert_store_close (AlertStore *store)
{
  if (store == NULL)
    return;
  sqlite3_close (store->db);
  g_mutex_clear (&store->lock);
  g_free (store->path);
  g_free (store);
}

/* Prepares and binds texts; NULL with error. */
static sqlite3_stmt *
prepare (AlertStore *store, const char *sql, const char *const *texts, GError **error)
{
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2 (store->db, sql, -1, &statement, NULL) != SQLITE_OK) {
    store_fail (store, "ask it", error);
    return NULL;
  }
  for (int i = 0; texts && texts[i]; i++)
    sqlite3_bind_text (statement, i + 1, texts[i], -1, SQLITE_TRANSIENT);
  return statement;
}

/* Runs a statement that answers nothing. */
static bool
run (AlertStore *store, sqlite3_stmt *statement, GError **error)
{
  if (statement == NULL)
    return false;
  int done = sqlite3_step (statement);
  sqlite3_finalize (statement);
  return done == SQLITE_DONE || store_fail (store, "write to it", error);
}

static char *
column (sqlite3_stmt *statement, int index)
{
  return g_strdup ((const char *)sqlite3_column_text (statement, index));
}

static Alert *
read_alert (sqlite3_stmt *statement)
{
  Alert *alert = g_new0 (Alert, 1);
  *alert
      = (Alert){ column (statement, 0), column (statement, 1),  column (statement, 2),
                 column (statement, 3), column (statement, 4),  column (statement, 5),
                 column (statement, 6), column (statement, 7),  sqlite3_column_int64 (statement, 8),
                 column (statement, 9), column (statement, 10), (guint)sqlite3_column_int (statement, 11) };
  return alert;
}

static bool
insert (AlertStore *store, const Alert *alert, GError **error)
{
  sqlite3_stmt *statement = prepare (
      store,
      "INSERT OR IGNORE INTO alerts (id, uuid, domain, level, summary, rollback, json, incident, time_us)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
      (const char *[]){ alert->id, alert->uuid, alert->domain, alert->level, alert->summary, alert->rollback,
                        alert->json, alert->incident, NULL },
      error);
  if (statement)
    sqlite3_bind_int64 (statement, 9, alert->time_us);
  return run (store, statement, error);
}

static bool
insert_deliveries (AlertStore *store, const char *id, const char *const *channels, GError **error)
{
  for (guint i = 0; channels[i]; i++)
    if (!run (
            store,
            prepare (
                store,
                "INSERT INTO deliveries (alert, channel, seq) VALUES (?1, ?2, (SELECT seq FROM alerts WHERE "
                "id = ?1))",
                (const char *[]){ id, channels[i], NULL }, error),
            error))
      return false;
  return true;
}

/* The oldest of those that everybody has been told. */
static bool
forget (AlertStore *store, GError **error)
{
  sqlite3_stmt *statement
      = prepare (store,
                 "DELETE FROM alerts WHERE seq <= (SELECT MAX(seq) FROM alerts) - ?1 AND id "
                 "NOT IN (SELECT alert FROM deliveries)",
                 (const char *[]){ NULL }, error);
  if (statement)
    sqlite3_bind_int64 (statement, 1, store->kept);
  return run (store, statement, error);
}

bool
alert_store_add (AlertStore *store, const Alert *alert, const char *const *channels, GError **error)
{
  g_mutex_lock (&store->lock);
  bool ok = sqlite3_exec (store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK
            || store_fail (store, "write to it", error);
  if (ok) {
    ok = insert (store, alert, error);
    if (ok && sqlite3_changes (store->db) > 0)
      ok = insert_deliveries (store, alert->id, channels, error);
    ok = ok && forget (store, error);
    if (ok && sqlite3_exec (store->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
      ok = store_fail (store, "write to it", error);
    if (!ok)
      sqlite3_exec (store->db, "ROLLBACK", NULL, NULL, NULL);
  }
  g_mutex_unlock (&store->lock);
  return ok;
}

/* All rows of a query of COLUMNS. */
static GPtrArray *
query (AlertStore *store, const char *sql, const char *const *texts, guint limit, GError **error)
{
  g_autoptr (GPtrArray) alerts = g_ptr_array_new_with_free_func ((GDestroyNotify)alert_free);
  int step = SQLITE_DONE;
  g_mutex_lock (&store->lock);
  sqlite3_stmt *statement = prepare (store, sql, texts, error);
  while (statement && alerts->len < limit && (step = sqlite3_step (statement)) == SQLITE_ROW)
    g_ptr_array_add (alerts, read_alert (statement));
  bool ok = statement && (step == SQLITE_DONE || step == SQLITE_ROW);
  if (statement && !ok)
    store_fail (store, "read it", error);
  sqlite3_finalize (statement);
  g_mutex_unlock (&store->lock);
  return ok ? g_steal_pointer (&alerts) : NULL;
}

GPtrArray *
alert_store_list (AlertStore *store, const char *uuid, guint limit, GError **error)
{
  if (uuid)
    return query (store, "SELECT " COLUMNS " FROM alerts WHERE uuid = ?1 ORDER BY seq DESC",
                  (const char *[]){ uuid, NULL }, limit, error);
  return query (store, "SELECT " COLUMNS " FROM alerts ORDER BY seq DESC", NULL, limit, error);
}

Alert *
alert_store_find (AlertStore *store, const char *id, GError **error)
{
  if (strlen (id) < PREFIX_MIN || strspn (id, "0123456789abcdef-") != strlen (id)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "\"%s\" is no alert: give its id, or at least the first %d characters of it", id,
                 PREFIX_MIN);
    return NULL;
  }
  g_autoptr (GPtrArray) found
      = query (store, "SELECT " COLUMNS " FROM alerts WHERE substr (id, 1, length (?1)) = ?1",
               (const char *[]){ id, NULL }, 2, error);
  if (found == NULL)
    return NULL;
  if (found->len == 1)
    return g_ptr_array_steal_index (found, 0);
  g_set_error (
      error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
      found->len ? "more than one alert begins with \"%s\"" : "there is no alert \"%s\": see alert-list", id);
  return NULL;
}

bool
alert_store_knows (AlertStore *store, const char *incident, const char *level, bool *told, GError **error)
{
  g_autoptr (GPtrArray) found = query (
      store, "SELECT " COLUMNS " FROM alerts WHERE incident = ?1 AND (level = ?2 OR level = 'critical')",
      (const char *[]){ incident, level, NULL }, 1, error);
  *told = found && found->len > 0;
  return found != NULL;
}

bool
alert_store_resolve (AlertStore *store, const char *incident, const char *how, const char *reason,
                     GError **error)
{
  g_mutex_lock (&store->lock);
  sqlite3_stmt *statement
      = prepare (store,
                 "UPDATE alerts SET resolved = ?2, reason = ?3 WHERE (incident = ?1 OR id = ?1)"
                 " AND (resolved IS NULL OR (resolved = 'recovered' AND ?2 <> 'recovered'))",
                 (const char *[]){ incident, how, reason, NULL }, error);
  bool ok = run (store, statement, error);
  g_mutex_unlock (&store->lock);
  return ok;
}

Alert *
alert_store_next (AlertStore *store, const char *channel, guint *attempts, gint64 *not_before, GError **error)
{
  Alert *alert = NULL;
  g_mutex_lock (&store->lock);
  sqlite3_stmt *statement
      = prepare (store,
                 "SELECT " COLUMNS ", attempts, not_before FROM deliveries JOIN alerts ON id = alert"
                 " WHERE channel = ?1 ORDER BY deliveries.seq LIMIT 1",
                 (const char *[]){ channel, NULL }, error);
  int step = statement ? sqlite3_step (statement) : SQLITE_DONE;
  if (step == SQLITE_ROW) {
    alert = read_alert (statement);
    *attempts = (guint)sqlite3_column_int (statement, 12);
    *not_before = sqlite3_column_int64 (statement, 13);
  } else if (step != SQLITE_DONE) {
    store_fail (store, "read it", error);
  }
  sqlite3_finalize (statement);
  g_mutex_unlock (&store->lock);
  return alert;
}

bool
alert_store_delivered (AlertStore *store, const char *channel, const char *id, GError **error)
{
  g_mutex_lock (&store->lock);
  bool ok = run (store,
                 prepare (store, "DELETE FROM deliveries WHERE channel = ?1 AND alert = ?2",
                          (const char *[]){ channel, id, NULL }, error),
                 error);
  g_mutex_unlock (&store->lock);
  return ok;
}

bool
alert_store_failed (AlertStore *store, const char *channel, const char *id, gint64 not_before,
                    const char *why, GError **error)
{
  g_mutex_lock (&store->lock);
  sqlite3_stmt *statement
      = prepare (store,
                 "UPDATE deliveries SET attempts = attempts + 1, error = ?3, not_before = ?4"
                 " WHERE channel = ?1 AND alert = ?2",
                 (const char *[]){ channel, id, why, NULL }, error);
  if (statement)
    sqlite3_bind_int64 (statement, 4, not_before);
  bool ok = run (store, statement, error);
  g_mutex_unlock (&store->lock);
  return ok;
}

bool
alert_store_refused (AlertStore *store, const char *channel, const char *id, gint64 not_before,
                     const char *why, guint *times, GError **error)
{
  g_mutex_lock (&store->lock);
  sqlite3_stmt *statement = prepare (
      store,
      "UPDATE deliveries SET attempts = iif (seq > ?5, attempts + 1, 1), error = ?3, not_before = ?4,"
      " seq = (SELECT max (?5, max (seq)) + 1 FROM deliveries WHERE channel = ?1)"
      " WHERE channel = ?1 AND alert = ?2 RETURNING attempts",
      (const char *[]){ channel, id, why, NULL }, error);
  if (statement) {
    sqlite3_bind_int64 (statement, 4, not_before);
    sqlite3_bind_int64 (statement, 5, REFUSED_SEQ);
    if (sqlite3_step (statement) == SQLITE_ROW)
      *times = (guint)sqlite3_column_int (statement, 0);
  }
  bool ok = run (store, statement, error);
  g_mutex_unlock (&store->lock);
  return ok;
}
