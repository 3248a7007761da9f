/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structure detector: what a disk is divided into and formatted with, compared with what it was.
 * These rules need no history and no company: partition tables, superblocks and key slots do not change by
 * themselves.  ../README.md has them one by one, with their reasons.
 */
#include "structure.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT(member) #member, offsetof(struct thresholds, member)
static const struct limit limits[] = {
  { LIMIT (empty_inodes), 16, LIMIT_FILES },
  { LIMIT (empty_bytes), 1u << 20, LIMIT_BYTES },
  { LIMIT (empty_ntfs_inodes), 32, LIMIT_FILES },
  { LIMIT (settled_seconds), 180, 1, 86400 },
  { NULL },
};

static void
judge_geometry (const struct say *to, const struct guardd_structure *before,
                const struct guardd_structure *now)
{
  if (!structure_is_entry (before) || structure_is_unmapped (before) || structure_is_unmapped (now))
    return;
  struct guardd_finding finding = { .rule = "moved",
                                    .level = GUARDD_LEVEL_WARN,
                                    .structure = before->path,
                                    .lasting = 1,
                                    .unit = "bytes from the start of the disk" };
  struct say_name name = say_name (to, before);
  if (structure_is_renumbered (to, before))
    return;
  if (before->offset != now->offset && before->kind == GUARDD_STRUCTURE_PARTITION) {
    finding.seen = (double)now->offset;
    finding.expected = (double)before->offset;
    say (to, finding, "%s starts elsewhere than before", name.text);
  } else if (before->length != now->length) {
    finding = (struct guardd_finding){ .rule = "resized",
                                       .level = GUARDD_LEVEL_INFO,
                                       .structure = before->path,
                                       .seen = (double)now->length,
                                       .expected = (double)before->length,
                                       .unit = "bytes" };
    say (to, finding, "%s was resized", name.text);
  }
}

/* What goes with its container is not told again. */
static bool
container_is_gone (const struct say *to, const struct guardd_structure *is)
{
  const struct guardd_observation *was = to->input->before;
  for (uint32_t i = 0; &was->structures[i] < is; i++) {
    const struct guardd_structure *container = &was->structures[i];
    if (structure_is_under (is->path, container) && !say_is_filesystem (container)
        && container->kind != GUARDD_STRUCTURE_UNKNOWN && !structure_now (to, container)
        && !(structure_is_entry (container) && structure_is_renumbered (to, container)))
      return true;
  }
  return false;
}

static void
judge_new (const struct say *to, const struct guardd_structure *now)
{
  struct guardd_finding finding = { .rule = "new", .level = GUARDD_LEVEL_INFO, .structure = now->path };
  struct say_name name = say_name (to, now);
  for (uint32_t i = 0; i < to->input->before->n_structures; i++) {
    const struct guardd_structure *was = &to->input->before->structures[i];
    if (strcmp (was->path, now->path) == 0 && (was->kind == now->kind || say_is_filesystem (was)))
      return; /* told as what was there */
    if (was->kind == now->kind && was->offset == now->offset)
      return; /* its partition has another number */
  }
  if (say_is_filesystem (now))
    say (to, finding, "%s is new, where there was none", name.text);
}

static int
judge (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_finding *finding), void *opaque)
{
  struct say to = { input, report, opaque, instance };
  if (input->before == NULL)
    return 0;
  for (uint32_t i = 0; i < input->before->n_structures; i++) {
    const struct guardd_structure *before = &input->before->structures[i];
    const struct guardd_structure *now = structure_now (&to, before);
    if (now) {
      judge_identity (&to, before, now);
      judge_state (&to, before, now);
      judge_geometry (&to, before, now);
    } else if (!container_is_gone (&to, before)) {
      judge_gone (&to, before);
    }
  }
  for (uint32_t i = 0; i < input->now->n_structures; i++)
    judge_new (&to, &input->now->structures[i]);
  return 0;
}

/* --- what these rules do not see --- */

#define INSIDE_RULES "formatted structure-gone damaged primary-lost backup-lost"

static int
blind (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
       void (*report) (void *opaque, const struct guardd_blind *blind), void *opaque)
{
  const struct say_blindness to = { input, report, opaque };
  if (input->before == NULL)
    say_blind (&to, INSIDE_RULES " table-replaced partition-replaced volume-group-lost keys-lost moved", "",
               false, "this is the first look at the disk: there is nothing to compare it with");
  for (uint32_t i = 0; i < input->now->n_structures; i++) {
    const struct guardd_structure *is = &input->now->structures[i];
    if (is->flags & GUARDD_STRUCTURE_OPAQUE && is->length > 0)
      say_blind (&to, INSIDE_RULES, is->path, false,
                 "%s: that what is inside is formatted or gone cannot be seen; that it goes itself can",
                 say_opaque (is));
    else if (is->kind == GUARDD_STRUCTURE_UNKNOWN)
      say_blind (&to, INSIDE_RULES, is->path, false, "what is there is of no kind that is known here");
  }
  return 0;
}

static int
instance_open (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
               void **instance)
{
  return limits_open (call, "structure", limits, sizeof (struct thresholds), params, n_params, instance);
}

static const struct guardd_detector_ops ops = {
  .size = sizeof ops,
  .open = instance_open,
  .close = free,
  .judge = judge,
  .blind = blind,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_DETECTOR,
  .name = "structure",
  .version = GUARDD_VERSION,
  .description = "partition tables, filesystems, volume groups and keys that are gone or replaced",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
