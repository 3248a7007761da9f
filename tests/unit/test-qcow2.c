/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The qcow2 storage plugin against a plain model in memory, and against QEMU's own tools. */
#include "pool-fixture.h"

#define BLOCKS 40u
#define ODD_SIZE ((guint64)BLOCKS * GUARDD_BLOCK_SIZE - 1000) /* no multiple of anything */

/* One byte per block fills it; 0 is zero.  The model of snapshot n is models[n]. */
typedef struct {
  Fixture fixture;
  GPtrArray *models; /* guint8[BLOCKS], NULL: deleted; index: number */
  guint64 last;
} Model;

static void
model_set_up (Model *model, const void *data)
{
  fixture_set_up (&model->fixture, data);
  model->models = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (model->models, NULL);
  model->last = 0;
}

static void
model_tear_down (Model *model, const void *data)
{
  g_ptr_array_unref (model->models);
  fixture_tear_down (&model->fixture, data);
}

static void
block_write (StorageWriter *writer, guint64 block, guint8 fill)
{
  g_autoptr (GError) error = NULL;
  guint8 hash[SHA256_DIGEST_LENGTH];
  void *data = NULL;
  g_assert_cmpint (posix_memalign (&data, 4096, GUARDD_BLOCK_SIZE), ==, 0);
  memset (data, fill, GUARDD_BLOCK_SIZE);
  if (block == BLOCKS - 1) /* what is beyond the disk's end is zero by contract */
    memset ((guint8 *)data + ODD_SIZE % GUARDD_BLOCK_SIZE, 0,
            GUARDD_BLOCK_SIZE - ODD_SIZE % GUARDD_BLOCK_SIZE);
  SHA256 (data, GUARDD_BLOCK_SIZE, hash);
  storage_image_write (writer, block, 1, data, hash, &error);
  g_assert_no_error (error);
  free (data);
}

