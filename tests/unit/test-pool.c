/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-fixture.h"

#include <signal.h>
#include <sys/resource.h>

/* --- making and opening --- */

static void
test_create_refuses_a_directory_with_something_in_it (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_assert_false (pool_create (fixture->path, 0, NULL, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, fixture->path));
}

static void
test_create_is_private (Fixture *fixture, const void *data)
{
  struct stat st;
  fixture_take_many (fixture, 1);
  g_autofree char *domain = fixture_path (fixture, "");
  g_assert_cmpint (stat (fixture->path, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0700);
  g_assert_cmpint (stat (domain, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0700);
}

static void
test_open_twice_is_busy (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (pool_open ("again", fixture->path, "build/plugins", NULL, NULL, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_BUSY);
}

static void
test_open_names_a_damaged_identity (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *identity = g_build_filename (fixture->path, "pool.json", NULL);
  fixture_close (fixture);
  g_assert_true (g_file_set_contents (identity, "{\"format\": 1, \"id\":", -1, NULL));
  g_assert_null (pool_open ("main", fixture->path, "build/plugins", NULL, NULL, &error));
  g_assert_nonnull (strstr (error->message, "pool.json"));
}

static void
test_open_says_how_to_make_a_pool (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (pool_open ("main", fixture->directory, "build/plugins", NULL, NULL, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "guardsh pool-create"));
}

/* --- taking and looking --- */

static void
test_committed_snapshots_are_listed_in_order (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 3);
  g_autoptr (GPtrArray) snapshots = pool_snapshots (fixture->pool, DOMAIN);
  g_assert_cmpuint (snapshots->len, ==, 3);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (((Snapshot *)snapshots->pdata[i])->manifest->number, ==, i + 1);
  g_autoptr (Snapshot) latest = pool_latest (fixture->pool, DOMAIN);
  g_assert_cmpuint (latest->manifest->number, ==, 3);
  g_assert_cmpuint (pool_count (fixture->pool, DOMAIN), ==, 3);
  g_assert_cmpuint (pool_count (fixture->pool, "unknown"), ==, 0);
  g_autoptr (GArray) numbers = pool_numbers (fixture->pool, DOMAIN);
  g_assert_cmpuint (numbers->len, ==, 3);
  g_assert_cmpuint (g_array_index (numbers, guint64, 2), ==, 3);
  g_auto (GStrv) domains = pool_domains (fixture->pool);
  g_assert_cmpuint (g_strv_length (domains), ==, 1);
  g_assert_cmpstr (domains[0], ==, DOMAIN);
}

static void
test_newest_with_a_disk_need_not_be_the_newest (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  guint64 size = 0;
  fixture_take_many (fixture, 2);
  PoolDraft *draft = fixture_draft (fixture);
  g_autoptr (Manifest) manifest = fixture_manifest (3, 0);
  draft_add_disk (draft, manifest, "vdb", 0, 0, 1);
  pool_draft_commit (draft, manifest, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (pool_latest_with (fixture->pool, DOMAIN, "vda", &size), ==, 2);
  g_assert_cmpuint (size, ==, DISK_SIZE);
  g_assert_cmpuint (pool_latest_with (fixture->pool, DOMAIN, "vdb", &size), ==, 3);
  g_assert_cmpuint (pool_latest_with (fixture->pool, DOMAIN, "vdc", &size), ==, 0);
}

static void
test_snapshots_survive_reopening (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 3);
  for (int round = 0; round < 2; round++) {
    fixture_reopen (fixture);
    g_assert_cmpuint (fixture_problems (fixture), ==, 0);
    g_assert_cmpuint (fixture_count (fixture), ==, 3);
    for (guint64 n = 1; n <= 3; n++)
      fixture_check_content (fixture, n);
    /* and without a catalog */
    g_assert_cmpint (unlink (fixture->catalog), ==, 0);
  }
}

static void
test_open_draft_is_not_listed (Fixture *fixture, const void *data)
{
  PoolDraft *draft = fixture_draft (fixture);
  g_autoptr (Manifest) manifest = fixture_manifest (1, 0);
  draft_add_disk (draft, manifest, "vda", 0, 0, 1);
  g_assert_cmpuint (fixture_count (fixture), ==, 0);
  g_assert_null (pool_latest (fixture->pool, DOMAIN));
  pool_draft_abort (draft);
  g_assert_false (fixture_has (fixture, ".new-00000001"));
}

static void
test_number_is_never_reused (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 3);
  fixture_delete (fixture, 2);
  g_assert_cmpuint (fixture_take (fixture, 3, 0, 0), ==, 4);
  fixture_delete (fixture, 3);
  fixture_reopen (fixture);
  g_assert_cmpuint (fixture_take (fixture, 4, 0, 0), ==, 5);
}

static void
test_draft_refuses_a_missing_parent (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  PoolDraft *draft = fixture_draft (fixture);
  g_assert_null (pool_draft_image (draft, "vda", 7, DISK_SIZE, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND);
  pool_draft_abort (draft);
}

static void
test_draft_refuses_file_names_that_lead_elsewhere (Fixture *fixture, const void *data)
{
  static const char *const names[] = { "../x", "a/b", ".hidden", "", "manifest.json", "state.json", "UPPER" };
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);
  PoolDraft *draft = fixture_draft (fixture);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_false (pool_draft_file (draft, names[i], content, NULL));
  g_assert_true (pool_draft_file (draft, "nvram", content, NULL));
  pool_draft_abort (draft);
}

static void
test_commit_refuses_a_manifest_of_other_disks (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  PoolDraft *draft = fixture_draft (fixture);
  g_autoptr (Manifest) manifest = fixture_manifest (0, 0);
  draft_add_disk (draft, manifest, "vda", 0, 0, 1);
  manifest_add_disk (manifest, "vdb");
  g_assert_false (pool_draft_commit (draft, manifest, NULL, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_FAILED);
  g_assert_cmpuint (fixture_count (fixture), ==, 0);
  fixture_reopen (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
}

/* A file that may not grow stands for a disk that is full in the middle of the line. */
static void
test_history_that_cannot_grow_fails_the_commit_alone (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  struct rlimit limit, low;
  gsize before = 0, after = 0;
  fixture_take_many (fixture, 6);
  PoolDraft *draft = fixture_draft (fixture);
  g_autoptr (Manifest) manifest = fixture_manifest (0, 0);
  draft_add_disk (draft, manifest, "vda", 6, 0, 7);
  g_autofree char *text = fixture_get (fixture, "history", &before);
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  low = limit;
  low.rlim_cur = before + 20;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &low), ==, 0);
  bool done = pool_draft_commit (draft, manifest, NULL, &error);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  g_assert_false (done);
  g_assert_nonnull (strstr (error->message, "history"));
  g_autofree char *text_after = fixture_get (fixture, "history", &after);
  g_assert_cmpmem (text, before, text_after, after);
  g_assert_false (fixture_has (fixture, ".new-00000007"));
  g_assert_cmpuint (fixture_take (fixture, 6, 6, 0), ==, 8);
  fixture_reopen (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  g_assert_cmpuint (fixture_count (fixture), ==, 7);
}

static void
test_draft_that_does_not_fit_is_refused (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (pool_draft_new (fixture->pool, DOMAIN, G_MAXUINT64 / 2, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_FULL);
  g_assert_nonnull (strstr (error->message, fixture->path));
}

static void
test_open_drafts_count_against_free_space (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  PoolInfo info;
  g_assert_true (pool_info (fixture->pool, &info, NULL));
  guint64 most = info.free_bytes - MAX (info.size_bytes / 64, (guint64)64 << 20);
  PoolDraft *draft = pool_draft_new (fixture->pool, DOMAIN, most / 4 * 3, &error);
  g_assert_no_error (error);
  g_assert_null (pool_draft_new (fixture->pool, DOMAIN, most / 4 * 3, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_FULL);
  pool_draft_abort (draft);
  draft = pool_draft_new (fixture->pool, DOMAIN, most / 4 * 3, NULL);
  g_assert_nonnull (draft);
  pool_draft_abort (draft);
}

static void
test_sealed_files_are_read_only (Fixture *fixture, const void *data)
{
  struct stat st;
  fixture_take_many (fixture, 1);
  g_autofree char *manifest = fixture_path (fixture, "00000001/manifest.json");
  g_assert_cmpint (stat (manifest, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0400);
}

static void
test_snapshot_file_is_given_back (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  fixture_take_many (fixture, 1);
  g_autoptr (GBytes) xml = pool_snapshot_file (fixture->pool, DOMAIN, 1, "domain.xml", &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (xml, NULL), g_bytes_get_size (xml), "<domain/>", 9);
  g_assert_null (pool_snapshot_file (fixture->pool, DOMAIN, 1, "nvram", &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND);
}

/* --- resolving --- */

static guint64
resolve (Fixture *fixture, const char *which)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Snapshot) found
      = pool_resolve (fixture->pool, DOMAIN, which, 10 * 60 * (gint64)G_USEC_PER_SEC, &error);
  g_assert_true ((found == NULL) == (error != NULL));
  return found ? found->manifest->number : 0;
}

static void
test_resolve (Fixture *fixture, const void *data)
{
  const StateChange warn = { .verdict = "warn" };
  fixture_take_many (fixture, 4); /* at minutes 1 to 4 of 1970 */
  fixture_take_as (fixture, 4, 4, 5 * 60 * (gint64)G_USEC_PER_SEC, &(SnapshotState){ .evidence = true });
  g_assert_true (pool_change_state (fixture->pool, DOMAIN, 4, &warn, NULL));
  g_assert_cmpuint (resolve (fixture, "2"), ==, 2);
  g_assert_cmpuint (resolve (fixture, "latest"), ==, 5);
  g_assert_cmpuint (resolve (fixture, "last-good"), ==, 3);
  g_assert_cmpuint (resolve (fixture, "1970-01-01T00:03:30Z"), ==, 3);
  g_assert_cmpuint (resolve (fixture, "1970-01-01T00:03:00Z"), ==, 3);
  g_assert_cmpuint (resolve (fixture, "-7min"), ==, 3);
  g_assert_cmpuint (resolve (fixture, "-7h"), ==, 0);
  g_assert_cmpuint (resolve (fixture, "6"), ==, 0);
  g_assert_cmpuint (resolve (fixture, "yesterday"), ==, 0);
}

static void
test_domain_is_found_by_name (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 1);
  g_autofree char *by_name = pool_find_domain (fixture->pool, "web01"),
                  *by_uuid = pool_find_domain (fixture->pool, DOMAIN),
                  *unknown = pool_find_domain (fixture->pool, "web02");
  g_assert_cmpstr (by_name, ==, DOMAIN);
  g_assert_cmpstr (by_uuid, ==, DOMAIN);
  g_assert_null (unknown);
}

/* --- states --- */

static void
test_state_survives_reopening (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 2);
  g_assert_true (fixture_hold (fixture, 1, "legal \"hold\""));
  for (int round = 0; round < 2; round++) {
    g_autoptr (Snapshot) snapshot = pool_resolve (fixture->pool, DOMAIN, "1", 0, NULL);
    g_assert_cmpstr (snapshot->state->hold, ==, "legal \"hold\"");
    fixture_reopen (fixture);
    g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  }
}

/* --- removing --- */

static void
test_delete_keeps_what_others_need (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 12);
  for (guint64 n = 2; n < 12; n += 2)
    fixture_delete (fixture, n);
  guint64 rest[] = { 1, 3, 5 };
  g_assert_true (pool_delete (fixture->pool, DOMAIN, rest, 3, false, NULL, NULL));
  for (int round = 0; round < 2; round++) {
    g_assert_cmpuint (fixture_count (fixture), ==, 4);
    for (guint64 n = 7; n <= 11; n += 2)
      fixture_check_content (fixture, n);
    fixture_check_content (fixture, 12);
    g_assert_false (fixture_has (fixture, "00000004"));
    fixture_reopen (fixture);
    g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  }
}

/* A verdict takes minutes to come, and must not undo what a person has said meanwhile. */
static void
test_state_changes_only_where_told (Fixture *fixture, const void *data)
{
  static const struct {
    StateChange change;
    const char *hold, *verdict;
  } steps[] = {
    { { .hold = "guardd", .mild = true }, "guardd", NULL },
    { { .hold = "mine" }, "mine", NULL },
    { { .verdict = "critical" }, "mine", "critical" },
    { { .hold = "guardd", .mild = true }, "mine", "critical" },
    { { .release = true }, NULL, "critical" },
  };
  fixture_take_as (fixture, 0, 0, 1, &(SnapshotState){ .evidence = true });
  for (guint i = 0; i < G_N_ELEMENTS (steps); i++) {
    g_assert_true (pool_change_state (fixture->pool, DOMAIN, 1, &steps[i].change, NULL));
    for (int round = 0; round < 2; round++) {
      g_autoptr (Snapshot) snapshot = pool_resolve (fixture->pool, DOMAIN, "1", 0, NULL);
      g_assert_cmpstr (snapshot->state->hold, ==, steps[i].hold);
      g_assert_cmpstr (snapshot->state->verdict, ==, steps[i].verdict);
      g_assert_true (snapshot->state->evidence);
      fixture_reopen (fixture);
    }
  }
}

static void
test_delete_refuses_newest_held_and_evidence (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 1);
  fixture_take_as (fixture, 1, 1, 2 * 60 * (gint64)G_USEC_PER_SEC, &(SnapshotState){ .evidence = true });
  fixture_take_many (fixture, 2);
  g_assert_true (fixture_hold (fixture, 1, "mine"));
  guint64 sets[][2] = { { 3, 1 }, { 3, 2 }, { 3, 4 } };
  for (guint i = 0; i < G_N_ELEMENTS (sets); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_false (pool_delete (fixture->pool, DOMAIN, sets[i], 2, false, NULL, &error));
    g_assert_error (error, POOL_ERROR, POOL_ERROR_BUSY);
    g_assert_cmpuint (fixture_count (fixture), ==, 4);
  }
  g_assert_true (pool_delete (fixture->pool, DOMAIN, sets[0], 2, true, NULL, NULL));
  g_assert_true (pool_delete (fixture->pool, DOMAIN, &sets[1][1], 1, true, NULL, NULL));
  g_assert_false (pool_delete (fixture->pool, DOMAIN, &sets[2][1], 1, true, NULL, NULL));
  fixture_check_content (fixture, 4);
}

