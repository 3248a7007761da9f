/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules on what is there, and is another than before. */
#include "structure.h"

#include <string.h>

static bool
is_near (uint64_t a, uint64_t b)
{
  uint64_t less = a < b ? a : b, more = a < b ? b : a;
  return less >= more / 10 * 9;
}

/* The same content under a new identity: tune2fs -U, xfs_admin -U. */
static bool
only_renamed (const struct say *to, const struct guardd_structure *before, const struct guardd_structure *now)
{
  if (before->made != now->made || !(before->flags & now->flags & GUARDD_STRUCTURE_COUNTED)
      || before->used_inodes == UINT64_MAX || now->used_inodes == UINT64_MAX)
    return false;
  return structure_fill (to, before) == FILL_USED && structure_fill (to, now) == FILL_USED
         && is_near (before->used_inodes, now->used_inodes) && is_near (before->used_bytes, now->used_bytes);
}

void
structure_consider (const struct say *to, const struct guardd_structure *before,
                    const struct guardd_structure *now, struct say_considered *considered)
{
  uint64_t size = to->input->now->disk_size;
  if (before->flags & GUARDD_STRUCTURE_COUNTED && before->used_inodes != UINT64_MAX
      && structure_fill (to, before) == FILL_USED)
    say_considered (considered, "not empty: %llu files and directories were in it, of %llu bytes",
                    (unsigned long long)before->used_inodes, (unsigned long long)before->used_bytes);
  if (now && before->made != 0 && before->made != now->made)
    say_considered (considered, "not a new UUID on old content: its time of creation is another as well");
  if (to->input->before->disk_size == size)
    say_considered (considered, "not a resize: the disk has %llu bytes, as before", (unsigned long long)size);
}

static void
judge_table (const struct say *to, const struct guardd_structure *before)
{
  struct say_name name = say_name (to, before);
  struct guardd_finding finding
      = { .rule = "table-replaced", .level = GUARDD_LEVEL_CRITICAL, .structure = before->path, .lasting = 1 };
  bool lost = structure_lost (to, before);
  if (lost || !structure_has_same_entries (to, before)) {
    say (to, finding, "%s was replaced by another one (its disk identifier differs)", name.text);
    return;
  }
  finding.level = GUARDD_LEVEL_INFO;
  say (to, finding, "%s has another disk identifier; all that was in use is where it was", name.text);
}

static void
judge_entry (const struct say *to, const struct guardd_structure *before, const struct guardd_structure *now)
{
  static const uint8_t none[16];
  struct say_name name = say_name (to, before);
  struct guardd_finding finding = { .rule = "partition-replaced", .structure = before->path, .lasting = 1 };
  if (before->kind == GUARDD_STRUCTURE_PARTITION) {
    bool lost = structure_lost (to, before);
    finding.level = lost ? GUARDD_LEVEL_WARN : GUARDD_LEVEL_INFO;
    say (to, finding, "%s has another identifier: it was deleted and made again%s", name.text,
         lost ? "" : ", around what was in it");
  } else if (structure_is_unmapped (before) && structure_lost (to, before)
             && memcmp (before->uuid, none, sizeof none)) {
    finding.rule = "formatted";
    finding.level = GUARDD_LEVEL_CRITICAL;
    say (to, finding, "%s was removed and made again under its name", name.text);
  }
}

static void
judge_volume_group (const struct say *to, const struct guardd_structure *before,
                    const struct guardd_structure *now)
{
  static const uint8_t no_group[8];
  struct say_name name = say_name (to, before);
  bool lost = structure_lost (to, before);
  struct guardd_finding finding = { .rule = "volume-group-lost",
                                    .level = lost ? GUARDD_LEVEL_CRITICAL : GUARDD_LEVEL_INFO,
                                    .structure = before->path,
                                    .lasting = 1 };
  const char *held = lost ? "" : "; no logical volume in use was on it";
  if (memcmp (before->uuid, now->uuid, 8) != 0)
    say (to, finding, "%s was made anew by pvcreate%s", name.text,
         lost ? ", over a volume that was in use" : held);
  else if (memcmp (now->uuid + 8, no_group, sizeof no_group) == 0)
    say (to, finding, "%s no longer has the metadata of its volume group%s", name.text, held);
  else if (memcmp (before->uuid + 8, no_group, sizeof no_group) != 0) {
    finding.level = lost ? GUARDD_LEVEL_WARN : GUARDD_LEVEL_INFO;
    say (to, finding, "%s belongs to another volume group than before", name.text);
  }
}

