/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lvm-pool DIRECTORY VG THIN-POOL BUILD [KEY=VALUE …]: a pool of thin volumes (made if it is not there) and
 * one guest's snapshots in it, taken as guardd takes them.  A line of input is a command, and one line
 * answers it:
 *
 *   - take FILL BLOCKS: a snapshot whose first BLOCKS blocks are filled with FILL; "taken N", "full: …" or
 * "failed: …"
 *   - hold N: "held"
 *   - room: what is done after each snapshot when the pool fills; "removed COUNT"
 *   - upkeep: what pruning does where nothing is to be pruned; "kept"
 *   - list: "listed N N …"
 *   - verify N FILL: its content is FILL, and proved; "verified" or "failed: …"
 */
#include "guardd/pool.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN "11111111-2222-3333-4444-555555555555"
#define DISK_SIZE ((guint64)1 << 30)
#define PARAMS_MAX 8u

static bool
image_fill (StorageWriter *writer, int fill, guint64 blocks, GError **error)
{
  guint8 hash[SHA256_DIGEST_LENGTH];
  g_autofree guint8 *data = aligned_alloc (4096, GUARDD_BLOCK_SIZE);
  memset (data, fill, GUARDD_BLOCK_SIZE);
  SHA256 (data, GUARDD_BLOCK_SIZE, hash);
  for (guint64 block = 0; block < blocks; block++)
    if (!storage_image_write (writer, block, 1, data, hash, error))
      return false;
  return true;
}

static Manifest *
manifest_make (guint64 number, guint64 parent, const struct guardd_image_info *info)
{
  Manifest *manifest = manifest_new ();
  manifest->number = number;
  manifest->id = g_uuid_string_random ();
  manifest->domain_uuid = g_strdup (DOMAIN);
  manifest->domain_name = g_strdup ("web01");
  manifest->time_us = g_get_real_time ();
  manifest->engine = g_strdup ("qmp");
  manifest->origin = g_strdup ("schedule");
  ManifestDisk *disk = manifest_add_disk (manifest, "vda");
  disk->source = g_strdup ("/images/web.raw");
  disk->format = g_strdup ("raw");
  disk->size = DISK_SIZE;
  disk->parent = parent;
  disk->stored_bytes = info->stored_bytes;
  disk->changed_bytes = info->changed_blocks * GUARDD_BLOCK_SIZE;
  memcpy (disk->index_hash, info->index_hash, sizeof disk->index_hash);
  return manifest;
}

/* 0: failed. */
static guint64
take (Pool *pool, int fill, guint64 blocks, GError **error)
{
  struct guardd_image_info info = { .size_of = sizeof info };
  g_autoptr (Snapshot) latest = pool_latest (pool, DOMAIN);
  guint64 parent = latest ? latest->manifest->number : 0;
  PoolDraft *draft = pool_draft_new (pool, DOMAIN, blocks * GUARDD_BLOCK_SIZE, error);
  if (draft == NULL)
    return 0;
  guint64 number = pool_draft_number (draft);
  StorageWriter *writer = pool_draft_image (draft, "vda", parent, DISK_SIZE, error);
  bool filled = writer && image_fill (writer, fill, blocks, error);
  if (writer && !filled)
    storage_image_abort (writer);
  if (!filled || !storage_image_seal (writer, &info, error)) {
    pool_draft_abort (draft);
    return 0;
  }
  g_autoptr (Manifest) manifest = manifest_make (number, parent, &info);
  return pool_draft_commit (draft, manifest, NULL, error) ? number : 0;
}

static bool
hold (Pool *pool, guint64 number, GError **error)
{
  return pool_change_state (pool, DOMAIN, number, &(StateChange){ .hold = "test" }, error);
}

static bool
verify (Pool *pool, guint64 number, int fill, GError **error)
{
  guint8 byte = 0;
  if (!pool_verify (pool, DOMAIN, number, true, NULL, NULL, error))
    return false;
  g_autoptr (StorageReader) reader = pool_image_open (pool, DOMAIN, number, "vda", error);
  if (reader == NULL || !storage_image_read (reader, 5, &byte, 1, error))
    return false;
  if (byte != fill)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "content is %u", byte);
  return byte == fill;
}

static void
list (Pool *pool)
{
  g_autoptr (GPtrArray) all = pool_snapshots (pool, DOMAIN);
  fputs ("listed", stdout);
  for (guint i = 0; i < all->len; i++)
    printf (" %" G_GUINT64_FORMAT, ((const Snapshot *)all->pdata[i])->manifest->number);
  putchar ('\n');
}

static void
command (Pool *pool, char **words)
{
  g_autoptr (GError) error = NULL;
  guint64 one = words[1] ? g_ascii_strtoull (words[1], NULL, 10) : 0,
          two = words[1] && words[2] ? g_ascii_strtoull (words[2], NULL, 10) : 0, number = 0;
  if (strcmp (words[0], "take") == 0 && (number = take (pool, (int)one, two, &error)))
    printf ("taken %" G_GUINT64_FORMAT "\n", number);
  else if (strcmp (words[0], "hold") == 0 && hold (pool, one, &error))
    puts ("held");
  else if (strcmp (words[0], "room") == 0 && pool_make_room (pool, DOMAIN, &number, NULL, &error))
    printf ("removed %" G_GUINT64_FORMAT "\n", number);
  else if (strcmp (words[0], "upkeep") == 0 && pool_delete (pool, DOMAIN, NULL, 0, false, NULL, &error))
    puts ("kept");
  else if (strcmp (words[0], "verify") == 0 && verify (pool, one, (int)two, &error))
    puts ("verified");
  else if (strcmp (words[0], "list") == 0)
    list (pool);
  else
    printf ("%s: %s\n",
            g_error_matches (error, POOL_ERROR, POOL_ERROR_FULL)
                    || g_error_matches (error, STORAGE_ERROR, STORAGE_ERROR_FULL)
                ? "full"
                : "failed",
            error ? error->message : "no such command");
  fflush (stdout);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  struct guardd_param params[PARAMS_MAX];
  char line[256];
  if (argc < 5 || argc - 5 + 2 > (int)PARAMS_MAX)
    return 2;
  PoolStorage storage = { "lvmthin", params, 0, argv[4] };
  params[storage.n_params++] = (struct guardd_param){ "volume_group", argv[2] };
  params[storage.n_params++] = (struct guardd_param){ "thin_pool", argv[3] };
  g_autofree char *identity = g_build_filename (argv[1], "pool.json", NULL);
  g_autofree char *plugins = g_build_filename (argv[4], "plugins", NULL);
  if (!g_file_test (identity, G_FILE_TEST_EXISTS))
    pool_create (argv[1], 0, &storage, &error);
  for (int i = 5; i < argc; i++) {
    char **parts = g_strsplit (argv[i], "=", 2);
    params[storage.n_params++] = (struct guardd_param){ parts[0], parts[1] };
  }
  Pool *pool = error ? NULL : pool_open ("main", argv[1], plugins, NULL, &storage, &error);
  if (pool == NULL) {
    printf ("failed: %s\n", error->message);
    return 1;
  }
  g_auto (GStrv) problems = pool_problems (pool);
  for (char **problem = problems; *problem; problem++)
    fprintf (stderr, "lvm-pool: %s\n", *problem);
  puts ("open");
  fflush (stdout);
  while (fgets (line, sizeof line, stdin) != NULL) {
    g_auto (GStrv) words = g_strsplit (g_strchomp (line), " ", 3);
    command (pool, words);
  }
  pool_close (pool);
  return 0;
}