static void
test_parent_of_an_open_draft_stays (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  guint64 parent = 2;
  fixture_take_many (fixture, 4);
  PoolDraft *draft = fixture_draft (fixture);
  g_autoptr (Manifest) manifest = fixture_manifest (0, 0);
  draft_add_disk (draft, manifest, "vda", parent, 7, 5);
  g_assert_false (pool_delete (fixture->pool, DOMAIN, &parent, 1, true, NULL, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_BUSY);
  g_assert_true (pool_draft_commit (draft, manifest, NULL, NULL));
  g_assert_true (pool_delete (fixture->pool, DOMAIN, &parent, 1, false, NULL, NULL));
  g_assert_cmpuint (fixture_read (fixture, 5, 0), ==, 1);
  g_assert_cmpuint (fixture_read (fixture, 5, 1), ==, 2);
  g_assert_cmpuint (fixture_read (fixture, 5, 2), ==, 0);
  g_assert_cmpuint (fixture_read (fixture, 5, 7), ==, 5);
}

static void
test_prune_applies_the_retention (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Retention) retention = retention_parse ("3x1min", NULL);
  guint64 removed = 0;
  fixture_take_many (fixture, 10);
  g_assert_true (fixture_hold (fixture, 2, "mine"));
  pool_prune (fixture->pool, DOMAIN, retention, 0, &removed, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (removed, ==, 6);
  g_autoptr (GPtrArray) left = pool_snapshots (fixture->pool, DOMAIN);
  g_assert_cmpuint (left->len, ==, 4);
  for (guint i = 0; i < left->len; i++)
    fixture_check_content (fixture, ((Snapshot *)left->pdata[i])->manifest->number);
  g_assert_true (pool_prune (fixture->pool, DOMAIN, retention, 0, &removed, NULL, NULL));
  g_assert_cmpuint (removed, ==, 0);
}

static void
test_pinned_stays (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Retention) retention = retention_parse ("1x1min", NULL);
  guint64 pinned = 2, removed = 0;
  fixture_take_many (fixture, 5);
  g_assert_true (pool_pin (fixture->pool, DOMAIN, pinned, NULL));
  g_assert_true (pool_pin (fixture->pool, DOMAIN, pinned, NULL));
  g_assert_false (pool_delete (fixture->pool, DOMAIN, &pinned, 1, true, NULL, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_BUSY);
  g_clear_error (&error);
  pool_unpin (fixture->pool, DOMAIN, pinned); /* one of two */
  g_assert_true (pool_prune (fixture->pool, DOMAIN, retention, 0, &removed, NULL, NULL));
  g_assert_cmpuint (removed, >, 0);
  fixture_check_content (fixture, pinned);
  pool_unpin (fixture->pool, DOMAIN, pinned);
  g_assert_true (pool_prune (fixture->pool, DOMAIN, retention, 0, &removed, NULL, NULL));
  g_assert_cmpuint (removed, ==, 1);
  g_assert_false (pool_pin (fixture->pool, DOMAIN, pinned, &error));
  g_assert_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND);
}

