/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QMP client against a scripted fake, for faults that a real QEMU will not show. */
#include "qmp/qmp-block.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n{\"return\": {}, \"id\": \"caps\"}\r\n"
#define STATUS "{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": \"guardd-1\"}\r\n"

static const QmpLimits limits = { .max_message = 65536, .max_events = 4, .connect_ms = 300, .call_ms = 300 };

/* A client whose QEMU has said `text` already; *other stays open unless `hang_up`. */
static QmpClient *
fake (const char *text, size_t length, bool hang_up, int *other, GError **error)
{
  int ends[2];
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
  g_assert_cmpint (write (ends[1], text, length), ==, (gssize)length);
  if (hang_up)
    shutdown (ends[1], SHUT_WR);
  *other = ends[1];
  return qmp_client_new_fd (ends[0], &limits, error);
}

/* Says hello and then `text`, asks for the status, and expects this error (-1: success). */
static void
status_expect (const char *text, bool hang_up, int code)
{
  g_autoptr (GError) error = NULL;
  QmpStatus status = QMP_STATUS_OTHER;
  int other;
  g_autoptr (QmpClient) client = fake (HELLO, strlen (HELLO), false, &other, &error);
  g_assert_no_error (error);
  g_assert_cmpint (write (other, text, strlen (text)), ==, (gssize)strlen (text));
  if (hang_up)
    shutdown (other, SHUT_WR);
  bool ok = qmp_query_status (client, &status, &error);
  if (code < 0) {
    g_assert_no_error (error);
    g_assert_true (ok);
    g_assert_cmpint (status, ==, QMP_STATUS_RUNNING);
  } else
    g_assert_error (error, QMP_ERROR, code);
  close (other);
}

static void
greeting_expect (const char *text, bool hang_up, int code)
{
  g_autoptr (GError) error = NULL;
  int other;
  g_autoptr (QmpClient) client = fake (text, strlen (text), hang_up, &other, &error);
  g_assert_null (client);
  g_assert_error (error, QMP_ERROR, code);
  close (other);
}

static void
test_answers (void)
{
  status_expect (STATUS, false, -1);
}

static void
test_events_between (void)
{
  status_expect ("{\"event\": \"STOP\", \"timestamp\": {}}\r\n" STATUS, false, -1);
}

static void
test_unknown_ids (void)
{
  status_expect ("{\"return\": {\"status\": \"paused\"}, \"id\": \"other\"}\r\n" STATUS, false, -1);
  status_expect ("{\"return\": {\"status\": \"paused\"}}\r\n" STATUS, false, -1);
}

static void
test_garbage (void)
{
  status_expect ("HTTP/1.1 200 OK\r\n", false, QMP_ERROR_PROTOCOL);
  status_expect ("{\"return\": }\r\n", false, QMP_ERROR_PROTOCOL);
}

static void
test_half_a_message (void)
{
  status_expect ("{\"return\": {\"sta", true, QMP_ERROR_HANGUP);
  status_expect ("{\"return\": {\"sta", false, QMP_ERROR_TIMEOUT);
}

static void
test_hang_up (void)
{
  status_expect ("", true, QMP_ERROR_HANGUP);
}

static void
test_silence (void)
{
  status_expect ("", false, QMP_ERROR_TIMEOUT);
  greeting_expect ("", false, QMP_ERROR_TIMEOUT);
}

static void
test_wrong_types (void)
{
  status_expect ("{\"return\": {\"status\": 7}, \"id\": \"guardd-1\"}\r\n", false, QMP_ERROR_REPLY);
  status_expect ("{\"return\": [], \"id\": \"guardd-1\"}\r\n", false, QMP_ERROR_REPLY);
  status_expect ("{\"id\": \"guardd-1\"}\r\n", false, QMP_ERROR_REPLY);
}

static void
test_no_greeting (void)
{
  greeting_expect ("{\"hello\": 1}\r\n", false, QMP_ERROR_PROTOCOL);
  greeting_expect ("", true, QMP_ERROR_HANGUP);
}

