/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-nbd ends when guardd has what it wants, and when it wants nothing any more. */
#include "guardd/nbd-socket.h"

#include <glib/gstdio.h>
#include <libnbd.h>
#include <unistd.h>

typedef struct {
  char *directory, *image;
  NbdServer *server;
  int client;
} Fixture;

static void
set_up (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  fixture->directory = g_dir_make_tmp ("guardd-nbd-XXXXXX", &error);
  g_assert_no_error (error);
  fixture->image = g_build_filename (fixture->directory, "image", NULL);
  g_assert_true (g_file_set_contents (fixture->image, "raw", -1, &error));
  g_assert_cmpint (truncate (fixture->image, 1 << 20), ==, 0);
  NbdImage image = { .path = fixture->image, .format = "raw" };
  fixture->server = nbd_server_start (fixture->directory, &image, &fixture->client, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *fixture, const void *data)
{
  g_unlink (fixture->image);
  g_rmdir (fixture->directory);
  g_free (fixture->image);
  g_free (fixture->directory);
}

static void
test_ends_with_its_client (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  char bytes[3];
  struct nbd_handle *nbd = nbd_create ();
  g_assert_cmpint (nbd_connect_socket (nbd, fixture->client), ==, 0);
  g_assert_cmpint (nbd_pread (nbd, bytes, sizeof bytes, 0, 0), ==, 0);
  g_assert_cmpmem (bytes, 3, "raw", 3);
  nbd_close (nbd);
  nbd_server_stop (fixture->server, &error);
  g_assert_no_error (error);
}

/* A guest that starts while its images are opened to be read. */
static void
test_ends_without_having_had_a_client (Fixture *fixture, const void *data)
{
  close (fixture->client);
  g_assert_true (nbd_server_abort (fixture->server));
}

#define ADD(name) g_test_add ("/nbd-server/" #name, Fixture, NULL, set_up, test_##name, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (ends_with_its_client);
  ADD (ends_without_having_had_a_client);
  return g_test_run ();
}