static void
give_list (const Fixture *fixture, guint64 number)
{
  g_autoptr (GError) error = NULL;
  int fd = pool_inventory_create (fixture->pool, DOMAIN, number, &error);
  g_assert_no_error (error);
  g_assert_true (pool_inventory_finish (fixture->pool, DOMAIN, number, fd, true, NULL));
}

static void
check_left_after_pruning (const Fixture *fixture, const char *expected)
{
  guint64 removed = 0;
  g_autoptr (Retention) retention = retention_parse ("1x1min", NULL);
  g_autoptr (GString) numbers = g_string_new (NULL);
  g_assert_true (pool_prune (fixture->pool, DOMAIN, retention, 0, &removed, NULL, NULL));
  g_autoptr (GPtrArray) left = pool_snapshots (fixture->pool, DOMAIN);
  for (guint i = 0; i < left->len; i++)
    g_string_append_printf (numbers, "%s%" G_GUINT64_FORMAT, i ? " " : "",
                            ((const Snapshot *)left->pdata[i])->manifest->number);
  g_assert_cmpstr (numbers->str, ==, expected);
}

static void
test_pruning_spares_what_a_verdict_will_need (Fixture *fixture, const void *data)
{
  fixture_take_many (fixture, 10);
  for (guint64 number = 1; number <= 3; number++)
    give_list (fixture, number);
  pool_note_verdict (fixture->pool, DOMAIN, 5, "ok");
  pool_note_verdict (fixture->pool, DOMAIN, 6, "warn");
  check_left_after_pruning (fixture, "2 3 5 9 10");
  /* Verdicts are forgotten, lists are not. */
  fixture_reopen (fixture);
  check_left_after_pruning (fixture, "2 3 9 10");
  pool_note_verdict (fixture->pool, DOMAIN, 10, "ok");
  check_left_after_pruning (fixture, "2 3 10");
}

