/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structure detector: what a disk is divided into and formatted with, compared with what it was.
 * These rules need no history and no company: partition tables, superblocks and key slots do not change by
 * themselves.  ../README.md has them one by one, with their reasons.
 */
#include "../limit.h"
#include "../say.h"

#include <stdlib.h>
#include <string.h>

struct thresholds {
  uint64_t empty_inodes,
      empty_bytes;            /* up to so much is what mkfs leaves: nothing of anybody's is lost with it */
  uint64_t empty_ntfs_inodes; /* NTFS keeps its own files in records of its table */
  uint64_t settled_seconds; /* a filesystem whose counters come late may have been filled since; an older one
                               not */
};

#define LIMIT(member) #member, offsetof(struct thresholds, member)
static const struct limit limits[] = {
  { LIMIT (empty_inodes), 16, LIMIT_FILES },
  { LIMIT (empty_bytes), 1u << 20, LIMIT_BYTES },
  { LIMIT (empty_ntfs_inodes), 32, LIMIT_FILES },
  { LIMIT (settled_seconds), 180, 1, 86400 },
  { NULL },
};

static const struct thresholds *
limits_of (const struct say *to)
{
  return to->instance;
}

enum fill { FILL_EMPTY, FILL_UNSURE, FILL_USED };

static enum fill
fill_of (const struct say *to, const struct guardd_structure *is)
{
  uint64_t inodes
      = is->kind == GUARDD_STRUCTURE_NTFS ? limits_of (to)->empty_ntfs_inodes : limits_of (to)->empty_inodes;
  if (!(is->flags & GUARDD_STRUCTURE_COUNTED)
      || (is->used_inodes != UINT64_MAX ? is->used_inodes > inodes
                                        : is->used_bytes > limits_of (to)->empty_bytes))
    return FILL_USED;
  if (!(is->flags & GUARDD_STRUCTURE_LAGGING)
      || (is->made != 0
          && to->input->time_us / 1000000 > (int64_t)(is->made + limits_of (to)->settled_seconds)))
    return FILL_EMPTY;
  return FILL_UNSURE;
}

/* Whether something that somebody uses is in (or under) a container. */
static bool
holds_something (const struct say *to, const struct guardd_structure *container)
{
  const struct guardd_observation *seen = to->input->before;
  size_t length = strlen (container->path);
  for (uint32_t i = 0; i < seen->n_structures; i++) {
    const struct guardd_structure *is = &seen->structures[i];
    bool under = strncmp (is->path, container->path, length) == 0
                 && (length == 0 || is->path[length] == '\0' || is->path[length] == '/');
    bool container_kind = is->kind == GUARDD_STRUCTURE_PARTITION || is->kind == GUARDD_STRUCTURE_LV
                          || is->kind == GUARDD_STRUCTURE_MBR || is->kind == GUARDD_STRUCTURE_GPT
                          || is->kind == GUARDD_STRUCTURE_SWAP;
    if (under && is != container && !container_kind && fill_of (to, is) != FILL_EMPTY)
      return true;
  }
  return false;
}

/* The same content under a new identity: tune2fs -U, xfs_admin -U. */
static bool
only_renamed (const struct say *to, const struct guardd_structure *before, const struct guardd_structure *now)
{
  if (before->made != now->made || !(before->flags & now->flags & GUARDD_STRUCTURE_COUNTED)
      || before->used_inodes == UINT64_MAX || now->used_inodes == UINT64_MAX)
    return false;
  uint64_t less = before->used_inodes < now->used_inodes ? before->used_inodes : now->used_inodes;
  uint64_t more = before->used_inodes < now->used_inodes ? now->used_inodes : before->used_inodes;
  return less > limits_of (to)->empty_inodes && less >= more / 10 * 9;
}

/* What would explain that a filesystem is another, or gone, and does not. */
static void
consider (const struct say *to, const struct guardd_structure *before, const struct guardd_structure *now,
          struct say_considered *considered)
{
  uint64_t size = to->input->now->disk_size;
  if (before->flags & GUARDD_STRUCTURE_COUNTED && before->used_inodes != UINT64_MAX
      && fill_of (to, before) == FILL_USED)
    say_considered (considered, "not empty: %llu files and directories were in it",
                    (unsigned long long)before->used_inodes);
  if (now && before->made != 0 && before->made != now->made)
    say_considered (considered, "not a new UUID on old content: its time of creation is another as well");
  if (to->input->before->disk_size == size)
    say_considered (considered, "not a resize: the disk has %llu bytes, as before", (unsigned long long)size);
}

