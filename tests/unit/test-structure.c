/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the structure detector makes of what was on a disk and what is: the rules, without the readers. */
#include "guardd/config.h"
#include "guardd/detectors.h"

#include <string.h>

#define ALONE                                                                                                \
  "[pool main]\npath = /p\n[detector loss]\nenabled = no\n[detector change]\nenabled = no\n"                 \
  "[detector baseline]\nenabled = no\n"
#define MIB (1024ull * 1024)

typedef struct guardd_structure Structure;
typedef struct guardd_observation Observation;

/* One more structure on a disk, with an identity of its own. */
static Structure *
add (Observation *seen, guint kind, const char *path, guint64 offset_mib, guint64 length_mib, guint8 id)
{
  seen->size_of = sizeof *seen;
  seen->disk_size = 1024 * MIB;
  Structure *is = &seen->structures[seen->n_structures++];
  *is = (Structure){ .kind = kind,
                     .offset = offset_mib * MIB,
                     .length = length_mib * MIB,
                     .used_bytes = G_MAXUINT64,
                     .used_inodes = G_MAXUINT64,
                     .used_dirs = G_MAXUINT64 };
  g_strlcpy (is->path, path, sizeof is->path);
  is->uuid[0] = id;
  return is;
}

/* A filesystem with so many files and bytes in it. */
static Structure *
add_ext (Observation *seen, const char *path, guint64 offset_mib, guint8 id, guint64 inodes, guint64 mib)
{
  Structure *is = add (seen, GUARDD_STRUCTURE_EXT, path, offset_mib, 800, id);
  is->flags = GUARDD_STRUCTURE_COUNTED;
  is->made = 1000000 + id;
  is->total_bytes = 800 * MIB;
  is->used_bytes = mib * MIB;
  is->used_inodes = inodes;
  return is;
}

static Level
judge (const Observation *before, const Observation *now)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Config) config = config_parse ("guardd.conf", ALONE, &error);
  g_assert_no_error (error);
  const char *folder = g_getenv ("GUARDD_PLUGIN_DIR");
  Detectors *detectors = detectors_open (folder ? folder : "build/plugins", config->detectors, &error);
  g_assert_no_error (error);
  const struct guardd_judge_input input
      = { .size_of = sizeof input, .disk = "vda", .time_us = 2000000000000000, .now = now, .before = before };
  g_autoptr (GPtrArray) findings = findings_new ();
  detectors_judge (detectors, &input, findings);
  detectors_close (detectors);
  return findings_level (findings);
}

static void
test_few_big_files (void)
{
  Observation before = { 0 }, now = { 0 }, gone = { .size_of = sizeof gone, .disk_size = 1024 * MIB };
  add_ext (&before, "", 0, 1, 14, 88);
  add_ext (&now, "", 0, 2, 11, 0);
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge (&before, &gone), ==, LEVEL_CRITICAL);
  before.structures[0].used_bytes = MIB / 2;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_INFO);
  g_assert_cmpint (judge (&before, &gone), ==, LEVEL_INFO);
}

static void
test_few_big_files_renamed (void)
{
  Observation before = { 0 }, now = { 0 };
  add_ext (&before, "", 0, 1, 14, 88);
  add_ext (&now, "", 0, 2, 14, 88)->made = before.structures[0].made;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_INFO);
  now.structures[0].used_bytes = 2 * MIB;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL);
}

/* A table with one used partition and one that nobody uses. */
static void
add_table (Observation *seen, guint kind, guint8 id, guint8 partition, guint64 length_mib)
{
  add (seen, kind, "", 0, 1024, id);
  add (seen, GUARDD_STRUCTURE_PARTITION, "p1", 1, length_mib, partition);
}

