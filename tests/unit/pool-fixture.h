/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pool in a temporary directory and snapshots with known content, for the tests of the pool. */
#pragma once

#include "base/files.h"
#include "guardd/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <openssl/sha.h>
#include <string.h>
#include <unistd.h>

#define DOMAIN "11111111-2222-3333-4444-555555555555"
#define DISK_SIZE (8 * (guint64)GUARDD_BLOCK_SIZE)

typedef struct {
  char *directory, *path, *catalog;
  Pool *pool;
} Fixture;

static inline void
fixture_open (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  const char *plugins = g_getenv ("GUARDD_PLUGIN_DIR");
  fixture->pool = pool_open ("main", fixture->path, plugins ? plugins : "build/plugins", fixture->catalog,
                             NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (fixture->pool);
}

static inline void
fixture_close (Fixture *fixture)
{
  g_clear_pointer (&fixture->pool, pool_close);
}

static inline void
fixture_reopen (Fixture *fixture)
{
  fixture_close (fixture);
  fixture_open (fixture);
}

static inline void
fixture_set_up (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  fixture->directory = g_dir_make_tmp ("guardd-pool-XXXXXX", &error);
  g_assert_no_error (error);
  fixture->path = g_build_filename (fixture->directory, "pool", NULL);
  fixture->catalog = g_build_filename (fixture->directory, "catalog.sqlite", NULL);
  pool_create (fixture->path, 0, NULL, &error);
  g_assert_no_error (error);
  fixture_open (fixture);
}

static inline void
fixture_tear_down (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  fixture_close (fixture);
  files_remove_tree (AT_FDCWD, fixture->directory, &error);
  g_assert_no_error (error);
  g_free (fixture->directory);
  g_free (fixture->path);
  g_free (fixture->catalog);
}

/* "POOL/DOMAIN/…"; g_free() */
static inline char *
fixture_path (const Fixture *fixture, const char *name)
{
  return g_build_filename (fixture->path, DOMAIN, name, NULL);
}

/* Not inline: gcc 12 warns of a dangling pointer that there is not. */
__attribute__ ((noinline, unused)) static char *
fixture_get (const Fixture *fixture, const char *name, gsize *length)
{
  g_autofree char *path = fixture_path (fixture, name);
  g_autoptr (GError) error = NULL;
  char *text = NULL;
  g_file_get_contents (path, &text, length, &error);
  g_assert_no_error (error);
  return text;
}

/* What somebody with root would do: overwrite the file in place, sealed or not. */
static inline void
fixture_put (const Fixture *fixture, const char *name, const void *data, gsize length)
{
  g_autofree char *path = fixture_path (fixture, name);
  int fd = open (path, O_RDONLY);
  if (fd >= 0) {
    files_set_immutable (fd, false);
    close (fd);
  }
  fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (write (fd, data, length), ==, (gssize)length);
  close (fd);
}

static inline bool
fixture_has (const Fixture *fixture, const char *name)
{
  g_autofree char *path = fixture_path (fixture, name);
  return access (path, F_OK) == 0;
}

/* A problem that holds all of the words (NULL-terminated list) is reported. */
static inline bool
fixture_reports (const Fixture *fixture, const char *word, const char *other)
{
  g_auto (GStrv) problems = pool_problems (fixture->pool);
  for (char **problem = problems; *problem; problem++)
    if (strstr (*problem, word) && strstr (*problem, other))
      return true;
  return false;
}

static inline guint
fixture_problems (const Fixture *fixture)
{
  g_auto (GStrv) problems = pool_problems (fixture->pool);
  for (char **problem = problems; *problem; problem++)
    g_test_message ("problem: %s", *problem);
  return g_strv_length (problems);
}

static inline guint
fixture_count (const Fixture *fixture)
{
  g_autoptr (GPtrArray) snapshots = pool_snapshots (fixture->pool, DOMAIN);
  return snapshots->len;
}

/* --- taking snapshots --- */

static inline void
draft_add_disk (PoolDraft *draft, Manifest *manifest, const char *target, guint64 parent, guint64 block,
                guint8 fill)
{
  g_autoptr (GError) error = NULL;
  struct guardd_image_info info = { .size_of = sizeof info };
  guint8 hash[SHA256_DIGEST_LENGTH];
  void *data = NULL;
  g_assert_cmpint (posix_memalign (&data, 4096, GUARDD_BLOCK_SIZE), ==, 0);
  memset (data, fill, GUARDD_BLOCK_SIZE);
  SHA256 (data, GUARDD_BLOCK_SIZE, hash);
  StorageWriter *writer = pool_draft_image (draft, target, parent, DISK_SIZE, &error);
  g_assert_no_error (error);
  storage_image_write (writer, block, 1, data, hash, &error);
  g_assert_no_error (error);
  storage_image_seal (writer, &info, &error);
  g_assert_no_error (error);
  free (data);
  ManifestDisk *disk = manifest_add_disk (manifest, target);
  disk->source = g_strdup ("/images/web.raw");
  disk->format = g_strdup ("raw");
  disk->size = DISK_SIZE;
  disk->parent = parent;
  disk->stored_bytes = info.stored_bytes;
  disk->changed_bytes = info.changed_blocks * GUARDD_BLOCK_SIZE;
  memcpy (disk->index_hash, info.index_hash, sizeof disk->index_hash);
}

static inline Manifest *
fixture_manifest (guint64 number, gint64 time_us)
{
  Manifest *manifest = manifest_new ();
  manifest->number = number;
  manifest->id = g_uuid_string_random ();
  manifest->domain_uuid = g_strdup (DOMAIN);
  manifest->domain_name = g_strdup ("web01");
  manifest->time_us = time_us;
  manifest->engine = g_strdup ("qmp");
  manifest->origin = g_strdup ("schedule");
  return manifest;
}

static inline PoolDraft *
fixture_draft (const Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  PoolDraft *draft = pool_draft_new (fixture->pool, DOMAIN, 1 << 20, &error);
  g_assert_no_error (error);
  return draft;
}

/* One disk vda; `block` filled with the low byte of the new number, the rest as in parent (0: zero). */
static inline guint64
fixture_take_as (const Fixture *fixture, guint64 parent, guint64 block, gint64 time_us,
                 const SnapshotState *state)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) xml = g_bytes_new_static ("<domain/>", 9);
  PoolDraft *draft = fixture_draft (fixture);
  guint64 number = pool_draft_number (draft);
  g_autoptr (Manifest) manifest = fixture_manifest (number, time_us);
  draft_add_disk (draft, manifest, "vda", parent, block, (guint8)number);
  pool_draft_file (draft, "domain.xml", xml, &error);
  g_assert_no_error (error);
  pool_draft_commit (draft, manifest, state, &error);
  g_assert_no_error (error);
  return number;
}

