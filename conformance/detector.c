/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check.h"

#include <guardd/detector.h>
#include <math.h>
#include <string.h>

#define DISKS 20000u
#define THREADS 4u
#define NOW_US G_GINT64_CONSTANT (1700000000000000)

typedef struct {
  GString *told; /* all findings, as text: to be compared */
  bool malformed;
  enum guardd_level worst;
} Judged;

static void
take (void *opaque, const struct guardd_finding *finding)
{
  Judged *judged = opaque;
  bool good = finding->size_of >= sizeof *finding && finding->level <= GUARDD_LEVEL_CRITICAL
              && finding->level != GUARDD_LEVEL_OK && finding->rule && finding->rule[0]
              && strspn (finding->rule, G_CSET_a_2_z "-") == strlen (finding->rule) && is_text (finding->text)
              && finding->structure != NULL
              && (finding->unit == NULL || (isfinite (finding->seen) && isfinite (finding->expected)))
              && (!finding->soft || finding->level < GUARDD_LEVEL_CRITICAL)
              && (finding->horizon == NULL || is_text (finding->horizon));
  for (uint32_t i = 0; i < finding->n_considered; i++)
    good = good && is_text (finding->considered[i]);
  judged->malformed |= !good;
  if (!good)
    return;
  judged->worst = MAX (judged->worst, finding->level);
  g_string_append_printf (judged->told, "%d %s %s %s\n", finding->level, finding->rule, finding->structure,
                          finding->text);
}

/* It may have been left out, or not have existed when the plugin was built. */
static bool
has_blind (const struct guardd_detector_ops *ops)
{
  return ops->size >= sizeof *ops && ops->blind != NULL;
}

static void
take_blind (void *opaque, const struct guardd_blind *blind)
{
  Judged *judged = opaque;
  bool good = blind->size_of >= sizeof *blind && blind->rules && blind->structure && is_text (blind->why)
              && strspn (blind->rules, G_CSET_a_2_z "- ") == strlen (blind->rules);
  judged->malformed |= !good;
  if (good)
    g_string_append_printf (judged->told, "blind %s %s %s\n", blind->rules, blind->structure, blind->why);
}

static int
judge (const struct guardd_detector_ops *ops, void *instance, const struct guardd_observation *now,
       const struct guardd_observation *before, const struct guardd_peak (*peaks)[GUARDD_HORIZONS],
       const struct guardd_history *history, Judged *judged)
{
  static const struct guardd_relief reliefs[] = { { "deletion", 5 }, { "no-plugin-has-this", 90 } };
  Host host;
  host_begin (&host);
  *judged = (Judged){ .told = g_string_new (NULL) };
  struct guardd_judge_input input = {
    .size_of = sizeof input,
    .disk = "vda",
    .time_us = NOW_US,
    .now = now,
    .before = before,
    .peaks = peaks,
    .history = history,
    .reliefs = reliefs,
    .n_reliefs = history ? G_N_ELEMENTS (reliefs) : 0,
  };
  int result = ops->judge (instance, &host.call, &input, take, judged);
  if (has_blind (ops) && ops->blind (instance, &host.call, &input, take_blind, judged) != 0)
    result = -1;
  host_clear (&host);
  return result;
}

/* --- disks that nobody has seen --- */

static guint64
some_number (GRand *random)
{
  switch (g_rand_int_range (random, 0, 5)) {
  case 0:
    return 0;
  case 1:
    return G_MAXUINT64;
  case 2:
    return (guint64)g_rand_int_range (random, 0, 3000);
  default:
    return (guint64)g_rand_int (random) << g_rand_int_range (random, 0, 32);
  }
}

static void
random_structure (GRand *random, struct guardd_structure *is, guint number)
{
  is->kind = (guint32)g_rand_int_range (random, 0, GUARDD_STRUCTURE_KINDS);
  is->flags = g_rand_int (random) & 0xff;
  if (number == 0)
    is->path[0] = '\0';
  else
    g_snprintf (is->path, sizeof is->path, "p%u", number);
  for (guint i = 0; i < sizeof is->uuid; i++)
    is->uuid[i] = (guint8)g_rand_int_range (random, 0, 3);
  guint64 *numbers[]
      = { &is->offset,      &is->length,     &is->made,         &is->generation,  &is->digest,
          &is->total_bytes, &is->used_bytes, &is->total_inodes, &is->used_inodes, &is->used_dirs };
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    *numbers[i] = some_number (random);
}

static struct guardd_observation *
random_disk (GRand *random)
{
  struct guardd_observation *disk = g_new0 (struct guardd_observation, 1);
  disk->size_of = sizeof *disk;
  disk->disk_size = some_number (random);
  disk->n_structures = (guint32)g_rand_int_range (
      random, 0, g_rand_int_range (random, 0, 20) ? 5 : GUARDD_STRUCTURES_MAX + 1);
  for (guint i = 0; i < disk->n_structures; i++)
    random_structure (random, &disk->structures[i], i);
  for (guint i = 0; i < GUARDD_CHANGE_CLASSES; i++)
    for (guint j = 0; j < GUARDD_PLACES; j++)
      disk->changed[i][j] = g_rand_int_range (random, 0, 3) ? 0 : some_number (random);
  return disk;
}

static void
random_reference (GRand *random, struct guardd_reference *of)
{
  of->samples = (guint32)g_rand_int_range (random, 0, 1345);
  of->median = (double)some_number (random);
  of->mad = (double)some_number (random);
  of->most = of->median + (double)some_number (random);
}