static void
test_reader_opened_before_a_removal_stays_valid (Fixture *fixture, const void *data)
{
  guint8 byte = 0;
  fixture_take_many (fixture, 4);
  g_autoptr (StorageReader) reader = pool_image_open (fixture->pool, DOMAIN, 2, "vda", NULL);
  fixture_delete (fixture, 2);
  fixture_delete (fixture, 1);
  g_assert_true (storage_image_read (reader, GUARDD_BLOCK_SIZE, &byte, 1, NULL));
  g_assert_cmpuint (byte, ==, 2);
  g_assert_true (storage_image_read (reader, 0, &byte, 1, NULL));
  g_assert_cmpuint (byte, ==, 1);
}

/* --- many threads --- */

typedef struct {
  Fixture *fixture;
  gint stop;
  guint opened;
} Traffic;

static void *
traffic_read (void *opaque)
{
  Traffic *traffic = opaque;
  while (!g_atomic_int_get (&traffic->stop)) {
    g_autoptr (GPtrArray) snapshots = pool_snapshots (traffic->fixture->pool, DOMAIN);
    for (guint i = 0; i < snapshots->len; i += 3) {
      guint64 number = ((Snapshot *)snapshots->pdata[i])->manifest->number;
      guint8 byte = 0;
      g_autoptr (GError) error = NULL;
      g_autoptr (StorageReader) reader
          = pool_image_open (traffic->fixture->pool, DOMAIN, number, "vda", &error);
      if (reader == NULL) {
        g_assert_error (error, POOL_ERROR, POOL_ERROR_NOT_FOUND);
        continue;
      }
      g_assert_true (storage_image_read (reader, (number - 1) % 8 * GUARDD_BLOCK_SIZE, &byte, 1, &error));
      g_assert_cmpuint (byte, ==, (guint8)number);
      traffic->opened++;
    }
  }
  return NULL;
}

