/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verifying says whether what is in the pool is what was put there. */
#include "pool-fixture.h"

static bool
verify (const Fixture *fixture, guint64 number, GError **error)
{
  return pool_verify (fixture->pool, DOMAIN, number, true, NULL, NULL, error);
}

static void
test_passes_after_maintenance (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  fixture_take_many (fixture, 8);
  for (guint64 n = 1; n < 8; n += 3)
    fixture_delete (fixture, n);
  for (int round = 0; round < 2; round++) {
    g_autoptr (GPtrArray) left = pool_snapshots (fixture->pool, DOMAIN);
    for (guint i = 0; i < left->len; i++) {
      verify (fixture, ((Snapshot *)left->pdata[i])->manifest->number, &error);
      g_assert_no_error (error);
    }
    g_assert_true (pool_verify_history (fixture->pool, DOMAIN, NULL));
    fixture_reopen (fixture);
  }
}

static void
test_names_a_file_that_was_edited (Fixture *fixture, const void *data)
{
  static const char *const names[]
      = { "00000002/manifest.json", "00000002/domain.xml", "00000002/state.json", "history" };
  fixture_take_many (fixture, 3);
  g_assert_true (fixture_hold (fixture, 2, "mine"));
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GError) error = NULL;
    gsize length = 0;
    g_autofree char *text = fixture_get (fixture, names[i], &length);
    for (gsize at = 0; at < length; at += 1 + length / 50) {
      g_clear_error (&error);
      text[at] ^= 4;
      fixture_put (fixture, names[i], text, length);
      g_assert_false (verify (fixture, 2, &error));
      g_assert_nonnull (strstr (error->message, names[i]));
      text[at] ^= 4;
    }
    fixture_put (fixture, names[i], text, length);
    g_clear_error (&error);
    verify (fixture, 2, &error);
    g_assert_no_error (error);
  }
}

static void
test_names_an_image_that_was_exchanged (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 3);
  g_autofree char *directory = fixture_path (fixture, "00000002");
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;
  guint images = 0;
  while ((name = g_dir_read_name (dir)) != NULL) {
    if (!g_str_has_prefix (name, "vda"))
      continue;
    g_autoptr (GError) error = NULL;
    g_autofree char *mine = g_build_filename ("00000002", name, NULL),
                    *other = g_build_filename ("00000003", name, NULL);
    gsize length = 0, other_length = 0;
    g_autofree char *text = fixture_get (fixture, mine, &length);
    g_autofree char *other_text = fixture_get (fixture, other, &other_length);
    images++;
    fixture_put (fixture, mine, other_text, other_length);
    g_assert_false (verify (fixture, 2, &error));
    g_assert_nonnull (strstr (error->message, "vda"));
    g_clear_error (&error);
    /* deep: the one that stands on it is not restorable either */
    g_assert_false (verify (fixture, 3, &error));
    fixture_put (fixture, mine, text, length);
  }
  g_assert_cmpuint (images, >, 0);
}

static bool
verify_on (const Fixture *fixture, PoolVerified *verified, guint64 number)
{
  return pool_verify (fixture->pool, DOMAIN, number, true, verified, NULL, NULL);
}

/* A thousand snapshots would else be read half a million times. */
static void
test_reads_what_many_stand_on_once (Fixture *fixture, const void *data)
{
  gsize length = 0;
  fixture_take_many (fixture, 4);
  g_autoptr (PoolVerified) verified = pool_verified_new ();
  g_assert_true (verify_on (fixture, verified, 2));
  g_autofree char *text = fixture_get (fixture, "00000002/vda.idx", &length);
  text[length / 2] ^= 1;
  fixture_put (fixture, "00000002/vda.idx", text, length);
  g_assert_true (verify_on (fixture, verified, 3));
  g_assert_true (verify_on (fixture, verified, 4));
  g_assert_false (verify_on (fixture, NULL, 4));
}

static void
test_reads_again_what_maintenance_has_put_there (Fixture *fixture, const void *data)
{
  gsize length = 0;
  fixture_take_many (fixture, 4);
  g_autoptr (PoolVerified) verified = pool_verified_new ();
  for (guint64 number = 1; number <= 3; number++)
    g_assert_true (verify_on (fixture, verified, number));
  fixture_delete (fixture, 2); /* into 3 */
  g_autofree char *text = fixture_get (fixture, "00000003/vda.idx", &length);
  text[length / 2] ^= 1;
  fixture_put (fixture, "00000003/vda.idx", text, length);
  g_assert_false (verify_on (fixture, verified, 4));
}

#define ADD(name)                                                                                            \
  g_test_add ("/pool-verify/" #name, Fixture, NULL, fixture_set_up, test_##name, fixture_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (passes_after_maintenance);
  ADD (names_a_file_that_was_edited);
  ADD (names_an_image_that_was_exchanged);
  ADD (reads_what_many_stand_on_once);
  ADD (reads_again_what_maintenance_has_put_there);
  return g_test_run ();
}