static struct guardd_history *
random_history (GRand *random)
{
  struct guardd_history *history = g_new0 (struct guardd_history, 1);
  history->size_of = sizeof *history;
  history->age_s = some_number (random);
  history->n_windows = (guint32)g_rand_int_range (
      random, 0, g_rand_int_range (random, 0, 20) ? 5 : (gint32)GUARDD_HISTORY_WINDOWS + 1);
  for (guint i = 0; i < GUARDD_FEATURES; i++) {
    history->features[i].now = (double)some_number (random);
    random_reference (random, &history->features[i].hour);
    random_reference (random, &history->features[i].all);
  }
  for (guint i = 0; i < history->n_windows; i++)
    history->inodes_lost[i] = (double)some_number (random);
  history->sampled_bytes = (double)some_number (random);
  history->high_bytes = history->sampled_bytes * g_rand_double (random);
  history->mapped_bytes = (double)some_number (random);
  history->unmapped_bytes = (double)some_number (random);
  return history;
}

/* A disk with one filesystem, three quarters full. */
static struct guardd_observation *
ordinary_disk (void)
{
  struct guardd_observation *disk = g_new0 (struct guardd_observation, 1);
  disk->size_of = sizeof *disk;
  disk->disk_size = G_GUINT64_CONSTANT (20) << 30;
  disk->n_structures = 1;
  disk->structures[0] = (struct guardd_structure){ .kind = GUARDD_STRUCTURE_EXT,
                                                   .flags = GUARDD_STRUCTURE_COUNTED,
                                                   .length = disk->disk_size,
                                                   .uuid = { 1, 2, 3 },
                                                   .made = 1600000000,
                                                   .total_bytes = disk->disk_size,
                                                   .used_bytes = disk->disk_size / 4 * 3,
                                                   .total_inodes = 1000000,
                                                   .used_inodes = 400000,
                                                   .used_dirs = 30000 };
  return disk;
}

/* --- promises --- */

static void
check_quiet (const struct guardd_detector_ops *ops, void *instance)
{
  g_autofree struct guardd_observation *disk = ordinary_disk ();
  Judged judged;
  int result = judge (ops, instance, disk, disk, NULL, NULL, &judged);
  check (result == 0 && judged.worst <= GUARDD_LEVEL_INFO, "a disk that has not changed is no warning: %s",
         judged.told->str);
  g_string_free (judged.told, TRUE);
  result = judge (ops, instance, disk, NULL, NULL, NULL, &judged);
  check (result == 0 && judged.worst <= GUARDD_LEVEL_INFO, "a disk that is new here is no warning: %s",
         judged.told->str);
  g_string_free (judged.told, TRUE);
}

typedef struct {
  const struct guardd_detector_ops *ops;
  void *instance;
  guint seed;
  GString *all; /* what it said of all disks */
  guint malformed, failed;
} Round;

static gpointer
judge_many (gpointer opaque)
{
  Round *round = opaque;
  GRand *random = g_rand_new_with_seed (round->seed);
  round->all = g_string_new (NULL);
  for (guint i = 0; i < DISKS; i++) {
    g_autofree struct guardd_observation *before = random_disk (random), *now = random_disk (random);
    struct guardd_peak peaks[GUARDD_STRUCTURES_MAX][GUARDD_HORIZONS];
    for (guint j = 0; j < sizeof peaks / sizeof (guint64); j++)
      ((guint64 *)(void *)peaks)[j] = some_number (random);
    g_autofree struct guardd_history *history = random_history (random);
    Judged judged;
    round->failed += judge (round->ops, round->instance, now, i % 7 ? before : NULL, i % 3 ? peaks : NULL,
                            i % 5 ? history : NULL, &judged)
                     != 0;
    round->malformed += judged.malformed;
    g_string_append (round->all, judged.told->str);
    g_string_free (judged.told, TRUE);
  }
  g_rand_free (random);
  return NULL;
}

static void
check_many (const struct guardd_detector_ops *ops, void *instance)
{
  Round rounds[THREADS];
  GThread *threads[THREADS];
  bool same = true;
  guint malformed = 0, failed = 0;
  for (guint i = 0; i < THREADS; i++) {
    rounds[i] = (Round){ .ops = ops, .instance = instance, .seed = 1 };
    threads[i] = g_thread_new ("judge", judge_many, &rounds[i]);
  }
  for (guint i = 0; i < THREADS; i++) {
    g_thread_join (threads[i]);
    malformed += rounds[i].malformed;
    failed += rounds[i].failed;
    same = same && strcmp (rounds[i].all->str, rounds[0].all->str) == 0;
  }
  check (failed == 0, "judges %u disks of any content: %u failed", DISKS, failed);
  check (malformed == 0, "its findings have a level, a rule in [a-z-]+ and a sentence: %u have not",
         malformed);
  check (same, "says the same of the same disk, on %u threads at once", THREADS);
  for (guint i = 0; i < THREADS; i++)
    g_string_free (rounds[i].all, TRUE);
}

void
check_detector (const struct guardd_plugin *plugin, const struct guardd_param *params, size_t n_params)
{
  const struct guardd_detector_ops *ops = plugin->ops;
  const struct guardd_param strange = { "no-plugin-has-this", "1" };
  void *instance = NULL;
  Host host;
  if (!check (ops->size >= offsetof (struct guardd_detector_ops, blind) && ops->open && ops->close
                  && ops->judge,
              "has all operations of a detector"))
    return;
  host_begin (&host);
  check (ops->open (&host.call, &strange, 1, &instance) != 0, "refuses a parameter that it does not know");
  check_words (&host, "a parameter that it does not know");
  host_clear (&host);
  if (check (ops->open (&host.call, params, n_params, &instance) == 0, "opens: %s",
             host.words ? host.words : "")) {
    check_quiet (ops, instance);
    check_many (ops, instance);
    ops->close (instance);
  }
  host_clear (&host);
}
