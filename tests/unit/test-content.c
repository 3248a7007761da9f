/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a change is made of, told by a sample that was taken while the bytes passed. */
#include "pool-fixture.h"

#include "guardd/change-scan.h"

#define BLOCK GUARDD_BLOCK_SIZE
#define PIECES (BLOCK / 4096)
#define MANY 20000u

/* --- which blocks are taken --- */

static ContentSample *
sample_of (guint64 blocks, guint max)
{
  g_autofree guint8 *data = g_malloc0 ((gsize)7 * BLOCK);
  ContentSample *sample = content_sample_new (NULL, max);
  for (guint64 at = 0; at < blocks; at += 7) {
    guint n = (guint)MIN (7, blocks - at);
    for (guint i = 0; i < n; i++)
      *(guint64 *)(void *)(data + (gsize)i * BLOCK) = at + i;
    content_sample_offer (sample, at, n, data);
  }
  return sample;
}

static void
test_few_are_all_taken (void)
{
  g_autoptr (ContentSample) none = content_sample_new (NULL, 16), sample = sample_of (15, 16);
  g_assert_cmpuint (content_sample_length (none), ==, 0);
  g_assert_cmpuint (content_sample_stride (sample), ==, 1);
  g_assert_cmpuint (content_sample_length (sample), ==, 15);
  for (guint i = 0; i < 15; i++) {
    guint64 number;
    const guint8 *data = content_sample_block (sample, i, &number);
    g_assert_cmpuint (number, ==, i);
    g_assert_cmpuint (*(const guint64 *)(const void *)data, ==, i);
  }
}

/* One of each stride, from its first to its last, each with its own content. */
static void
test_many_are_spread (void)
{
  for (guint64 blocks = 16; blocks < 3000; blocks = blocks * 3 / 2 + 1) {
    g_autoptr (ContentSample) sample = sample_of (blocks, 16);
    guint64 stride = content_sample_stride (sample), length = content_sample_length (sample);
    g_assert_cmpuint (length, >=, MIN (8, blocks / stride));
    g_assert_cmpuint (length, <=, 16);
    g_assert_cmpuint (length, >=, blocks / stride);
    for (guint i = 0; i < length; i++) {
      guint64 number;
      const guint8 *data = content_sample_block (sample, i, &number);
      g_assert_cmpuint (number / stride, ==, i);
      g_assert_cmpuint (*(const guint64 *)(const void *)data, ==, number);
    }
  }
}

typedef struct {
  ContentSample *sample;
  guint8 *data;
  guint64 first;
} Offer;

static gpointer
offer_thread (gpointer opaque)
{
  const Offer *offer = opaque;
  for (guint64 at = 0; at < MANY; at++)
    content_sample_offer (offer->sample, offer->first + at, 1, offer->data);
  return NULL;
}

static void
test_two_threads (void)
{
  g_autoptr (ContentSample) sample = content_sample_new (NULL, 128);
  g_autofree guint8 *one = g_malloc0 (BLOCK), *two = g_malloc0 (BLOCK);
  memset (two, 2, BLOCK);
  Offer offers[] = { { sample, one, 0 }, { sample, two, MANY } };
  GThread *thread = g_thread_new ("one", offer_thread, &offers[0]);
  offer_thread (&offers[1]);
  g_thread_join (thread);
  g_assert_cmpuint (content_sample_stride (sample), ==, 512);
  for (guint i = 0; i < content_sample_length (sample); i++) {
    guint64 number;
    const guint8 *data = content_sample_block (sample, i, &number);
    g_assert_true (memcmp (data, number < MANY ? one : two, BLOCK) == 0);
  }
}

/* --- what they say of a change --- */

/* Each block of a disk by a letter: z zero, t text, r random, m every other 16 bytes random, T text that is t
 * but for one piece, Z zero but for one piece, p a few bytes over and over. */
static void
fill (guint8 *block, char letter, guint64 number)
{
  static const char words[] = "the quick brown fox jumps over the lazy dog and files its mail; ";
  g_autoptr (GRand) rand = g_rand_new_with_seed ((guint32)(number * 7 + (guint)letter));
  for (guint i = 0; i < BLOCK; i++) {
    guint8 text = (guint8)words[(i * 7 + i / 64 + number) % (sizeof words - 1)];
    bool noisy = letter == 'r' || (letter == 'm' && i / 16 % 2);
    guint8 noise = noisy ? (guint8)g_rand_int (rand) : 0;
    block[i] = letter == 'z' ? 0 : noisy ? noise : text;
  }
  if (letter == 'T')
    block[5 * 4096] ^= 1;
  if (letter == 'Z') /* all but the last piece */
    memset (block, 0, BLOCK - 4096);
  for (guint i = 0; letter == 'p' && i < BLOCK; i++)
    block[i] = "mine\n"[i % 5];
}

