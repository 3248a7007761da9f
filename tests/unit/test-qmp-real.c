/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QMP client against a real qemu-storage-daemon, over its unix socket, with descriptors. */
#include "base/json.h"
#include "qmp/qmp-block.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

typedef struct {
  char *directory, *socket;
  GPid pid;
  QmpClient *client;
} Real;

static void
die_with_the_test (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static void
set_up (Real *real, const void *data)
{
  g_autoptr (GError) error = NULL;
  real->directory = g_dir_make_tmp ("guardd-qmp-XXXXXX", &error);
  g_assert_no_error (error);
  real->socket = g_build_filename (real->directory, "qmp.sock", NULL);
  g_autofree char *chardev = g_strdup_printf ("socket,id=m,path=%s,server=on,wait=off", real->socket);
  const char *argv[] = { "qemu-storage-daemon",
                         "--chardev",
                         chardev,
                         "--monitor",
                         "chardev=m",
                         "--blockdev",
                         "driver=null-co,node-name=disk,size=1073741824,read-zeroes=on",
                         "--blockdev",
                         "driver=null-co,node-name=target,size=1073741824,read-zeroes=on",
                         NULL };
  g_spawn_async (NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
                 die_with_the_test, NULL, &real->pid, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 1000 && real->client == NULL; i++) {
    real->client = qmp_client_new_unix (real->socket, NULL, NULL);
    if (real->client == NULL)
      g_usleep (10000);
  }
  g_assert_nonnull (real->client);
}

static void
tear_down (Real *real, const void *data)
{
  qmp_client_free (real->client);
  kill (real->pid, SIGKILL);
  g_spawn_close_pid (real->pid);
  g_unlink (real->socket);
  g_rmdir (real->directory);
  g_free (real->socket);
  g_free (real->directory);
}

static void
test_nodes_and_bitmaps (Real *real, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (qmp_bitmap_add (real->client, "disk", "one", 65536, &error));
  g_assert_true (qmp_bitmap_add (real->client, "disk", "two", 65536, &error));
  g_assert_no_error (error);
  g_autoptr (GHashTable) nodes = qmp_query_node_bitmaps (real->client, &error);
  g_assert_no_error (error);
  const GPtrArray *bitmaps = g_hash_table_lookup (nodes, "disk");
  g_assert_nonnull (bitmaps);
  g_assert_cmpuint (bitmaps->len, ==, 2);
  g_assert_true (qmp_bitmap_remove (real->client, "disk", "one", &error));
  g_assert_false (qmp_bitmap_remove (real->client, "disk", "none", &error));
  g_assert_error (error, QMP_ERROR, QMP_ERROR_COMMAND);
}

static void
test_a_transaction_is_all_or_nothing (Real *real, const void *data)
{
  g_autoptr (GError) error = NULL;
  guint64 elapsed = 0;
  g_autoptr (QmpTransaction) transaction = qmp_transaction_new ();
  qmp_transaction_backup_none (transaction, "one", "disk", "target");
  qmp_transaction_backup_none (transaction, "two", "disk", "missing");
  g_assert_false (qmp_transaction_run (transaction, real->client, 5000, &elapsed, &error));
  g_assert_error (error, QMP_ERROR, QMP_ERROR_COMMAND);
  g_clear_error (&error);
  g_autoptr (GPtrArray) jobs = qmp_query_jobs (real->client, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (jobs->len, ==, 0);
}

/* It goes as the command of its name. */
static void
test_a_transaction_of_one_action (Real *real, const void *data)
{
  g_autoptr (GError) error = NULL;
  guint64 elapsed = 0;
  g_autoptr (QmpTransaction) transaction = qmp_transaction_new ();
  qmp_transaction_backup_none (transaction, "one", "disk", "target");
  g_assert_true (qmp_transaction_run (transaction, real->client, 5000, &elapsed, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (elapsed, >, 0);
  g_autoptr (GPtrArray) jobs = qmp_query_jobs (real->client, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (jobs->len, ==, 1);
  g_assert_cmpstr (((const QmpJob *)jobs->pdata[0])->id, ==, "one");
}

static bool
export_read_only (Real *real, GError **error)
{
  json_object *arguments = json_tokener_parse (
      "{\"type\": \"nbd\", \"id\": \"no\", \"node-name\": \"disk\", \"bitmaps\": [\"old\"]}");
  g_autoptr (json_object) reply
      = qmp_client_call (real->client, "block-export-add", arguments, NULL, 0, 0, error);
  return reply != NULL;
}

/* Which is why the export is a writable one. */
static void
test_a_bitmap_is_exported_while_it_records (Real *real, const void *data)
{
  g_autoptr (GError) error = NULL, refusal = NULL;
  json_object *address = json_tokener_parse ("{\"addr\": {\"type\": \"unix\", \"data\": {}}}");
  g_autofree char *path = g_build_filename (real->directory, "nbd.sock", NULL);
  json_object_object_add (json_object_object_get (json_object_object_get (address, "addr"), "data"), "path",
                          json_object_new_string (path));
  g_autoptr (json_object) reply
      = qmp_client_call (real->client, "nbd-server-start", address, NULL, 0, 0, &error);
  g_assert_no_error (error);
  g_assert_true (qmp_bitmap_add (real->client, "disk", "old", 65536, &error));
  g_assert_false (export_read_only (real, &refusal));
  g_assert_nonnull (strstr (refusal->message, "incompatible with readonly export"));
  g_assert_true (qmp_export_add (real->client, "yes", "disk", "old", &error));
  g_autoptr (GHashTable) nodes = qmp_query_node_bitmaps (real->client, &error);
  g_assert_no_error (error);
  const GPtrArray *bitmaps = g_hash_table_lookup (nodes, "disk");
  g_assert_true (((const QmpBitmap *)bitmaps->pdata[0])->recording);
  g_assert_true (qmp_nbd_server_stop (real->client, &error));
  g_unlink (path);
}

static void
test_a_bitmap_takes_in_another (Real *real, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (qmp_bitmap_add (real->client, "disk", "old", 65536, &error));
  g_assert_true (qmp_bitmap_add (real->client, "disk", "new", 65536, &error));
  g_assert_true (qmp_bitmap_merge (real->client, "disk", "old", "new", &error));
  g_assert_false (qmp_bitmap_merge (real->client, "disk", "missing", "new", &error));
  g_assert_error (error, QMP_ERROR, QMP_ERROR_COMMAND);
}

/* This daemon has no getfd: a refusal that came with a descriptor leaves the client whole. */
static void
test_a_refused_descriptor (Real *real, const void *data)
{
  g_autoptr (GError) error = NULL;
  int fd = memfd_create ("guardd-test", MFD_CLOEXEC);
  g_assert_false (qmp_getfd (real->client, fd, "guardd-test", &error));
  g_assert_error (error, QMP_ERROR, QMP_ERROR_COMMAND);
  g_assert_cmpstr (qmp_error_class (error), ==, "CommandNotFound");
  g_clear_error (&error);
  close (fd);
  g_auto (GStrv) names = qmp_query_node_names (real->client, &error);
  g_assert_no_error (error);
  g_assert_true (g_strv_contains ((const char *const *)names, "disk"));
}

static void
test_features_come_from_the_schema (Real *real, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (qmp_client_has_command (real->client, "block-export-add", &error));
  g_assert_true (qmp_client_has_argument (real->client, "blockdev-backup", "job-id", &error));
  g_assert_no_error (error);
  g_assert_false (qmp_client_has_command (real->client, "no-such-command", NULL));
}

static void
test_its_end_is_a_hang_up (Real *real, const void *data)
{
  g_autoptr (GError) error = NULL;
  kill (real->pid, SIGKILL);
  g_auto (GStrv) names = qmp_query_node_names (real->client, &error);
  g_assert_null (names);
  g_assert_error (error, QMP_ERROR, QMP_ERROR_HANGUP);
}

#define TEST(name, function) g_test_add ("/qmp-real/" name, Real, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);
  TEST ("nodes and bitmaps", test_nodes_and_bitmaps);
  TEST ("a transaction is all or nothing", test_a_transaction_is_all_or_nothing);
  TEST ("a transaction of one action", test_a_transaction_of_one_action);
  TEST ("a bitmap is exported while it records", test_a_bitmap_is_exported_while_it_records);
  TEST ("a bitmap takes in another", test_a_bitmap_takes_in_another);
  TEST ("a refused descriptor", test_a_refused_descriptor);
  TEST ("features come from the schema", test_features_come_from_the_schema);
  TEST ("its end is a hang-up", test_its_end_is_a_hang_up);
  return g_test_run ();
}
