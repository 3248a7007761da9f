/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/json.h"
#include "guardd/manifest.h"

#include <string.h>

static Manifest *
sample (void)
{
  Manifest *manifest = manifest_new ();
  manifest->number = 42;
  manifest->id = g_strdup ("00000000-1111-2222-3333-444444444444");
  manifest->domain_uuid = g_strdup ("11111111-2222-3333-4444-55555555abcd");
  manifest->domain_name = g_strdup ("web \"01\"");
  manifest->time_us = 1790000000123456;
  manifest->engine = g_strdup ("qmp");
  manifest->origin = g_strdup ("manual");
  manifest->description = g_strdup ("before the upgrade");
  manifest->guest_active = true;
  manifest->stall_us = 1100;
  manifest->duration_us = 15000;
  manifest->bitmap = g_strdup ("guardd-42");
  manifest->has_nvram = true;
  ManifestDisk *vda = manifest_add_disk (manifest, "vda"), *vdb = manifest_add_disk (manifest, "vdb");
  vda->source = g_strdup ("/images/web.qcow2");
  vda->format = g_strdup ("qcow2");
  vda->size = 20 * (guint64)1024 * 1024 * 1024;
  vda->parent = 41;
  vda->changed_bytes = 1 << 20;
  vda->stored_bytes = 1 << 19;
  memset (vda->index_hash, 0xab, sizeof vda->index_hash);
  vdb->size = 512;
  vdb->stored_bytes = 512;
  vdb->changed_bytes = 65536;
  vdb->full_reason = g_strdup ("the bitmap was lost");
  return manifest;
}

static char *
text_of (const Manifest *manifest)
{
  g_autoptr (json_object) json = manifest_to_json (manifest);
  return g_strdup (json_object_to_json_string_ext (json, JSON_C_TO_STRING_PLAIN));
}

static Manifest *
read_text (const char *text, GError **error)
{
  g_autoptr (json_object) json = json_parse ("manifest.json", text, strlen (text), error);
  return json ? manifest_from_json (json, error) : NULL;
}

static void
test_written_and_read_is_the_same (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Manifest) manifest = sample ();
  g_autofree char *text = text_of (manifest);
  g_autoptr (Manifest) again = read_text (text, &error);
  g_assert_no_error (error);
  g_autofree char *again_text = text_of (again);
  g_assert_cmpstr (again_text, ==, text);
  g_assert_cmpstr (again->domain_name, ==, "web \"01\"");
  g_assert_cmpint (again->time_us, ==, 1790000000123456);
  g_assert_cmpmem (manifest_find_disk (again, "vda")->index_hash, GUARDD_HASH_SIZE,
                   manifest_find_disk (manifest, "vda")->index_hash, GUARDD_HASH_SIZE);
  g_assert_null (manifest_find_disk (again, "vdb")->source);
}

static void
test_copy_is_its_own (void)
{
  Manifest *manifest = sample ();
  g_autofree char *text = text_of (manifest);
  g_autoptr (Manifest) copy = manifest_copy (manifest);
  manifest_free (manifest);
  g_autofree char *copy_text = text_of (copy);
  g_assert_cmpstr (copy_text, ==, text);
}

static void
test_sums (void)
{
  g_autoptr (Manifest) manifest = sample ();
  g_assert_cmpuint (manifest_changed_bytes (manifest), ==, (1 << 20) + 65536);
  g_assert_cmpuint (manifest_stored_bytes (manifest), ==, (1 << 19) + 512);
}