/* A snapshot whose block i is as letters[i] says ('.': as in the parent); what is stored is offered. */
static guint64
take (const Fixture *fixture, guint64 parent, const char *letters, ContentSample *sample)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) xml = g_bytes_new_static ("<domain/>", 9);
  struct guardd_image_info info = { .size_of = sizeof info };
  guint64 size = strlen (letters) * (guint64)BLOCK;
  PoolDraft *draft = pool_draft_new (fixture->pool, DOMAIN, size, &error);
  g_assert_no_error (error);
  guint64 number = pool_draft_number (draft);
  g_autoptr (Manifest) manifest = fixture_manifest (number, (gint64)number * G_USEC_PER_SEC);
  StorageWriter *writer = pool_draft_image (draft, "vda", parent, size, &error);
  g_assert_no_error (error);
  guint8 *data = NULL, hash[SHA256_DIGEST_LENGTH];
  g_assert_cmpint (posix_memalign ((void **)(void *)&data, 4096, BLOCK), ==, 0);
  for (guint64 i = 0; letters[i]; i++) {
    if (letters[i] == '.')
      continue;
    fill (data, letters[i], i);
    SHA256 (data, BLOCK, hash);
    bool ok = letters[i] == 'z' ? storage_image_zero (writer, i, 1, &error)
                                : storage_image_write (writer, i, 1, data, hash, &error);
    g_assert_no_error (error);
    g_assert_true (ok);
    if (sample && letters[i] != 'z')
      content_sample_offer (sample, i, 1, data);
  }
  free (data);
  storage_image_seal (writer, &info, &error);
  g_assert_no_error (error);
  ManifestDisk *disk = manifest_add_disk (manifest, "vda");
  disk->source = g_strdup ("/images/web.raw");
  disk->format = g_strdup ("raw");
  disk->size = size;
  disk->parent = parent;
  memcpy (disk->index_hash, info.index_hash, sizeof disk->index_hash);
  pool_draft_file (draft, "domain.xml", xml, &error);
  pool_draft_commit (draft, manifest, NULL, &error);
  g_assert_no_error (error);
  return number;
}

typedef guint64 Pieces[GUARDD_CHANGE_CLASSES];

static ChangeScan
scan_runs (const Fixture *fixture, guint64 now, guint64 before, ContentSample *sample)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (StorageReader) is = pool_image_open (fixture->pool, DOMAIN, now, "vda", &error);
  g_autoptr (StorageReader) was = pool_image_open (fixture->pool, DOMAIN, before, "vda", &error);
  g_assert_no_error (error);
  ChangeScan found = { 0 };
  g_assert_true (change_scan (is, was, sample, &found, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (found.runs->len, <=, WIRE_RUNS_MAX);
  return found;
}

static void
scan (const Fixture *fixture, guint64 now, guint64 before, ContentSample *sample, Pieces pieces)
{
  ChangeScan found = scan_runs (fixture, now, before, sample);
  memset (pieces, 0, sizeof (Pieces));
  for (guint i = 0; i < found.runs->len; i++) {
    const struct wire_run *run = &g_array_index (found.runs, struct wire_run, i);
    if (run->kind == WIRE_CHANGED)
      continue;
    pieces[run->kind] += run->length / 4096 * (run->kind == GUARDD_CHANGE_TO_ZERO ? 1 : found.data_factor);
  }
  change_scan_clear (&found);
}

static void
test_each_class_of_change (Fixture *fixture, const void *data)
{
  g_autoptr (ContentSample) sample = content_sample_new (NULL, 128);
  Pieces pieces;
  guint64 before = take (fixture, 0, "ttttrrttzttzttp", NULL);
  guint64 now = take (fixture, before, "rrm.r.zzrTtzpZp", sample);
  scan (fixture, now, before, sample, pieces);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_LOW_TO_HIGH], ==, 2 * PIECES);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_LOW_TO_MID], ==, PIECES);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_TO_ZERO], ==, 2 * PIECES);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_ZERO_TO_HIGH], ==, PIECES);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_OTHER], ==, 1); /* one piece of a block, and a block written again */
  g_assert_cmpuint (pieces[GUARDD_CHANGE_HIGH], ==, 0);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_COLLAPSED], ==, 2 * PIECES - 1);
  /* Nobody had the bytes in hand: they are read. */
  Pieces read;
  scan (fixture, now, before, NULL, read);
  g_assert_cmpmem (read, sizeof read, pieces, sizeof pieces);
}

/* 1,000 changed blocks, half of them encrypted, and one piece changed in each of the others. */
static void
test_shares_are_about_right (Fixture *fixture, const void *data)
{
  g_autoptr (ContentSample) sample = content_sample_new (NULL, 128);
  g_autofree char *before = g_strnfill (1000, 't'), *now = g_strnfill (1000, 'T');
  Pieces pieces;
  for (guint i = 0; i < 500; i++)
    now[i] = 'r';
  guint64 first = take (fixture, 0, before, NULL), second = take (fixture, first, now, sample);
  scan (fixture, second, first, sample, pieces);
  /* In order of the disk, and one of each stride: halves are halves. */
  g_assert_cmpuint (pieces[GUARDD_CHANGE_LOW_TO_HIGH], >=, (500 - 16) * PIECES);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_LOW_TO_HIGH], <=, (500 + 16) * PIECES);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_OTHER], >=, 500 - 16);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_OTHER], <=, 500 + 16);
}

