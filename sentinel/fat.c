/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FAT12/16/32 and exFAT boot sectors.  Formats: Microsoft's "FAT32 File System Specification" 1.03 and
 * "exFAT file system specification". */
#include "bytes.h"
#include "probe.h"

static bool
is_power_of_two (uint32_t n)
{
  return n != 0 && (n & (n - 1)) == 0;
}

static void
count_fat32 (const struct view *view, const uint8_t *boot, struct guardd_structure *fat)
{
  uint32_t sector = le16 (boot + 11), cluster = sector * boot[13];
  uint64_t info_at = (uint64_t)le16 (boot + 48) * sector;
  uint8_t info[512];
  if (!view_read (view, info_at, info, sizeof info) || le32 (info) != 0x41615252)
    return;
  uint64_t own
      = (le16 (boot + 14) + (uint64_t)boot[16] * le32 (boot + 36)) * sector; /* before the clusters */
  uint64_t clusters = own < fat->total_bytes ? (fat->total_bytes - own) / cluster : 0;
  uint32_t free = le32 (info + 488);
  if (free > clusters) /* 0xffffffff: not known */
    return;
  fat->used_bytes = (clusters - free) * cluster;
  fat->flags |= GUARDD_STRUCTURE_COUNTED | GUARDD_STRUCTURE_LAGGING;
}

/* Both copies begin with the media's byte and ones, whatever is in them. */
static void
look_at_tables (const struct view *view, const uint8_t *boot, struct guardd_structure *fat)
{
  uint32_t sector = le16 (boot + 11), n = boot[16] < 2 ? boot[16] : 2, bad = 0;
  uint64_t length = le16 (boot + 22) ? le16 (boot + 22) : le32 (boot + 36);
  static const uint32_t flags[] = { GUARDD_STRUCTURE_PRIMARY_BAD, GUARDD_STRUCTURE_BACKUP_BAD };
  for (uint32_t i = 0; i < n; i++) {
    uint8_t first[2];
    if (!view_read (view, (le16 (boot + 14) + i * length) * sector, first, sizeof first))
      return;
    if (first[0] != boot[21] || first[1] != 0xff)
      bad |= flags[i];
  }
  fat->flags |= n == 2 && bad != (flags[0] | flags[1]) ? bad : bad ? GUARDD_STRUCTURE_DAMAGED : 0;
}

bool
probe_fat (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t boot[512];
  if (!view_read (view, 0, boot, sizeof boot) || boot[510] != 0x55 || boot[511] != 0xaa)
    return false;
  bool is_32 = memcmp (boot + 82, "FAT32   ", 8) == 0;
  if (!is_32 && memcmp (boot + 54, "FAT", 3) != 0)
    return false;
  uint32_t sector = le16 (boot + 11);
  if (!is_power_of_two (sector) || sector < 512 || sector > 4096 || !is_power_of_two (boot[13]))
    return false;
  struct guardd_structure *fat = probe_add (probe, GUARDD_STRUCTURE_FAT, view, path);
  if (fat == NULL)
    return true;
  memcpy (fat->uuid, boot + (is_32 ? 67 : 39), 4);
  uint64_t sectors = le16 (boot + 19) ? le16 (boot + 19) : le32 (boot + 32);
  fat->total_bytes = sectors * sector;
  look_at_tables (view, boot, fat);
  if (is_32)
    count_fat32 (view, boot, fat);
  return true;
}

bool
probe_exfat (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t boot[512];
  if (!view_read (view, 0, boot, sizeof boot) || memcmp (boot + 3, "EXFAT   ", 8))
    return false;
  struct guardd_structure *exfat = probe_add (probe, GUARDD_STRUCTURE_EXFAT, view, path);
  if (exfat == NULL)
    return true;
  memcpy (exfat->uuid, boot + 100, 4);
  uint8_t shift = boot[108], percent = boot[112];
  if (shift < 9 || shift > 12) {
    exfat->flags |= GUARDD_STRUCTURE_DAMAGED;
    return true;
  }
  exfat->total_bytes = le64 (boot + 72) << shift;
  if (percent <= 100 && exfat->total_bytes <= view->length) {
    exfat->used_bytes = exfat->total_bytes / 100 * percent;
    exfat->flags |= GUARDD_STRUCTURE_COUNTED | GUARDD_STRUCTURE_LAGGING;
  }
  return true;
}