/* Every member that must be there is missed by its name. */
static void
test_missing_members_are_named (void)
{
  static const char *const members[]
      = { "format", "number",       "id",       "domain_uuid", "domain_name", "time_us", "engine",
          "origin", "guest_active", "stall_us", "duration_us", "has_nvram",   "has_tpm", "disks" };
  static const char *const disk_members[]
      = { "target", "size_bytes", "parent", "read_bytes", "changed_bytes", "stored_bytes", "index_hash" };
  g_autoptr (Manifest) manifest = sample ();
  for (guint i = 0; i < G_N_ELEMENTS (members) + G_N_ELEMENTS (disk_members); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (json_object) json = manifest_to_json (manifest);
    json_object *object = json;
    const char *member = i < G_N_ELEMENTS (members) ? members[i] : disk_members[i - G_N_ELEMENTS (members)];
    if (i >= G_N_ELEMENTS (members))
      object = json_object_array_get_idx (json_object_object_get (json, "disks"), 1);
    json_object_object_del (object, member);
    g_assert_null (manifest_from_json (json, &error));
    g_assert_nonnull (strstr (error->message, member));
    g_clear_error (&error);
    json_object_object_add (object, member, json_object_new_double (0.5));
    g_assert_null (manifest_from_json (json, &error));
    g_assert_nonnull (strstr (error->message, member));
  }
}

static void
test_values_out_of_range_are_refused (void)
{
  static const struct {
    const char *from, *to, *member;
  } cases[] = {
    { "\"format\":1", "\"format\":2", "format" },
    { "\"number\":42", "\"number\":0", "number" },
    { "\"number\":42", "\"number\":-1", "number" },
    { "00000000-1111", "0000000g-1111", "id" },
    { "55555555abcd", "55555555ABCD", "domain_uuid" },
    { "\"target\":\"vda\"", "\"target\":\"../vda\"", "target" },
    { "\"target\":\"vda\"", "\"target\":\"\"", "target" },
    { "\"target\":\"vda\"", "\"target\":\"aaaaaaaaaabbbbbbbbbbccccccccccdd\"", "target" },
    { "\"target\":\"vda\"", "\"target\":\"vdb\"", "target" },
    { "\"parent\":41", "\"parent\":42", "parent" },
    { "\"parent\":41", "\"parent\":43", "parent" },
    { "abab\"", "aba\"", "index_hash" },
    { "abab\"", "abag\"", "index_hash" },
  };
  g_autoptr (Manifest) manifest = sample ();
  g_autofree char *text = text_of (manifest);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_nonnull (strstr (text, cases[i].from));
    g_auto (GStrv) parts = g_strsplit (text, cases[i].from, 2);
    g_autofree char *wrong = g_strjoinv (cases[i].to, parts);
    g_assert_null (read_text (wrong, &error));
    g_assert_nonnull (strstr (error->message, cases[i].member));
  }
}

static void
test_what_is_no_object_is_refused (void)
{
  static const char *const texts[] = { "[]", "null", "1", "\"x\"", "{}", "{\"format\":1,\"disks\":[1]}" };
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (read_text (texts[i], &error));
    g_assert_nonnull (error);
  }
}

static void
test_state_written_and_read_is_the_same (void)
{
  for (guint i = 0; i < 8; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (SnapshotState) state = snapshot_state_new ();
    state->hold = i & 1 ? g_strdup ("until Friday") : NULL;
    state->evidence = i & 2;
    state->verdict = i & 4 ? g_strdup ("warn") : NULL;
    g_autoptr (json_object) json = snapshot_state_to_json (state);
    g_autoptr (SnapshotState) again = snapshot_state_from_json (json, &error);
    g_assert_no_error (error);
    g_autoptr (SnapshotState) copy = snapshot_state_copy (again);
    g_assert_cmpstr (copy->hold, ==, state->hold);
    g_assert_cmpint (copy->evidence, ==, state->evidence);
    g_assert_cmpstr (copy->verdict, ==, state->verdict);
  }
}

#define ADD(name) g_test_add_func ("/manifest/" #name, test_##name)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (written_and_read_is_the_same);
  ADD (copy_is_its_own);
  ADD (sums);
  ADD (missing_members_are_named);
  ADD (values_out_of_range_are_refused);
  ADD (what_is_no_object_is_refused);
  ADD (state_written_and_read_is_the_same);
  return g_test_run ();
}