/* 60 of every 64 KiB zeroed: no block is, but the sample stands for all of them. */
static void
test_zeroed_in_pieces (Fixture *fixture, const void *data)
{
  g_autoptr (ContentSample) sample = content_sample_new (NULL, 128);
  g_autofree char *before = g_strnfill (1000, 't'), *now = g_strnfill (1000, 'Z');
  Pieces pieces;
  guint64 first = take (fixture, 0, before, NULL), second = take (fixture, first, now, sample);
  scan (fixture, second, first, sample, pieces);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_TO_ZERO], ==, 0);
  g_assert_cmpuint (pieces[GUARDD_CHANGE_COLLAPSED], >=, (1000 - 16) * (PIECES - 1));
  g_assert_cmpuint (pieces[GUARDD_CHANGE_COLLAPSED], <=, (1000 + 16) * (PIECES - 1));
}

/* How many blocks of each letter WIRE_CHANGED runs hold; *runs: of these. */
static void
count_told (const ChangeScan *found, const char *letters, guint told[256], guint *runs)
{
  guint64 end = 0;
  *runs = 0;
  memset (told, 0, 256 * sizeof *told);
  for (guint i = 0; i < found->runs->len; i++) {
    const struct wire_run *run = &g_array_index (found->runs, struct wire_run, i);
    if (run->kind != WIRE_CHANGED)
      continue;
    g_assert_cmpuint (run->offset, >=, end); /* in order, and each block once */
    end = run->offset + run->length;
    g_assert_cmpuint (end, <=, strlen (letters) * (guint64)BLOCK);
    for (guint64 at = run->offset / BLOCK; at < end / BLOCK; at++)
      told[(guint8)letters[at]]++;
    ++*runs;
  }
}

/* Far more than a sample holds, changed and new; beside them what became zero and what stayed. */
static void
test_all_that_changed_is_told (Fixture *fixture, const void *data)
{
  g_autoptr (ContentSample) sample = content_sample_new (NULL, 128);
  g_autofree char *before = g_strnfill (1000, 't'), *now = g_strnfill (1000, '.');
  guint told[256], runs;
  memset (before + 800, 'z', 100);
  memset (now + 100, 'r', 500);
  now[650] = 'p';
  memset (now + 700, 'z', 50);
  memset (now + 850, 'm', 50);
  guint64 first = take (fixture, 0, before, NULL), second = take (fixture, first, now, sample);
  for (guint i = 0; i < 2; i++) {
    ChangeScan found = scan_runs (fixture, second, first, i ? NULL : sample);
    count_told (&found, now, told, &runs);
    g_assert_cmpuint (told['r'], ==, 500);
    g_assert_cmpuint (told['p'], ==, 1);
    g_assert_cmpuint (told['m'], ==, 50);
    g_assert_cmpuint (told['z'], ==, 0);
    g_assert_cmpuint (told['.'], ==, 0);
    g_assert_cmpuint (runs, ==, 3);
    change_scan_clear (&found);
  }
}

/* More stretches than may be told: they are told with what is between them. */
static void
test_what_changed_in_too_many_places_is_told (Fixture *fixture, const void *data)
{
  enum { BLOCKS = 9000 };
  g_autofree char *before = g_strnfill (BLOCKS, 'z'), *now = g_strnfill (BLOCKS, '.');
  guint told[256], runs;
  for (guint i = 0; i < BLOCKS; i += 2)
    now[i] = 'p';
  guint64 first = take (fixture, 0, before, NULL), second = take (fixture, first, now, NULL);
  ChangeScan found = scan_runs (fixture, second, first, NULL);
  count_told (&found, now, told, &runs);
  g_assert_cmpuint (told['p'], ==, BLOCKS / 2);
  g_assert_cmpuint (runs, <=, 4096);
  change_scan_clear (&found);
}

#define TEST(name, function)                                                                                 \
  g_test_add ("/content/" name, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/content/few are all taken", test_few_are_all_taken);
  g_test_add_func ("/content/many are spread", test_many_are_spread);
  g_test_add_func ("/content/two threads", test_two_threads);
  TEST ("each class of change", test_each_class_of_change);
  TEST ("shares are about right", test_shares_are_about_right);
  TEST ("zeroed in pieces", test_zeroed_in_pieces);
  TEST ("all that changed is told", test_all_that_changed_is_told);
  TEST ("what changed in too many places is told", test_what_changed_in_too_many_places_is_told);
  return g_test_run ();
}
