/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's watch in a temporary directory, and disks as the sentinel describes them. */
#pragma once

#include "guardd/watch.h"

#include "base/files.h"

#include <string.h>

#define MINUTE ((gint64)60 * G_USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define START (1000000 * HOUR)
#define FILES 10000u
#define GUEST "0b2a9cb0-2c5c-4d0e-9c1e-2d4f0a0f0001"

static inline struct guardd_observation
disk_with (guint64 inodes, guint64 bytes)
{
  struct guardd_observation seen = { .size_of = sizeof seen, .n_structures = 1, .disk_size = 100ull << 30 };
  seen.structures[0] = (struct guardd_structure){ .kind = GUARDD_STRUCTURE_EXT,
                                                  .flags = GUARDD_STRUCTURE_COUNTED,
                                                  .length = 100ull << 30,
                                                  .uuid = { 1 },
                                                  .made = 1,
                                                  .total_bytes = 100ull << 30,
                                                  .used_bytes = bytes,
                                                  .total_inodes = 1000000,
                                                  .used_inodes = inodes,
                                                  .used_dirs = inodes / 10 };
  return seen;
}

typedef struct {
  char *folder;
  Watch *watch;
  Detectors *detectors;
  guint64 number;
  char *rule;
  GPtrArray *findings; /* of the last verdict */
  GPtrArray *blind;
} Fixture;

static inline void
set_up (Fixture *fixture, gconstpointer data)
{
  const char *plugins = g_getenv ("GUARDD_PLUGIN_DIR") ? g_getenv ("GUARDD_PLUGIN_DIR") : "build/plugins";
  fixture->folder = g_dir_make_tmp ("guardd-watch-XXXXXX", NULL);
  fixture->watch = watch_new (fixture->folder, GUEST);
  fixture->detectors = detectors_open (plugins, NULL, NULL);
  g_assert_cmpuint (detectors_count (fixture->detectors), >=, 3);
}

static inline void
tear_down (Fixture *fixture, gconstpointer data)
{
  watch_free (fixture->watch);
  detectors_close (fixture->detectors);
  files_remove_tree (-100, fixture->folder, NULL);
  g_free (fixture->folder);
  g_free (fixture->rule);
  g_clear_pointer (&fixture->findings, g_ptr_array_unref);
  g_clear_pointer (&fixture->blind, g_ptr_array_unref);
}

/* What another guardd would remember. */
static inline void
restart (Fixture *fixture)
{
  watch_free (fixture->watch);
  fixture->watch = watch_new (fixture->folder, GUEST);
}

/* The verdict on the next snapshot; fixture->rule: the worst finding's. */
static inline Level
judge (Fixture *fixture, gint64 time_us, const struct guardd_observation *seen)
{
  WatchDisk disk = { "vda", seen, "nobody could look" };
  Verdict verdict;
  watch_judge (fixture->watch, fixture->detectors, ++fixture->number, time_us, &disk, 1, &verdict);
  const Finding *worst = findings_worst (verdict.findings);
  g_free (fixture->rule);
  fixture->rule = g_strdup (worst ? worst->rule : "");
  Level level = verdict.level;
  g_clear_pointer (&fixture->findings, g_ptr_array_unref);
  g_clear_pointer (&fixture->blind, g_ptr_array_unref);
  fixture->findings = g_steal_pointer (&verdict.findings);
  fixture->blind = g_steal_pointer (&verdict.blind);
  verdict_clear (&verdict);
  return level;
}

static inline Level
judge_counts (Fixture *fixture, gint64 time_us, guint64 inodes, guint64 bytes)
{
  struct guardd_observation seen = disk_with (inodes, bytes);
  return judge (fixture, time_us, &seen);
}