static void
test_huge_message (void)
{
  g_autofree char *blank = g_strnfill (70000, 'x');
  g_autofree char *text = g_strdup_printf ("{\"return\": \"%s\", \"id\": \"guardd-1\"}\r\n", blank);
  status_expect (text, false, QMP_ERROR_PROTOCOL);
}

static void
test_deep_nesting (void)
{
  g_autofree char *deep = g_strnfill (5000, '[');
  g_autofree char *text = g_strdup_printf ("{\"return\": %s\r\n", deep);
  status_expect (text, false, QMP_ERROR_PROTOCOL);
}

static void
test_errors_keep_their_class (void)
{
  static const char text[]
      = HELLO "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"no\"}, \"id\": \"guardd-1\"}\r\n"
              "{\"return\": {\"status\": \"running\"}, \"id\": \"guardd-2\"}\r\n";
  g_autoptr (GError) error = NULL;
  int other;
  QmpStatus status;
  g_autoptr (QmpClient) client = fake (text, strlen (text), false, &other, &error);
  g_assert_false (qmp_query_status (client, &status, &error));
  g_assert_error (error, QMP_ERROR, QMP_ERROR_COMMAND);
  g_assert_cmpstr (qmp_error_class (error), ==, "DeviceNotFound");
  g_clear_error (&error);
  /* an error of the command leaves the client whole */
  g_assert_true (qmp_query_status (client, &status, &error));
  close (other);
}

static void
test_a_late_answer_breaks_it_for_good (void)
{
  g_autoptr (GError) error = NULL;
  int other;
  QmpStatus status;
  g_autoptr (QmpClient) client = fake (HELLO, strlen (HELLO), false, &other, &error);
  g_assert_false (qmp_query_status (client, &status, &error));
  g_assert_error (error, QMP_ERROR, QMP_ERROR_TIMEOUT);
  g_clear_error (&error);
  g_assert_cmpint (write (other, STATUS, strlen (STATUS)), >, 0);
  g_assert_false (qmp_query_status (client, &status, &error));
  g_assert_error (error, QMP_ERROR, QMP_ERROR_BROKEN);
  close (other);
}

static void
test_floods_of_events_are_bounded (void)
{
  GString *text = g_string_new (HELLO);
  for (guint i = 0; i < 1000; i++)
    g_string_append_printf (text, "{\"event\": \"E%u\", \"timestamp\": {}}\r\n", i);
  g_string_append (text, STATUS);
  g_autoptr (GError) error = NULL;
  int other;
  QmpStatus status;
  g_autoptr (QmpClient) client = fake (text->str, text->len, false, &other, &error);
  g_assert_true (qmp_query_status (client, &status, &error));
  json_object *event;
  guint n = 0;
  while ((event = qmp_client_next_event (client, 0, &error)) != NULL) {
    json_object_put (event);
    n++;
  }
  g_assert_cmpuint (n, ==, limits.max_events);
  g_string_free (text, TRUE);
  close (other);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/qmp/answers", test_answers);
  g_test_add_func ("/qmp/events may come between", test_events_between);
  g_test_add_func ("/qmp/unknown ids are dropped", test_unknown_ids);
  g_test_add_func ("/qmp/garbage", test_garbage);
  g_test_add_func ("/qmp/half a message", test_half_a_message);
  g_test_add_func ("/qmp/hang-up", test_hang_up);
  g_test_add_func ("/qmp/silence", test_silence);
  g_test_add_func ("/qmp/wrong types", test_wrong_types);
  g_test_add_func ("/qmp/no greeting", test_no_greeting);
  g_test_add_func ("/qmp/huge message", test_huge_message);
  g_test_add_func ("/qmp/deep nesting", test_deep_nesting);
  g_test_add_func ("/qmp/errors keep their class", test_errors_keep_their_class);
  g_test_add_func ("/qmp/a late answer breaks it for good", test_a_late_answer_breaks_it_for_good);
  g_test_add_func ("/qmp/floods of events are bounded", test_floods_of_events_are_bounded);
  return g_test_run ();
}
