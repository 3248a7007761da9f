/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RELIEVED_MAX 90u

struct say_name
say_name (const struct say *say, const struct guardd_structure *is)
{
  static const char *const words[GUARDD_STRUCTURE_KINDS] = {
    [GUARDD_STRUCTURE_UNKNOWN] = "data of an unknown kind",
    [GUARDD_STRUCTURE_MBR] = "MBR partition table",
    [GUARDD_STRUCTURE_GPT] = "GPT partition table",
    [GUARDD_STRUCTURE_PARTITION] = "partition",
    [GUARDD_STRUCTURE_EXT] = "ext filesystem",
    [GUARDD_STRUCTURE_XFS] = "XFS filesystem",
    [GUARDD_STRUCTURE_BTRFS] = "btrfs filesystem",
    [GUARDD_STRUCTURE_NTFS] = "NTFS filesystem",
    [GUARDD_STRUCTURE_FAT] = "FAT filesystem",
    [GUARDD_STRUCTURE_EXFAT] = "exFAT filesystem",
    [GUARDD_STRUCTURE_SWAP] = "swap area",
    [GUARDD_STRUCTURE_PV] = "LVM physical volume",
    [GUARDD_STRUCTURE_LV] = "LVM logical volume",
    [GUARDD_STRUCTURE_MD] = "RAID member",
    [GUARDD_STRUCTURE_LUKS] = "LUKS volume",
    [GUARDD_STRUCTURE_BITLOCKER] = "BitLocker volume",
  };
  struct say_name name;
  snprintf (name.text, sizeof name.text, "%s %s%s%s",
            is->kind < GUARDD_STRUCTURE_KINDS ? words[is->kind] : "structure", say->input->disk,
            is->path[0] ? "/" : "", is->path);
  return name;
}

bool
say_is_filesystem (const struct guardd_structure *is)
{
  return is->kind >= GUARDD_STRUCTURE_EXT && is->kind <= GUARDD_STRUCTURE_EXFAT;
}

const char *
say_opaque (const struct guardd_structure *is)
{
  if (is->kind == GUARDD_STRUCTURE_LV)
    return "on more disks than this one, or thin, striped or mirrored by LVM";
  return is->kind == GUARDD_STRUCTURE_MD ? "a part of a RAID" : "encrypted by the guest";
}

const struct guardd_structure *
say_find (const struct guardd_observation *seen, uint32_t kind, const char *path)
{
  for (uint32_t i = 0; i < seen->n_structures; i++)
    if (seen->structures[i].kind == kind && strcmp (seen->structures[i].path, path) == 0)
      return &seen->structures[i];
  return NULL;
}

void
say_considered (struct say_considered *considered, const char *format, ...)
{
  va_list arguments;
  if (considered->n == SAY_CONSIDERED_MAX)
    return;
  char *text = considered->text[considered->n];
  va_start (arguments, format);
  vsnprintf (text, sizeof considered->text[0], format, arguments);
  va_end (arguments);
  considered->sentences[considered->n++] = text;
}

uint64_t
say_relieved (const struct say *to, const char *rule, uint64_t percent)
{
  for (uint32_t i = 0; i < to->input->n_reliefs; i++) {
    const struct guardd_relief *relief = &to->input->reliefs[i];
    if (strcmp (relief->rule, rule) == 0 && percent < RELIEVED_MAX)
      return percent + relief->percent < RELIEVED_MAX ? percent + relief->percent : RELIEVED_MAX;
  }
  return percent;
}

void
say (const struct say *to, struct guardd_finding finding, const char *format, ...)
{
  char text[512];
  va_list arguments;
  va_start (arguments, format);
  vsnprintf (text, sizeof text, format, arguments);
  va_end (arguments);
  finding.size_of = sizeof finding;
  finding.text = text;
  to->report (to->opaque, &finding);
}

void
say_blind (const struct say_blindness *to, const char *rules, const char *structure, bool late,
           const char *format, ...)
{
  char why[256];
  va_list arguments;
  va_start (arguments, format);
  vsnprintf (why, sizeof why, format, arguments);
  va_end (arguments);
  const struct guardd_blind blind
      = { .size_of = sizeof blind, .rules = rules, .structure = structure, .why = why, .late = late };
  to->report (to->opaque, &blind);
}