static void *
traffic_prune (void *opaque)
{
  Traffic *traffic = opaque;
  g_autoptr (Retention) retention = retention_parse ("4x1min 3x10min", NULL);
  while (!g_atomic_int_get (&traffic->stop)) {
    g_autoptr (GError) error = NULL;
    guint64 removed;
    pool_prune (traffic->fixture->pool, DOMAIN, retention, 0, &removed, NULL, &error);
    g_assert_no_error (error);
  }
  return NULL;
}

static void
test_captures_readers_and_pruning_at_once (Fixture *fixture, const void *data)
{
  Traffic traffic = { .fixture = fixture };
  fixture_take_many (fixture, 1);
  GThread *reader = g_thread_new ("reader", traffic_read, &traffic);
  GThread *pruner = g_thread_new ("pruner", traffic_prune, &traffic);
  fixture_take_many (fixture, 80);
  g_atomic_int_set (&traffic.stop, 1);
  g_thread_join (reader);
  g_thread_join (pruner);
  g_assert_cmpuint (traffic.opened, >, 0);
  fixture_check_content (fixture, 81);
  fixture_reopen (fixture);
  g_assert_cmpuint (fixture_problems (fixture), ==, 0);
  fixture_check_content (fixture, 81);
  g_assert_true (pool_verify_history (fixture->pool, DOMAIN, NULL));
}

