/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Channels: the real webhook plugin, and a receiver that answers as a test wants. */
#include "base/json.h"
#include "guardd/alerts.h"

#include <glib/gstdio.h>
#include <sqlite3.h>
#include <string.h>

#define PATIENCE_US (60 * G_USEC_PER_SEC)

typedef struct {
  char *directory;
  GSocketService *service;
  GMainLoop *loop; /* of the service */
  GThread *thread;
  Config *config;
  Alerts *alerts;
  GMutex lock;
  GCond changed;
  GPtrArray *asked; /* char *: ids, as they came */
  char *body;       /* of the last request */
  const char *bad;  /* the id that is answered with `status`; all others: 200 */
  guint status, times;
} Fixture;

/* --- the receiver --- */

static guint
answer_to (Fixture *fixture, const char *id, const char *body)
{
  guint status = 200;
  g_mutex_lock (&fixture->lock);
  g_free (fixture->body);
  fixture->body = g_strdup (body);
  g_ptr_array_add (fixture->asked, g_strdup (id));
  if (g_strcmp0 (id, fixture->bad) == 0 && fixture->times > 0) {
    fixture->times--;
    status = fixture->status;
  }
  g_cond_broadcast (&fixture->changed);
  g_mutex_unlock (&fixture->lock);
  return status;
}

static gboolean
on_request (GThreadedSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  GInputStream *input = g_io_stream_get_input_stream (G_IO_STREAM (connection));
  g_autoptr (GDataInputStream) lines = g_data_input_stream_new (input);
  g_autofree char *id = NULL;
  gsize length = 0;
  for (;;) {
    g_autofree char *line = g_data_input_stream_read_line (lines, NULL, NULL, NULL);
    if (line == NULL || strlen (line) <= 1)
      break;
    if (g_str_has_prefix (line, "X-Guardd-Id: "))
      id = g_strndup (strchr (line, ' ') + 1, strlen ("id-0000"));
    if (g_str_has_prefix (line, "Content-Length: "))
      length = g_ascii_strtoull (strchr (line, ' ') + 1, NULL, 10);
  }
  g_autofree char *body = g_malloc0 (length + 1);
  g_input_stream_read_all (G_INPUT_STREAM (lines), body, length, NULL, NULL, NULL);
  g_autofree char *answer
      = g_strdup_printf ("HTTP/1.0 %u As told\r\nContent-Length: 0\r\n\r\n", answer_to (data, id, body));
  g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM (connection)), answer,
                             strlen (answer), NULL, NULL, NULL);
  return TRUE;
}

static gpointer
on_loop (gpointer loop)
{
  g_main_loop_run (loop);
  return NULL;
}

/* --- the channel --- */

static void
set_up_as (Fixture *fixture, const char *template)
{
  g_autoptr (GError) error = NULL;
  fixture->directory = g_dir_make_tmp ("guardd-alerts-XXXXXX", &error);
  fixture->asked = g_ptr_array_new_with_free_func (g_free);
  fixture->service = g_threaded_socket_service_new (4);
  guint port = g_socket_listener_add_any_inet_port (G_SOCKET_LISTENER (fixture->service), NULL, &error);
  g_assert_no_error (error);
  g_signal_connect (fixture->service, "run", G_CALLBACK (on_request), fixture);
  fixture->loop = g_main_loop_new (NULL, FALSE);
  fixture->thread = g_thread_new ("receiver", on_loop, fixture->loop);
  g_autofree char *text
      = g_strdup_printf ("[daemon]\nstate_dir = %s\nplugin_dir = %s\n"
                         "[pool main]\npath = /nowhere\n[alert hook]\ntype = webhook\nurl = "
                         "http://127.0.0.1:%u/\ntemplate = %s\n",
                         fixture->directory, g_getenv ("GUARDD_PLUGIN_DIR"), port, template);
  fixture->config = config_parse ("test", text, &error);
  g_assert_no_error (error);
  fixture->alerts = alerts_open (fixture->config, &error);
  g_assert_no_error (error);
}

static void
set_up (Fixture *fixture, const void *data)
{
  set_up_as (fixture, "generic");
}