static void
test_table_around_content (void)
{
  Observation before = { 0 }, ids = { 0 }, converted = { 0 }, grown = { 0 }, other = { 0 }, lost = { 0 };
  add_table (&before, GUARDD_STRUCTURE_MBR, 1, 0, 800);
  add_ext (&before, "p1", 1, 1, 3000, 100);
  add_table (&ids, GUARDD_STRUCTURE_MBR, 2, 5, 800);
  add_ext (&ids, "p1", 1, 1, 3000, 100);
  g_assert_cmpint (judge (&before, &ids), ==, LEVEL_INFO);
  add_table (&converted, GUARDD_STRUCTURE_GPT, 2, 5, 800);
  add_ext (&converted, "p1", 1, 1, 3000, 100);
  g_assert_cmpint (judge (&before, &converted), ==, LEVEL_INFO);
  add_table (&grown, GUARDD_STRUCTURE_MBR, 1, 5, 1000);
  add_ext (&grown, "p1", 1, 1, 3000, 100);
  g_assert_cmpint (judge (&before, &grown), ==, LEVEL_INFO);
  add_table (&other, GUARDD_STRUCTURE_MBR, 2, 5, 1000);
  add_ext (&other, "p1", 1, 1, 3000, 100);
  g_assert_cmpint (judge (&before, &other), ==, LEVEL_CRITICAL);
  add_table (&lost, GUARDD_STRUCTURE_MBR, 2, 5, 800);
  g_assert_cmpint (judge (&before, &lost), ==, LEVEL_CRITICAL);
}

static void
test_renumbered (void)
{
  Observation before = { 0 }, now = { 0 };
  add (&before, GUARDD_STRUCTURE_GPT, "", 0, 1024, 1);
  add (&before, GUARDD_STRUCTURE_PARTITION, "p1", 500, 400, 5);
  add_ext (&before, "p1", 500, 1, 3000, 100);
  add (&before, GUARDD_STRUCTURE_PARTITION, "p2", 1, 400, 6);
  add_ext (&before, "p2", 1, 2, 500, 100);
  now = before;
  for (guint i = 1; i < 5; i++)
    g_strlcpy (now.structures[i].path, i < 3 ? "p2" : "p1", sizeof now.structures[i].path);
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_INFO); /* sorted */
  now = before;
  g_strlcpy (now.structures[3].path, "p7", sizeof now.structures[3].path);
  g_strlcpy (now.structures[4].path, "p7", sizeof now.structures[4].path);
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_OK);
  now.structures[4].uuid[0] = 77;
  now.structures[4].used_inodes = 11;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL);
}

static void
test_unknown_is_replaced (void)
{
  Observation before = { 0 }, now = { 0 }, gone = { .size_of = sizeof gone, .disk_size = 1024 * MIB };
  add (&before, GUARDD_STRUCTURE_UNKNOWN, "", 0, 1024, 0);
  add (&now, GUARDD_STRUCTURE_LUKS, "", 0, 1024, 1);
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_INFO);
  g_assert_cmpint (judge (&before, &gone), ==, LEVEL_WARN);
}

static void
test_volume_group (void)
{
  Observation before = { 0 }, now = { 0 }, gone = { .size_of = sizeof gone, .disk_size = 1024 * MIB };
  add (&before, GUARDD_STRUCTURE_PV, "", 0, 1024, 1)->uuid[8] = 1;
  add (&now, GUARDD_STRUCTURE_PV, "", 0, 1024, 1);
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_INFO);
  g_assert_cmpint (judge (&before, &gone), ==, LEVEL_INFO);
  add (&before, GUARDD_STRUCTURE_LV, "store", 300, 100, 2);
  Structure *elsewhere = add (&before, GUARDD_STRUCTURE_LV, "elsewhere", 0, 0, 3);
  elsewhere->flags = GUARDD_STRUCTURE_OPAQUE;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_INFO);
  elsewhere->length = 1024 * MIB; /* it is here, in part */
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge (&before, &gone), ==, LEVEL_CRITICAL);
  before.n_structures = 2;
  add_ext (&before, "store", 300, 1, 3000, 100);
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL);
  g_assert_cmpint (judge (&before, &gone), ==, LEVEL_CRITICAL);
}

