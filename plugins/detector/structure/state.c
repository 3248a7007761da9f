/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules on copies, keys and places of what is there still; and on what is not. */
#include "structure.h"

#include <string.h>

static void
judge_overlaid (const struct say *to, const struct guardd_structure *before)
{
  struct say_name name = say_name (to, before);
  struct guardd_finding finding = { .rule = "formatted", .structure = before->path, .lasting = 1 };
  enum fill fill = structure_fill (to, before);
  finding.level = fill == FILL_USED     ? GUARDD_LEVEL_CRITICAL
                  : fill == FILL_UNSURE ? GUARDD_LEVEL_WARN
                                        : GUARDD_LEVEL_INFO;
  struct say_considered considered = { .n = 0 };
  structure_consider (to, before, NULL, &considered);
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  say (to, finding,
       "%s has had another filesystem, a swap area or a table with partitions written over it: its own first "
       "block is there still, and is all that can be relied on",
       name.text);
}

static void
judge_keys (const struct say *to, const struct guardd_structure *before, const struct guardd_structure *now)
{
  struct say_name name = say_name (to, before);
  struct guardd_finding finding
      = { .rule = "keys-lost", .level = GUARDD_LEVEL_CRITICAL, .structure = before->path, .lasting = 1 };
  if (now->flags & ~before->flags & GUARDD_STRUCTURE_KEYS_GONE)
    say (to, finding, "%s has no key left: what is in it cannot be opened again", name.text);
  else if (before->kind == GUARDD_STRUCTURE_LUKS && before->key != 0 && before->key == now->key
           && before->digest != now->digest && before->generation == now->generation
           && !((now->flags | before->flags) & GUARDD_STRUCTURE_PRIMARY_BAD))
    say (
        to, finding,
        "%s: its header or a key area was overwritten, although the header says that no key was changed (not "
        "a re-key)",
        name.text);
}

void
judge_state (const struct say *to, const struct guardd_structure *before, const struct guardd_structure *now)
{
  uint32_t fresh = now->flags & ~before->flags;
  struct say_name name = say_name (to, before);
  struct guardd_finding finding = { .level = GUARDD_LEVEL_CRITICAL, .structure = before->path, .lasting = 1 };
  bool resized = to->input->now->disk_size != to->input->before->disk_size;
  if (fresh & GUARDD_STRUCTURE_OVERLAID)
    judge_overlaid (to, before);
  if (before->flags & GUARDD_STRUCTURE_OVERLAID)
    return; /* what was written over it is in use, and may go on where it had something */
  if (fresh & GUARDD_STRUCTURE_DAMAGED) {
    finding.rule = "damaged";
    say (to, finding, "%s can no longer be read: its first block is there, what it leads to is not",
         name.text);
  }
  if (fresh & GUARDD_STRUCTURE_PRIMARY_BAD) {
    finding.rule = "primary-lost";
    say (to, finding, "%s: the primary copy is gone%s, only the backup is left", name.text,
         before->kind == GUARDD_STRUCTURE_GPT ? ", or the protective MBR without which it is not looked at"
                                              : "");
  }
  if (fresh & GUARDD_STRUCTURE_BACKUP_BAD && !resized) {
    finding.rule = "backup-lost";
    say (to, finding,
         "%s: the backup copy was overwritten; nothing in normal use writes there, and the disk was not "
         "resized",
         name.text);
  }
  judge_keys (to, before, now);
}

/* --- what is gone --- */

/* The one that is there in its place. */
static const struct guardd_structure *
find_instead (const struct guardd_observation *now, const struct guardd_structure *before)
{
  for (uint32_t i = 0; i < now->n_structures; i++) {
    const struct guardd_structure *is = &now->structures[i];
    if (!structure_is_entry (is) && strcmp (is->path, before->path) == 0)
      return is;
  }
  return NULL;
}

static enum guardd_level
level_of_gone (const struct say *to, const struct guardd_structure *before,
               const struct guardd_structure *instead)
{
  if (before->flags & GUARDD_STRUCTURE_OVERLAID || before->kind == GUARDD_STRUCTURE_SWAP)
    return GUARDD_LEVEL_INFO;
  if (before->kind == GUARDD_STRUCTURE_UNKNOWN)
    return instead ? GUARDD_LEVEL_INFO : GUARDD_LEVEL_WARN;
  if (structure_is_table (before))
    return structure_lost (to, before) || !structure_has_same_entries (to, before) ? GUARDD_LEVEL_CRITICAL
                                                                                   : GUARDD_LEVEL_INFO;
  if (structure_is_entry (before) || before->kind == GUARDD_STRUCTURE_PV
      || before->kind == GUARDD_STRUCTURE_MD)
    return structure_lost (to, before) ? GUARDD_LEVEL_CRITICAL : GUARDD_LEVEL_INFO;
  if (!say_is_filesystem (before))
    return GUARDD_LEVEL_CRITICAL;
  switch (structure_fill (to, before)) {
  case FILL_EMPTY:
    return GUARDD_LEVEL_INFO;
  case FILL_UNSURE:
    return instead && say_is_filesystem (instead) ? GUARDD_LEVEL_WARN : GUARDD_LEVEL_CRITICAL;
  case FILL_USED:
    break;
  }
  return GUARDD_LEVEL_CRITICAL;
}

void
judge_gone (const struct say *to, const struct guardd_structure *before)
{
  const struct guardd_structure *instead = find_instead (to->input->now, before);
  struct say_name name = say_name (to, before);
  struct guardd_finding finding = { .rule = "structure-gone",
                                    .level = level_of_gone (to, before, instead),
                                    .structure = before->path,
                                    .lasting = 1 };
  bool entry = structure_is_entry (before);
  if (entry && structure_is_renumbered (to, before))
    return;
  if (structure_is_out_of_sight (to, before)) {
    finding.level = GUARDD_LEVEL_INFO;
    say (to, finding, "%s can no longer be seen: its volume is moved to, or also on, other disks", name.text);
    return;
  }
  struct say_considered considered = { .n = 0 };
  if (entry)
    say_considered (&considered, "not another number: there is none of its place and size");
  if (finding.level == GUARDD_LEVEL_CRITICAL)
    structure_consider (to, before, NULL, &considered);
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  if (instead && instead->kind != GUARDD_STRUCTURE_UNKNOWN) {
    struct say_name other = say_name (to, instead);
    finding.rule = structure_is_table (before) ? "table-replaced" : "formatted";
    /* A disk with a table is given a filesystem, or the other way around: both are a loss of the first. */
    say (to, finding, "%s is gone; in its place is %s", name.text, other.text);
  } else {
    say (to, finding, "%s is gone%s", name.text,
         instead ? "; what is there instead is of no known kind" : "");
  }
}