static inline guint64
fixture_take (const Fixture *fixture, guint64 parent, guint64 block, gint64 time_us)
{
  return fixture_take_as (fixture, parent, block, time_us, NULL);
}

static inline bool
fixture_hold (const Fixture *fixture, guint64 number, const char *why)
{
  return pool_change_state (fixture->pool, DOMAIN, number, &(StateChange){ .hold = why }, NULL);
}

/* n snapshots, a minute apart, each on the one before. */
static inline void
fixture_take_many (const Fixture *fixture, guint n)
{
  g_autoptr (Snapshot) latest = pool_latest (fixture->pool, DOMAIN);
  guint64 parent = latest ? latest->manifest->number : 0;
  for (guint i = 0; i < n; i++)
    parent = fixture_take (fixture, parent, parent % 8, (gint64)(parent + 1) * 60 * G_USEC_PER_SEC);
}

/* The first byte of a block as the snapshot has it. */
static inline guint8
fixture_read (const Fixture *fixture, guint64 number, guint64 block)
{
  g_autoptr (GError) error = NULL;
  guint8 byte = 0xee;
  g_autoptr (StorageReader) reader = pool_image_open (fixture->pool, DOMAIN, number, "vda", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (storage_image_size (reader), ==, DISK_SIZE);
  storage_image_read (reader, block * GUARDD_BLOCK_SIZE, &byte, 1, &error);
  g_assert_no_error (error);
  return byte;
}

/* Every block of a snapshot made by fixture_take_many() is what it was when it was taken. */
static inline void
fixture_check_content (const Fixture *fixture, guint64 number)
{
  for (guint64 block = 0; block < 8; block++) {
    guint64 writer = 0; /* the newest snapshot not newer than `number` that wrote this block */
    for (guint64 n = 1; n <= number; n++)
      if ((n - 1) % 8 == block)
        writer = n;
    g_assert_cmpuint (fixture_read (fixture, number, block), ==, (guint8)writer);
  }
}

static inline void
fixture_delete (const Fixture *fixture, guint64 number)
{
  g_autoptr (GError) error = NULL;
  pool_delete (fixture->pool, DOMAIN, &number, 1, false, NULL, &error);
  g_assert_no_error (error);
}