/* A snapshot with `changes` random blocks written or zeroed. */
static void
model_take (Model *model, guint changes)
{
  g_autoptr (GError) error = NULL;
  struct guardd_image_info info = { .size_of = sizeof info };
  guint8 *now = g_malloc0 (BLOCKS);
  if (model->last > 0)
    memcpy (now, model->models->pdata[model->last], BLOCKS);
  PoolDraft *draft = fixture_draft (&model->fixture);
  guint64 number = pool_draft_number (draft);
  g_autoptr (Manifest) manifest = fixture_manifest (number, (gint64)number * G_USEC_PER_SEC);
  StorageWriter *writer = pool_draft_image (draft, "vda", model->last, ODD_SIZE, &error);
  g_assert_no_error (error);
  bool touched[BLOCKS] = { false };
  for (guint i = 0; i < changes; i++) {
    guint block = (guint)g_test_rand_int_range (0, BLOCKS);
    if (touched[block])
      continue;
    touched[block] = true;
    now[block] = g_test_rand_int_range (0, 3) == 0 ? 0 : (guint8)g_test_rand_int_range (1, 256);
    if (now[block])
      block_write (writer, block, now[block]);
    else
      storage_image_zero (writer, block, 1, &error);
    g_assert_no_error (error);
  }
  storage_image_seal (writer, &info, &error);
  g_assert_no_error (error);
  ManifestDisk *disk = manifest_add_disk (manifest, "vda");
  disk->source = g_strdup ("/images/web.raw");
  disk->format = g_strdup ("raw");
  disk->size = ODD_SIZE;
  disk->parent = model->last;
  disk->stored_bytes = info.stored_bytes;
  disk->changed_bytes = info.changed_blocks * GUARDD_BLOCK_SIZE;
  memcpy (disk->index_hash, info.index_hash, sizeof disk->index_hash);
  pool_draft_commit (draft, manifest, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (number, ==, model->models->len);
  g_ptr_array_add (model->models, now);
  model->last = number;
}

static void
model_delete (Model *model, const GArray *numbers)
{
  g_autoptr (GError) error = NULL;
  pool_delete (model->fixture.pool, DOMAIN, (const guint64 *)(const void *)numbers->data, numbers->len, false,
               NULL, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < numbers->len; i++)
    g_clear_pointer (&model->models->pdata[g_array_index (numbers, guint64, i)], g_free);
}

/* What the whole disk must read as. */
static guint8 *
model_bytes (const Model *model, guint64 number)
{
  const guint8 *fills = model->models->pdata[number];
  guint8 *bytes = g_malloc ((gsize)BLOCKS * GUARDD_BLOCK_SIZE);
  for (guint block = 0; block < BLOCKS; block++)
    memset (bytes + (gsize)block * GUARDD_BLOCK_SIZE, fills[block], GUARDD_BLOCK_SIZE);
  memset (bytes + ODD_SIZE, 0, (gsize)BLOCKS * GUARDD_BLOCK_SIZE - ODD_SIZE);
  return bytes;
}

static void
model_check_reader (const Model *model, guint64 number)
{
  g_autoptr (GError) error = NULL;
  g_autofree guint8 *want = model_bytes (model, number), *got = g_malloc (ODD_SIZE);
  g_autoptr (StorageReader) reader = pool_image_open (model->fixture.pool, DOMAIN, number, "vda", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (storage_image_size (reader), ==, ODD_SIZE);
  storage_image_read (reader, 0, got, ODD_SIZE, &error);
  g_assert_no_error (error);
  g_assert_cmpint (memcmp (want, got, ODD_SIZE), ==, 0);
  guint64 at = 0, first = 0, count = 0;
  const guint8 *fills = model->models->pdata[number];
  for (;;) {
    storage_image_next_data (reader, at, &first, &count, &error);
    g_assert_no_error (error);
    for (; at < (count ? first : BLOCKS); at++)
      g_assert_cmpuint (fills[at], ==, 0);
    if (count == 0)
      break;
    for (; at < first + count; at++)
      g_assert_cmpuint (fills[at], !=, 0);
  }
}

static void
run_tool (const char *const *argv)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *words = NULL;
  int status = 0;
  g_spawn_sync (NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &words, &status, &error);
  g_assert_no_error (error);
  if (status != 0)
    g_test_message ("%s %s: %s", argv[0], argv[1], words);
  g_assert_cmpint (status, ==, 0);
}

/* qemu-img alone, without guardd, says the same. */
static void
model_check_qemu (const Model *model, guint64 number)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *relative = g_strdup_printf ("%08" G_GUINT64_FORMAT "/vda.qcow2", number);
  g_autofree char *image = fixture_path (&model->fixture, relative);
  g_autofree char *out = g_build_filename (model->fixture.directory, "out.raw", NULL);
  run_tool ((const char *[]){ "qemu-img", "check", "-q", "-U", "-f", "qcow2", image, NULL });
  run_tool ((const char *[]){ "qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", image, out, NULL });
  g_autofree guint8 *want = model_bytes (model, number);
  g_autofree char *got = NULL;
  gsize length = 0;
  g_file_get_contents (out, &got, &length, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (length, ==, (ODD_SIZE + 511) / 512 * 512);
  g_assert_cmpint (memcmp (want, got, length), ==, 0);
}

static void
model_verify (const Model *model, guint64 number)
{
  g_autoptr (GError) error = NULL;
  pool_verify (model->fixture.pool, DOMAIN, number, true, NULL, NULL, &error);
  g_assert_no_error (error);
}

static void
model_check_all (const Model *model, bool qemu)
{
  for (guint64 number = 1; number < model->models->len; number++) {
    if (model->models->pdata[number] == NULL)
      continue;
    model_check_reader (model, number);
    if (qemu)
      model_check_qemu (model, number);
    model_verify (model, number);
  }
}

static void
test_reads (Model *model, const void *data)
{
  for (guint i = 0; i < 8; i++)
    model_take (model, 12);
  model_take (model, 0);
  model_check_all (model, true);
}

static void
test_merges (Model *model, const void *data)
{
  for (guint round = 0; round < 12; round++) {
    g_autoptr (GArray) numbers = g_array_new (FALSE, FALSE, sizeof (guint64));
    for (guint i = 0; i < 6; i++)
      model_take (model, 6);
    for (guint64 n = 1; n < model->last; n++)
      if (model->models->pdata[n] && g_test_rand_int_range (0, 2))
        g_array_append_val (numbers, n);
    model_delete (model, numbers);
    model_check_all (model, round % 4 == 3);
  }
}

static guint64
base_inode (const Model *model)
{
  struct stat st;
  g_autofree char *path = fixture_path (&model->fixture, "base-00000001/vda.raw");
  g_assert_cmpint (stat (path, &st), ==, 0);
  return st.st_ino;
}

static void
test_folds (Model *model, const void *data)
{
  model_take (model, 1);
  guint64 inode = base_inode (model);
  for (guint64 n = 2; n < 40; n++) {
    g_autoptr (GArray) numbers = g_array_new (FALSE, FALSE, sizeof (guint64));
    guint64 oldest = n - 1;
    model_take (model, 10);
    g_array_append_val (numbers, oldest);
    model_delete (model, numbers);
    model_check_all (model, n % 8 == 0);
  }
  g_assert_cmpuint (base_inode (model), ==, inode);
  g_autofree char *history = fixture_get (&model->fixture, "history", NULL);
  g_assert_nonnull (strstr (history, "\"fold\""));
}

static guint
chain_depth (const Model *model, guint64 number)
{
  g_autofree char *relative = g_strdup_printf ("%08" G_GUINT64_FORMAT "/vda.qcow2", number);
  g_autofree char *image = fixture_path (&model->fixture, relative), *out = NULL;
  guint depth = 0;
  const char *argv[] = { "qemu-img", "info", "-U", "--backing-chain", image, NULL };
  g_spawn_sync (NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, NULL, NULL);
  for (const char *at = out; (at = strstr (at, "image: ")) != NULL; at++)
    depth++;
  return depth;
}

static void
test_depth (Model *model, const void *data)
{
  g_autoptr (GError) error = NULL;
  for (guint i = 0; i < 150; i++) {
    model_take (model, 2);
    if (i % 10 == 9)
      pool_delete (model->fixture.pool, DOMAIN, NULL, 0, false, NULL, &error);
    g_assert_no_error (error);
  }
  model_check_all (model, false);
  model_check_qemu (model, model->last);
  for (guint64 n = 1; n <= model->last; n += 30)
    g_assert_cmpuint (chain_depth (model, n), <=, 66);
  g_assert_cmpuint (chain_depth (model, model->last), <=, 45);
}

static int
diff_mark (void *opaque, const struct guardd_block *block)
{
  bool *marks = opaque;
  g_assert_cmpuint (block->number, <, BLOCKS);
  g_assert_false (marks[block->number]);
  marks[block->number] = true;
  return 0;
}

static void
model_check_diff (const Model *model, guint64 a, guint64 b)
{
  g_autoptr (GError) error = NULL;
  bool marks[BLOCKS] = { false };
  const guint8 *from = model->models->pdata[a], *to = model->models->pdata[b];
  g_autoptr (StorageReader) x = pool_image_open (model->fixture.pool, DOMAIN, a, "vda", &error);
  g_assert_no_error (error);
  g_autoptr (StorageReader) y = pool_image_open (model->fixture.pool, DOMAIN, b, "vda", &error);
  g_assert_no_error (error);
  storage_image_diff (x, y, diff_mark, marks, &error);
  g_assert_no_error (error);
  for (guint block = 0; block < BLOCKS; block++)
    g_assert_cmpint (marks[block], ==, from[block] != to[block]);
}

static void
test_diffs (Model *model, const void *data)
{
  g_autoptr (GError) error = NULL;
  for (guint i = 0; i < 80; i++) {
    model_take (model, 3);
    if (i % 20 == 19)
      pool_delete (model->fixture.pool, DOMAIN, NULL, 0, false, NULL, &error);
  }
  g_assert_no_error (error);
  for (guint i = 0; i < 200; i++)
    model_check_diff (model, (guint64)g_test_rand_int_range (1, 81), (guint64)g_test_rand_int_range (1, 81));
}

/* A reader that was opened before keeps its view through a merge. */
static void
test_reader_survives (Model *model, const void *data)
{
  g_autoptr (GError) error = NULL;
  for (guint i = 0; i < 5; i++)
    model_take (model, 20);
  g_autofree guint8 *want = model_bytes (model, 2), *got = g_malloc (ODD_SIZE);
  g_autoptr (StorageReader) reader = pool_image_open (model->fixture.pool, DOMAIN, 2, "vda", &error);
  g_assert_no_error (error);
  g_autoptr (GArray) numbers = g_array_new (FALSE, FALSE, sizeof (guint64));
  for (guint64 n = 1; n < 4; n++)
    g_array_append_val (numbers, n);
  model_delete (model, numbers);
  storage_image_read (reader, 0, got, ODD_SIZE, &error);
  g_assert_no_error (error);
  g_assert_cmpint (memcmp (want, got, ODD_SIZE), ==, 0);
}

/* --- damage --- */

/* Flips one bit; verification must see it, and put it back. */
static void
flip_check (const Model *model, const char *relative, guint64 offset, guint bit)
{
  g_autofree char *path = fixture_path (&model->fixture, relative);
  g_autoptr (GError) error = NULL;
  guint8 byte = 0;
  int fd = open (path, O_RDONLY);
  files_set_immutable (fd, false);
  close (fd);
  fd = open (path, O_RDWR);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (pread (fd, &byte, 1, (off_t)offset), ==, 1);
  guint8 flipped = byte ^ (guint8)(1u << bit);
  g_assert_cmpint (pwrite (fd, &flipped, 1, (off_t)offset), ==, 1);
  if (pool_verify (model->fixture.pool, DOMAIN, model->last, true, NULL, NULL, &error))
    g_error ("%s: bit %u of byte %" G_GUINT64_FORMAT " flipped, and nobody noticed", relative, bit, offset);
  g_assert_nonnull (strstr (error->message, "vda."));
  g_assert_cmpint (pwrite (fd, &byte, 1, (off_t)offset), ==, 1);
  close (fd);
}

static void
test_damage (Model *model, const void *data)
{
  static const char *const files[] = { "00000003/vda.qcow2", "00000003/vda.idx", "base-00000001/vda.raw",
                                       "base-00000001/vda.idx", "00000001/vda.qcow2" };
  for (guint i = 0; i < 3; i++)
    model_take (model, 10);
  for (guint f = 0; f < G_N_ELEMENTS (files); f++) {
    struct stat st;
    g_autofree char *path = fixture_path (&model->fixture, files[f]);
    g_assert_cmpint (stat (path, &st), ==, 0);
    for (guint i = 0; i < 200; i++)
      flip_check (model, files[f], (guint64)g_test_rand_double_range (0, (gdouble)st.st_size),
                  (guint)g_test_rand_int_range (0, 8));
    for (guint64 at = 0; at < MIN (512, (guint64)st.st_size); at += 3) /* headers */
      flip_check (model, files[f], at, (guint)g_test_rand_int_range (0, 8));
  }
  model_verify (model, model->last);
}

/* Whatever is in the files, reading them is an error or right; never a crash, never something else. */
static void
test_damage_reads (Model *model, const void *data)
{
  for (guint i = 0; i < 3; i++)
    model_take (model, 30);
  g_autofree guint8 *want = model_bytes (model, 3), *got = g_malloc (ODD_SIZE);
  gsize length = 0;
  static const char *const files[] = { "00000003/vda.idx", "00000003/vda.qcow2" };
  for (guint f = 0; f < G_N_ELEMENTS (files); f++) {
    g_autofree char *whole = fixture_get (&model->fixture, files[f], &length);
    for (guint i = 0; i < 150; i++) {
      g_autofree char *bad = g_memdup2 (whole, length);
      g_autoptr (GError) error = NULL;
      for (gint n = g_test_rand_int_range (1, 6); n > 0; n--)
        bad[(gsize)g_test_rand_double_range (0, (gdouble)length)] = (char)g_test_rand_int_range (0, 256);
      fixture_put (&model->fixture, files[f], bad,
                   i % 3 == 0 ? (gsize)g_test_rand_double_range (0, (gdouble)length) : length);
      g_autoptr (StorageReader) reader = pool_image_open (model->fixture.pool, DOMAIN, 3, "vda", &error);
      if (reader && storage_image_read (reader, 0, got, ODD_SIZE, &error))
        g_assert_cmpint (memcmp (want, got, ODD_SIZE), ==, 0);
      else
        g_assert_nonnull (strstr (error->message, "vda"));
    }
    fixture_put (&model->fixture, files[f], whole, length);
  }
}

#define TEST(name, function) g_test_add ("/qcow2/" name, Model, NULL, model_set_up, function, model_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  TEST ("reads the same by guardd and by qemu-img", test_reads);
  TEST ("stays right through random deletions", test_merges);
  TEST ("folds what is oldest into the base in place", test_folds);
  TEST ("keeps chains short", test_depth);
  TEST ("finds exactly what differs", test_diffs);
  TEST ("an open reader keeps its view", test_reader_survives);
  TEST ("verification finds every flipped bit", test_damage);
  TEST ("damaged files never read wrong", test_damage_reads);
  return g_test_run ();
}