static void
judge_identity (const struct say *to, const struct guardd_structure *before,
                const struct guardd_structure *now)
{
  bool uuid = memcmp (before->uuid, now->uuid, sizeof before->uuid) != 0;
  if (!uuid && before->made == now->made)
    return;
  struct say_name name = say_name (to, before);
  struct guardd_finding finding = { .level = GUARDD_LEVEL_CRITICAL, .structure = before->path, .lasting = 1 };
  static const uint8_t no_group[8];
  switch (before->kind) {
  case GUARDD_STRUCTURE_PARTITION:
    finding.rule = "partition-replaced";
    finding.level = GUARDD_LEVEL_WARN;
    say (to, finding, "%s has another identifier: it was deleted and made again", name.text);
    return;
  case GUARDD_STRUCTURE_MBR:
  case GUARDD_STRUCTURE_GPT:
    finding.rule = "table-replaced";
    say (to, finding, "%s was replaced by another one (its disk identifier differs)", name.text);
    return;
  case GUARDD_STRUCTURE_PV:
    finding.rule = "volume-group-lost";
    if (memcmp (before->uuid, now->uuid, 8) != 0)
      say (to, finding, "%s was made anew: pvcreate over a volume that was in use", name.text);
    else if (memcmp (now->uuid + 8, no_group, sizeof no_group) == 0)
      say (to, finding, "%s no longer has the metadata of its volume group", name.text);
    else if (memcmp (before->uuid + 8, no_group, sizeof no_group) != 0) {
      finding.level = GUARDD_LEVEL_WARN;
      say (to, finding, "%s belongs to another volume group than before", name.text);
    }
    return;
  case GUARDD_STRUCTURE_SWAP:
    finding.rule = "formatted";
    finding.level = GUARDD_LEVEL_INFO;
    say (to, finding, "%s was made anew", name.text);
    return;
  }
  finding.rule = "formatted";
  if (only_renamed (to, before, now)) {
    finding.level = GUARDD_LEVEL_INFO;
    say (to, finding, "%s has a new UUID and its old content", name.text);
    return;
  }
  enum fill fill = fill_of (to, before);
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
  consider (to, before, now, &considered);
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  say (to, finding, "%s was formatted: it has another %s than before", name.text,
       uuid ? "UUID" : "time of creation under the same UUID");
}

static void
judge_state (const struct say *to, const struct guardd_structure *before, const struct guardd_structure *now)
{
  uint32_t fresh = now->flags & ~before->flags;
  struct say_name name = say_name (to, before);
  struct guardd_finding finding = { .level = GUARDD_LEVEL_CRITICAL, .structure = before->path, .lasting = 1 };
  bool resized = to->input->now->disk_size != to->input->before->disk_size;
  if (fresh & GUARDD_STRUCTURE_DAMAGED) {
    finding.rule = "damaged";
    say (to, finding, "%s can no longer be read: its first block is there, what it leads to is not",
         name.text);
  }
  if (fresh & GUARDD_STRUCTURE_PRIMARY_BAD) {
    finding.rule = "primary-lost";
    say (to, finding, "%s: the primary copy is gone, only the backup is left", name.text);
  }
  if (fresh & GUARDD_STRUCTURE_BACKUP_BAD && !resized) {
    finding.rule = "backup-lost";
    say (to, finding,
         "%s: the backup copy was overwritten; nothing in normal use writes there, and the disk was not "
         "resized",
         name.text);
  }
  if (fresh & GUARDD_STRUCTURE_KEYS_GONE) {
    finding.rule = "keys-lost";
    say (to, finding, "%s has no key left: what is in it cannot be opened again", name.text);
  } else if (before->kind == GUARDD_STRUCTURE_LUKS && before->digest != now->digest
             && before->generation == now->generation
             && !((now->flags | before->flags) & GUARDD_STRUCTURE_PRIMARY_BAD)) {
    finding.rule = "keys-lost";
    say (to, finding,
         "%s: a key area was overwritten although its header says that no key was changed (not a re-key)",
         name.text);
  }
}