static void
test_volumes (void)
{
  Observation before = { 0 }, now = { 0 };
  add (&before, GUARDD_STRUCTURE_PV, "", 0, 1024, 1)->uuid[8] = 1;
  now = before;
  add (&before, GUARDD_STRUCTURE_LV, "striped", 0, 1024, 2)->flags = GUARDD_STRUCTURE_OPAQUE;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL);
  add (&now, GUARDD_STRUCTURE_LV, "striped", 0, 1024, 3)->flags = GUARDD_STRUCTURE_OPAQUE;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL);
  now.structures[1].uuid[0] = 2;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_OK);
  g_strlcpy (now.structures[1].path, "renamed", sizeof now.structures[1].path);
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_OK);
}

static void
test_volume_is_moved (void)
{
  Observation before = { 0 }, now = { 0 };
  add (&before, GUARDD_STRUCTURE_PV, "", 0, 1024, 1)->uuid[8] = 1;
  now = before;
  add (&before, GUARDD_STRUCTURE_LV, "mail", 1, 800, 2);
  add_ext (&before, "mail", 1, 1, 3000, 100);
  Structure *moving = add (&now, GUARDD_STRUCTURE_LV, "mail", 0, 1024, 2);
  moving->flags = GUARDD_STRUCTURE_OPAQUE;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_INFO);
  moving->length = 0;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_INFO);
  moving->uuid[0] = 3; /* made anew elsewhere under the name */
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL);
}

static void
test_volume_key (void)
{
  Observation before = { 0 }, now = { 0 };
  Structure *is = add (&before, GUARDD_STRUCTURE_LUKS, "", 0, 1024, 1);
  is->flags = GUARDD_STRUCTURE_OPAQUE;
  is->key = 1, is->digest = 1, is->generation = 5;
  now = before;
  now.structures[0].digest = 2;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL); /* a key area overwritten */
  now.structures[0].generation = 7;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_OK); /* a re-key */
  now.structures[0].key = 2;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL); /* luksFormat --uuid */
  now.structures[0].generation = 3;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL);
  now.structures[0].generation = 40;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_WARN); /* encrypted anew in between, perhaps */
  now.structures[0].key = 0;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_OK); /* is being encrypted anew */
}

static void
test_written_over (void)
{
  Observation before = { 0 }, now = { 0 }, later = { 0 };
  add_ext (&before, "", 0, 1, 3000, 100);
  add_ext (&now, "", 0, 1, 3000, 100)->flags |= GUARDD_STRUCTURE_OVERLAID;
  add_table (&now, GUARDD_STRUCTURE_MBR, 1, 0, 1000);
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_CRITICAL);
  later = now;
  later.structures[0].flags |= GUARDD_STRUCTURE_DAMAGED;
  g_assert_cmpint (judge (&now, &later), ==,
                   LEVEL_OK); /* the new one is used: where the old one had something */
  before.structures[0].used_inodes = 11;
  before.structures[0].used_bytes = 0;
  g_assert_cmpint (judge (&before, &now), ==, LEVEL_INFO);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/structure/a-few-big-files-are-not-empty", test_few_big_files);
  g_test_add_func ("/structure/a-new-uuid-on-a-few-big-files-is-no-format", test_few_big_files_renamed);
  g_test_add_func ("/structure/a-table-made-anew-around-its-content-is-no-loss", test_table_around_content);
  g_test_add_func ("/structure/a-filesystem-is-known-under-another-number", test_renumbered);
  g_test_add_func ("/structure/unknown-data-may-be-replaced", test_unknown_is_replaced);
  g_test_add_func ("/structure/a-group-without-volumes-in-use-may-go", test_volume_group);
  g_test_add_func ("/structure/a-volume-that-cannot-be-followed-may-not", test_volumes);
  g_test_add_func ("/structure/a-volume-may-be-moved-to-another-disk", test_volume_is_moved);
  g_test_add_func ("/structure/a-volume-key-outlives-its-keys", test_volume_key);
  g_test_add_func ("/structure/what-is-written-over-is-lost", test_written_over);
  return g_test_run ();
}