/* By the header's count of its own changes: reencryption goes on from the old one, luksFormat begins anew. */
#define REENCRYPTION_STEPS 4u

static void
judge_volume_key (const struct say *to, const struct guardd_structure *before,
                  const struct guardd_structure *now)
{
  struct say_name name = say_name (to, before);
  struct guardd_finding finding
      = { .rule = "formatted", .level = GUARDD_LEVEL_CRITICAL, .structure = before->path, .lasting = 1 };
  if (before->key == 0 || now->key == 0 || before->key == now->key)
    return;
  bool counted = before->generation < UINT32_MAX && now->generation < UINT32_MAX; /* LUKS1 does not */
  if (counted && now->generation >= before->generation + REENCRYPTION_STEPS) {
    finding.level = GUARDD_LEVEL_WARN;
    say (to, finding,
         "%s has another volume key under the same UUID: it was encrypted anew as a whole, or formatted",
         name.text);
    return;
  }
  say (to, finding, "%s was formatted under the same UUID: its volume key is another (not a re-key)",
       name.text);
}

static void
judge_content (const struct say *to, const struct guardd_structure *before,
               const struct guardd_structure *now)
{
  bool uuid = memcmp (before->uuid, now->uuid, sizeof before->uuid) != 0;
  struct say_name name = say_name (to, before);
  struct guardd_finding finding
      = { .rule = "formatted", .level = GUARDD_LEVEL_CRITICAL, .structure = before->path, .lasting = 1 };
  if (only_renamed (to, before, now)) {
    finding.level = GUARDD_LEVEL_INFO;
    say (to, finding, "%s has a new UUID and its old content", name.text);
    return;
  }
  enum fill fill = structure_fill (to, before);
  if (fill != FILL_USED) {
    finding.level = fill == FILL_EMPTY ? GUARDD_LEVEL_INFO : GUARDD_LEVEL_WARN;
    say (to, finding, "%s was formatted again; it was empty%s", name.text,
         fill == FILL_UNSURE ? ", as far as its counters said by then" : "");
    return;
  }
  if (before->flags & now->flags & GUARDD_STRUCTURE_COUNTED && before->used_inodes != UINT64_MAX) {
    finding.seen = (double)now->used_inodes;
    finding.expected = (double)before->used_inodes;
    finding.unit = "inodes in use";
  }
  struct say_considered considered = { .n = 0 };
  structure_consider (to, before, now, &considered);
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  say (to, finding, "%s was formatted: it has another %s than before", name.text,
       uuid ? "UUID" : "time of creation under the same UUID");
}

void
judge_identity (const struct say *to, const struct guardd_structure *before,
                const struct guardd_structure *now)
{
  if (memcmp (before->uuid, now->uuid, sizeof before->uuid) == 0 && before->made == now->made) {
    judge_volume_key (to, before, now);
    return;
  }
  switch (before->kind) {
  case GUARDD_STRUCTURE_PARTITION:
  case GUARDD_STRUCTURE_LV:
    judge_entry (to, before, now);
    return;
  case GUARDD_STRUCTURE_MBR:
  case GUARDD_STRUCTURE_GPT:
    judge_table (to, before);
    return;
  case GUARDD_STRUCTURE_PV:
    judge_volume_group (to, before, now);
    return;
  case GUARDD_STRUCTURE_SWAP: {
    struct say_name name = say_name (to, before);
    struct guardd_finding finding
        = { .rule = "formatted", .level = GUARDD_LEVEL_INFO, .structure = before->path, .lasting = 1 };
    say (to, finding, "%s was made anew", name.text);
    return;
  }
  }
  judge_content (to, before, now);
}