static void
judge_geometry (const struct say *to, const struct guardd_structure *before,
                const struct guardd_structure *now)
{
  if (before->kind != GUARDD_STRUCTURE_PARTITION && before->kind != GUARDD_STRUCTURE_LV)
    return;
  struct guardd_finding finding = { .rule = "moved",
                                    .level = GUARDD_LEVEL_WARN,
                                    .structure = before->path,
                                    .lasting = 1,
                                    .unit = "bytes from the start of the disk" };
  struct say_name name = say_name (to, before);
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

/* The one that is there in its place. */
static const struct guardd_structure *
find_instead (const struct guardd_observation *now, const struct guardd_structure *before)
{
  for (uint32_t i = 0; i < now->n_structures; i++) {
    const struct guardd_structure *is = &now->structures[i];
    bool entry = is->kind == GUARDD_STRUCTURE_PARTITION || is->kind == GUARDD_STRUCTURE_LV;
    if (!entry && strcmp (is->path, before->path) == 0)
      return is;
  }
  return NULL;
}

static bool
is_renumbered (const struct guardd_observation *now, const struct guardd_structure *before)
{
  for (uint32_t i = 0; i < now->n_structures; i++)
    if (now->structures[i].kind == before->kind && now->structures[i].offset == before->offset
        && now->structures[i].length == before->length)
      return true;
  return false;
}

static void
judge_gone (const struct say *to, const struct guardd_structure *before)
{
  const struct guardd_structure *instead = find_instead (to->input->now, before);
  struct say_name name = say_name (to, before);
  struct guardd_finding finding
      = { .rule = "structure-gone", .level = GUARDD_LEVEL_CRITICAL, .structure = before->path, .lasting = 1 };
  bool entry = before->kind == GUARDD_STRUCTURE_PARTITION || before->kind == GUARDD_STRUCTURE_LV;
  bool table = before->kind == GUARDD_STRUCTURE_MBR || before->kind == GUARDD_STRUCTURE_GPT;
  if (entry && is_renumbered (to->input->now, before))
    return;
  if (before->kind == GUARDD_STRUCTURE_SWAP || ((entry || table) && !holds_something (to, before))
      || (say_is_filesystem (before) && fill_of (to, before) == FILL_EMPTY))
    finding.level = GUARDD_LEVEL_INFO;
  else if (say_is_filesystem (before) && fill_of (to, before) == FILL_UNSURE && instead
           && say_is_filesystem (instead))
    finding.level = GUARDD_LEVEL_WARN;
  if (before->kind == GUARDD_STRUCTURE_UNKNOWN)
    finding.level = GUARDD_LEVEL_WARN;
  struct say_considered considered = { .n = 0 };
  if (entry)
    say_considered (&considered, "not another number: there is none of its place and size");
  if (finding.level == GUARDD_LEVEL_CRITICAL)
    consider (to, before, NULL, &considered);
  finding.considered = considered.sentences;
  finding.n_considered = considered.n;
  if (instead && instead->kind != GUARDD_STRUCTURE_UNKNOWN) {
    struct say_name other = say_name (to, instead);
    finding.rule = table ? "table-replaced" : "formatted";
    /* A disk with a table is given a filesystem, or the other way around: both are a loss of the first. */
    say (to, finding, "%s is gone; in its place is %s", name.text, other.text);
  } else {
    say (to, finding, "%s is gone%s", name.text,
         instead ? "; what is there instead is of no known kind" : "");
  }
}

/* What goes with its container is not told again. */
static bool
container_is_gone (const struct say *to, const struct guardd_structure *is)
{
  const struct guardd_observation *was = to->input->before;
  for (uint32_t i = 0; &was->structures[i] < is; i++) {
    const struct guardd_structure *container = &was->structures[i];
    size_t length = strlen (container->path);
    bool under = strncmp (is->path, container->path, length) == 0
                 && (length == 0 || is->path[length] == '\0' || is->path[length] == '/');
    if (under && !say_find (to->input->now, container->kind, container->path)
        && container->kind != GUARDD_STRUCTURE_UNKNOWN)
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
    const struct guardd_structure *now = say_find (input->now, before->kind, before->path);
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
    if (is->flags & GUARDD_STRUCTURE_OPAQUE)
      say_blind (
          &to, INSIDE_RULES, is->path, false,
          "encrypted by the guest: that what is inside is formatted or gone cannot be seen; its header can");
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
