/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A disk of a snapshot over NBD: what libnbd reads is what is stored, and what a liar sends ends only itself.
 */
#include "pool-fixture.h"

#include "guardd/nbd-export.h"

#include <libnbd.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef struct {
  Fixture pool;
  StorageReader *reader;
  NbdExport *served;
  char *path;
} Served;

static void
set_up (Served *served, const void *data)
{
  g_autoptr (GError) error = NULL;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  fixture_set_up (&served->pool, data);
  guint64 number = fixture_take (&served->pool, 0, 2, 1000000);
  served->reader = pool_image_open (served->pool.pool, DOMAIN, number, "vda", &error);
  g_assert_no_error (error);
  served->path = g_build_filename (served->pool.directory, "socket", NULL);
  g_strlcpy (address.sun_path, served->path, sizeof address.sun_path);
  int listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (listener, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint (listen (listener, 8), ==, 0);
  served->served = nbd_export_start (listener, served->reader);
}

static void
tear_down (Served *served, const void *data)
{
  nbd_export_stop (served->served);
  storage_image_release (served->reader);
  unlink (served->path);
  g_free (served->path);
  fixture_tear_down (&served->pool, data);
}

/* Waits while all its connections are taken. */
static struct nbd_handle *
open_disk (const Served *served)
{
  struct nbd_handle *nbd = nbd_create ();
  for (int attempt = 0; nbd_connect_unix (nbd, served->path) < 0; attempt++) {
    g_assert_cmpint (attempt, <, 1000);
    nbd_close (nbd);
    nbd = nbd_create ();
    g_usleep (10000);
  }
  return nbd;
}

static void
test_content (Served *served, const void *data)
{
  guint64 size = storage_image_size (served->reader);
  g_autofree char *there = g_malloc (size), *stored = g_malloc (size);
  struct nbd_handle *nbd = open_disk (served), *second = open_disk (served);
  g_assert_cmpint (nbd_get_size (nbd), ==, (gint64)size);
  g_assert_cmpint (nbd_is_read_only (nbd), ==, 1);
  g_assert_cmpint (nbd_pread (nbd, there, size, 0, 0), ==, 0);
  g_assert_true (storage_image_read (served->reader, 0, stored, size, NULL));
  g_assert_cmpmem (there, size, stored, size);
  g_assert_cmpint (nbd_pread (second, there, 5, 3, 0), ==, 0);
  g_assert_cmpmem (there, 5, stored + 3, 5);
  nbd_close (nbd);
  nbd_close (second);
}

static void
test_beyond_the_end (Served *served, const void *data)
{
  char byte;
  struct nbd_handle *nbd = open_disk (served);
  nbd_set_strict_mode (nbd, 0);
  g_assert_cmpint (nbd_pread (nbd, &byte, 1, storage_image_size (served->reader), 0), ==, -1);
  g_assert_cmpint (nbd_pread (nbd, &byte, 1, G_MAXUINT64, 0), ==, -1);
  g_assert_cmpint (nbd_pread (nbd, &byte, 1, 0, 0), ==, 0);
  nbd_close (nbd);
}

static void
test_writing_ends_the_connection (Served *served, const void *data)
{
  char byte = 'x', there, stored;
  struct nbd_handle *nbd = open_disk (served), *other = open_disk (served);
  nbd_set_strict_mode (nbd, 0);
  g_assert_cmpint (nbd_pwrite (nbd, &byte, 1, 0, 0), ==, -1);
  g_assert_cmpint (nbd_pread (other, &there, 1, 0, 0), ==, 0);
  g_assert_true (storage_image_read (served->reader, 0, &stored, 1, NULL));
  g_assert_cmpint (there, ==, stored);
  nbd_close (nbd);
  nbd_close (other);
}

/* Whatever comes, the others are served. */
static void
test_garbage (Served *served, const void *data)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  GRand *random = g_rand_new_with_seed (1);
  g_strlcpy (address.sun_path, served->path, sizeof address.sun_path);
  for (int i = 0; i < 500; i++) {
    guint8 bytes[600];
    int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint (connect (fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    for (guint j = 0; j < sizeof bytes; j++)
      bytes[j] = (guint8)g_rand_int (random);
    /* A valid beginning now and then: what comes after it is read with more trust. */
    if (i % 2)
      memcpy (bytes, "\0\0\0\3IHAVEOPT\0\0\0\7\0\0\0\6\0\0\0\0\0\0", 26);
    if (i % 4 == 3)
      memcpy (bytes + 26, "\x25\x60\x95\x13\0\0\0\0", 8);
    send (fd, bytes, (size_t)g_rand_int_range (random, 1, sizeof bytes), MSG_NOSIGNAL);
    close (fd);
  }
  g_rand_free (random);
  test_content (served, data);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add ("/nbd-export/" name, Served, NULL, set_up, function, tear_down)
  ADD ("what is read is what is stored, on several connections", test_content);
  ADD ("reading beyond the end fails, and only that", test_beyond_the_end);
  ADD ("who writes is cut off, and only that one", test_writing_ends_the_connection);
  ADD ("garbage harms nobody else", test_garbage);
  return g_test_run ();
}
