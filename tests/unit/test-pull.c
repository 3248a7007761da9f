/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading from an NBD server that lies: an error within the deadline, and nothing of it in the pool. */
#include "nbd-liar.h"
#include "pool-fixture.h"

#include "guardd/pull.h"

#define SIZE ((guint64)4 << 20)
#define STALL_US (300 * G_TIME_SPAN_MILLISECOND)

/* A liar, and a draft for what it says. */
typedef struct {
  Liar liar;
  PoolDraft *draft;
  PullRequest request;
} Reading;

static void
reading_begin (Reading *reading, Fixture *fixture, Lie lie)
{
  g_autoptr (GError) error = NULL;
  reading->draft = pool_draft_new (fixture->pool, DOMAIN, SIZE, &error);
  g_assert_no_error (error);
  StorageWriter *writer = pool_draft_image (reading->draft, "vda", 0, SIZE, &error);
  g_assert_no_error (error);
  reading->request = (PullRequest){ .socket = liar_start (&reading->liar, lie, SIZE),
                                    .export = "vda",
                                    .bitmap = "b",
                                    .size = SIZE,
                                    .writer = writer,
                                    .stall_us = STALL_US };
}

static void
reading_end (Reading *reading)
{
  g_thread_join (reading->liar.thread);
  storage_image_abort (reading->request.writer);
  pool_draft_abort (reading->draft);
}

/* True when everything was read and stored; *error says why not. */
static bool
pull_from (Fixture *fixture, Lie lie, PullResult *result, GError **error)
{
  Reading reading;
  reading_begin (&reading, fixture, lie);
  Pull *pull = pull_open (&reading.request, error);
  bool ok = pull != NULL && pull_read (pull, error);
  if (ok)
    ok = pull_finish (g_steal_pointer (&pull), result, error);
  pull_free (pull);
  reading_end (&reading);
  return ok;
}

static void
test_honest (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  PullResult result = { 0 };
  g_assert_true (pull_from (fixture, LIE_NONE, &result, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (result.read_bytes, ==, SIZE);
  g_assert_cmpuint (result.stored_bytes, ==, SIZE);
}

/* Not read again: whoever wants to know what changed sees it on its way. */
static void
test_what_is_stored_is_sampled (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ContentSample) sample = content_sample_new (NULL, 128);
  PullResult result = { 0 };
  Reading reading;
  reading_begin (&reading, fixture, LIE_NONE);
  reading.request.sample = sample;
  Pull *pull = pull_open (&reading.request, &error);
  g_assert_no_error (error);
  g_assert_true (pull_read (pull, &error));
  g_assert_true (pull_finish (pull, &result, &error));
  reading_end (&reading);
  g_assert_cmpuint (content_sample_stride (sample), ==, 1);
  g_assert_cmpuint (content_sample_length (sample), ==, SIZE / GUARDD_BLOCK_SIZE);
  for (guint i = 0; i < content_sample_length (sample); i++) {
    guint64 number;
    const guint8 *content = content_sample_block (sample, i, &number);
    g_assert_cmpuint (number, ==, i);
    g_assert_cmpuint (content[0], ==, LIAR_BYTE);
    g_assert_cmpuint (content[GUARDD_BLOCK_SIZE - 1], ==, LIAR_BYTE);
  }
}

/* They tell too much or in too many pieces, but nothing wrong: no more is read than there is. */
static void
test_odd_but_true (Fixture *fixture, const void *data)
{
  static const Lie odd[] = { LIE_STATUS_BEYOND, LIE_STATUS_FLOOD };
  for (guint i = 0; i < G_N_ELEMENTS (odd); i++) {
    g_autoptr (GError) error = NULL;
    PullResult result = { 0 };
    g_assert_true (pull_from (fixture, odd[i], &result, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (result.read_bytes, ==, SIZE);
  }
}

static void
test_lies (Fixture *fixture, const void *data)
{
  for (Lie lie = LIE_SIZE; lie < LIES; lie++) {
    g_autoptr (GError) error = NULL;
    PullResult result = { 0 };
    if (lie == LIE_STATUS_BEYOND || lie == LIE_STATUS_FLOOD)
      continue;
    gint64 begin = g_get_monotonic_time ();
    bool ok = pull_from (fixture, lie, &result, &error);
    g_test_message ("lie %d: %s", lie, error ? error->message : "believed");
    g_assert_false (ok);
    g_assert_nonnull (error);
    g_assert_nonnull (strstr (error->message, "NBD"));
    g_assert_cmpint (g_get_monotonic_time () - begin, <, 50 * STALL_US);
  }
}

static void
test_cancelled (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Reading reading;
  reading_begin (&reading, fixture, LIE_HANG_READ);
  reading.request.stall_us = G_MAXINT64;
  reading.request.cancellable = cancellable;
  g_cancellable_cancel (cancellable);
  g_assert_null (pull_open (&reading.request, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  reading_end (&reading);
}

#define TEST(name, function)                                                                                 \
  g_test_add ("/pull/" name, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  TEST ("an honest server", test_honest);
  TEST ("what is stored is sampled", test_what_is_stored_is_sampled);
  TEST ("odd but true", test_odd_but_true);
  TEST ("lies", test_lies);
  TEST ("cancelled", test_cancelled);
  return g_test_run ();
}