static void
tear_down (Fixture *fixture, const void *data)
{
  g_autofree char *path = g_build_filename (fixture->directory, "alerts.sqlite", NULL);
  alerts_close (fixture->alerts);
  g_main_loop_quit (fixture->loop);
  g_thread_join (fixture->thread);
  g_main_loop_unref (fixture->loop);
  g_socket_service_stop (fixture->service);
  g_object_unref (fixture->service);
  config_free (fixture->config);
  g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_cmpint (g_rmdir (fixture->directory), ==, 0);
  g_ptr_array_unref (fixture->asked);
  g_free (fixture->body);
  g_free (fixture->directory);
}

static void
raise_with (Fixture *fixture, const char *id, const char *summary, const char *rollback)
{
  g_autoptr (GError) error = NULL;
  const Alert alert = { .id = (char *)id,
                        .uuid = (char *)"uuid",
                        .domain = (char *)"web01",
                        .level = (char *)"critical",
                        .summary = (char *)summary,
                        .rollback = (char *)rollback,
                        .json = (char *)"{}",
                        .time_us = 1 };
  alerts_raise (fixture->alerts, &alert, &error);
  g_assert_no_error (error);
}

static void
raise_alert (Fixture *fixture, const char *id)
{
  raise_with (fixture, id, "p1: was ext4 and is empty", "");
}

static void
wait_asked (Fixture *fixture, guint n)
{
  gint64 end = g_get_monotonic_time () + PATIENCE_US;
  g_mutex_lock (&fixture->lock);
  while (fixture->asked->len < n)
    g_assert_true (g_cond_wait_until (&fixture->changed, &fixture->lock, end));
  g_mutex_unlock (&fixture->lock);
}

/* The ids of all requests until then. */
static void
assert_asked (Fixture *fixture, const char *expected)
{
  g_mutex_lock (&fixture->lock);
  g_ptr_array_add (fixture->asked, NULL);
  g_autofree char *asked = g_strjoinv (" ", (char **)fixture->asked->pdata);
  g_ptr_array_remove_index (fixture->asked, fixture->asked->len - 1);
  g_mutex_unlock (&fixture->lock);
  g_assert_cmpstr (asked, ==, expected);
}

/* --- the tests --- */

static void
test_refused (Fixture *fixture, const void *data)
{
  fixture->bad = "id-0001", fixture->status = 400, fixture->times = G_MAXUINT;
  raise_alert (fixture, "id-0001");
  raise_alert (fixture, "id-0002");
  wait_asked (fixture, 2);
  raise_alert (fixture, "id-0003");
  wait_asked (fixture, 3);
  assert_asked (fixture, "id-0001 id-0002 id-0003");
}

static void
test_away (Fixture *fixture, const void *data)
{
  fixture->bad = "id-0001", fixture->status = GPOINTER_TO_UINT (data), fixture->times = 2;
  raise_alert (fixture, "id-0001");
  raise_alert (fixture, "id-0002");
  wait_asked (fixture, 4);
  assert_asked (fixture, "id-0001 id-0001 id-0001 id-0002");
}