/* --- */

static void
test_info_adds_up (Fixture *fixture, const void *data)
{
  PoolInfo info;
  fixture_take_many (fixture, 3);
  g_assert_true (pool_info (fixture->pool, &info, NULL));
  g_assert_cmpuint (info.domains, ==, 1);
  g_assert_cmpuint (info.snapshots, ==, 3);
  g_assert_cmpuint (info.stored_bytes, >=, 3 * GUARDD_BLOCK_SIZE);
  g_assert_cmpuint (info.free_bytes, <=, info.size_bytes);
}

#define ADD(name) g_test_add ("/pool/" #name, Fixture, NULL, fixture_set_up, test_##name, fixture_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (create_refuses_a_directory_with_something_in_it);
  ADD (create_is_private);
  ADD (open_twice_is_busy);
  ADD (open_names_a_damaged_identity);
  ADD (open_says_how_to_make_a_pool);
  ADD (committed_snapshots_are_listed_in_order);
  ADD (newest_with_a_disk_need_not_be_the_newest);
  ADD (snapshots_survive_reopening);
  ADD (open_draft_is_not_listed);
  ADD (number_is_never_reused);
  ADD (draft_refuses_a_missing_parent);
  ADD (draft_refuses_file_names_that_lead_elsewhere);
  ADD (commit_refuses_a_manifest_of_other_disks);
  ADD (history_that_cannot_grow_fails_the_commit_alone);
  ADD (draft_that_does_not_fit_is_refused);
  ADD (open_drafts_count_against_free_space);
  ADD (sealed_files_are_read_only);
  ADD (snapshot_file_is_given_back);
  ADD (resolve);
  ADD (domain_is_found_by_name);
  ADD (state_survives_reopening);
  ADD (state_changes_only_where_told);
  ADD (delete_keeps_what_others_need);
  ADD (delete_refuses_newest_held_and_evidence);
  ADD (parent_of_an_open_draft_stays);
  ADD (prune_applies_the_retention);
  ADD (pinned_stays);
  ADD (pruning_spares_what_a_verdict_will_need);
  ADD (reader_opened_before_a_removal_stays_valid);
  ADD (captures_readers_and_pruning_at_once);
  ADD (info_adds_up);
  return g_test_run ();
}