/* A disk is full for some time, as far as these statements go. */
static void
change_store (const Fixture *fixture, const char *sql)
{
  g_autofree char *path = g_build_filename (fixture->directory, "alerts.sqlite", NULL);
  sqlite3 *db = NULL;
  g_assert_cmpint (sqlite3_open (path, &db), ==, SQLITE_OK);
  sqlite3_busy_timeout (db, 5000);
  g_assert_cmpint (sqlite3_exec (db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (db);
}

static guint
undelivered (const Fixture *fixture)
{
  g_autoptr (GPtrArray) alerts = alert_store_list (alerts_store (fixture->alerts), NULL, 1, NULL);
  return ((Alert *)alerts->pdata[0])->undelivered;
}

static void
test_told_once (Fixture *fixture, const void *data)
{
  gint64 end = g_get_monotonic_time () + PATIENCE_US;
  change_store (fixture,
                "CREATE TABLE lost (id);"
                "CREATE TRIGGER full BEFORE DELETE ON deliveries WHEN (SELECT count(*) FROM lost) < 1"
                " BEGIN INSERT INTO lost VALUES (OLD.alert); SELECT RAISE (FAIL, 'full'); END");
  raise_alert (fixture, "id-0001");
  while (undelivered (fixture) > 0 && g_get_monotonic_time () < end)
    g_usleep (20000);
  g_assert_cmpuint (undelivered (fixture), ==, 0);
  assert_asked (fixture, "id-0001");
}

static void
test_lost_pause (Fixture *fixture, const void *data)
{
  change_store (fixture, "CREATE TRIGGER full BEFORE UPDATE ON deliveries"
                         " BEGIN SELECT RAISE (FAIL, 'full'); END");
  fixture->bad = "id-0001", fixture->status = 503, fixture->times = 1;
  raise_alert (fixture, "id-0001");
  wait_asked (fixture, 1);
  gint64 first = g_get_monotonic_time ();
  wait_asked (fixture, 2);
  g_assert_cmpint (g_get_monotonic_time () - first, >, 9 * G_USEC_PER_SEC);
}

/* Wherever it is cut, it is cut between two characters, and the way back is there. */
static void
test_slack (Fixture *fixture, const void *data)
{
  set_up_as (fixture, "slack");
  for (guint i = 0; i < 5; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GString) summary = g_string_new (NULL);
    g_autofree char *id = g_strdup_printf ("id-%04u", i);
    const char *text = NULL;
    for (guint n = 0; n < i + 4; n++)
      g_string_append_c (summary, n < i ? 'x' : '<');
    for (guint n = 0; n < 3000; n++)
      g_string_append (summary, "€");
    raise_with (fixture, id, summary->str, "guardsh rollback web01 41");
    wait_asked (fixture, i + 1);
    g_assert_true (g_utf8_validate (fixture->body, -1, NULL));
    g_autoptr (json_object) body = json_parse ("body", fixture->body, strlen (fixture->body), &error);
    g_assert_no_error (error);
    g_assert_true (json_get_string (body, "text", &text, &error));
    g_assert_nonnull (strstr (text, "web01\nBring it back: `guardsh rollback web01 41`\n"));
    g_assert_nonnull (strstr (text, "&lt;&lt;&lt;&lt;€"));
  }
}

static gint64
time_of (json_object *object, const char *key)
{
  g_autoptr (GError) error = NULL;
  const char *text = NULL;
  g_assert_true (json_get_string (object, key, &text, &error));
  g_autoptr (GDateTime) time = g_date_time_new_from_iso8601 (text, NULL);
  return g_date_time_to_unix (time);
}

/* Nobody sends it again: it must not be over for Alertmanager after five minutes. */
static void
test_alertmanager (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  gint64 begin = g_get_real_time () / G_USEC_PER_SEC, day = 24 * 60 * 60;
  set_up_as (fixture, "alertmanager");
  raise_alert (fixture, "id-0001");
  wait_asked (fixture, 1);
  g_autoptr (json_object) body = json_parse ("body", fixture->body, strlen (fixture->body), &error);
  g_assert_no_error (error);
  json_object *entry = json_object_array_get_idx (body, 0);
  g_assert_cmpint (time_of (entry, "startsAt"), ==, 0);
  g_assert_cmpint (time_of (entry, "endsAt"), >=, begin + day);
  g_assert_cmpint (time_of (entry, "endsAt"), <=, g_get_real_time () / G_USEC_PER_SEC + day);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR); /* what could not be told is warned of */
#define ADD(name, data, function)                                                                            \
  g_test_add ("/alerts/" name, Fixture, GUINT_TO_POINTER (data), set_up, function, tear_down)
  ADD ("one that is refused keeps no other waiting", 0, test_refused);
  ADD ("a receiver that fails gets all in order", 503, test_away);
  ADD ("a receiver that is asked too often gets all in order", 429, test_away);
  ADD ("a receiver that is not there, or asks who one is, gets all in order", 404, test_away);
  ADD ("what was told while nothing can be written is told once", 0, test_told_once);
  ADD ("a pause that cannot be written is made all the same", 0, test_lost_pause);
  g_test_add ("/alerts/a text for Slack is JSON with the way back, however long", Fixture, NULL, NULL,
              test_slack, tear_down);
  g_test_add ("/alerts/an alert for Alertmanager is shown for a day", Fixture, NULL, NULL, test_alertmanager,
              tear_down);
  return g_test_run ();
}
