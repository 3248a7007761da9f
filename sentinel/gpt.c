/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GUID partition tables, both copies.  Format: UEFI 2.10, 5.3 "GUID Partition Table (GPT) Disk Layout". */
#include "bytes.h"
#include "probe.h"

#include <stdio.h>
#include <zlib.h>

#define ENTRIES_MAX 128u

struct table {
  uint32_t sector;
  uint8_t guid[16];
  uint64_t alternate;
  uint32_t n_entries, entry_size;
  uint8_t entries[ENTRIES_MAX * 128];
};

/* Header at `lba`, its checksum, and the entries with theirs. */
static bool
read_table (const struct view *view, uint32_t sector, uint64_t lba, struct table *table)
{
  uint8_t header[512];
  if (!view_read (view, lba * sector, header, sizeof header) || memcmp (header, "EFI PART", 8))
    return false;
  uint32_t size = le32 (header + 12), checksum = le32 (header + 16);
  if (size < 92 || size > sizeof header || le64 (header + 24) != lba)
    return false;
  memset (header + 16, 0, 4);
  if (crc32 (0, header, size) != checksum)
    return false;
  table->sector = sector;
  table->alternate = le64 (header + 32);
  memcpy (table->guid, header + 56, 16);
  table->n_entries = le32 (header + 80);
  table->entry_size = le32 (header + 84);
  if (table->entry_size != 128 || table->n_entries == 0)
    return false;
  if (table->n_entries > ENTRIES_MAX)
    table->n_entries = ENTRIES_MAX; /* its checksum covers more than is read here */
  size_t length = (size_t)table->n_entries * 128;
  if (le64 (header + 72) > view->length / sector
      || !view_read (view, le64 (header + 72) * sector, table->entries, length))
    return false;
  return table->n_entries < le32 (header + 80) || crc32 (0, table->entries, length) == le32 (header + 88);
}

static void
add_partitions (struct probe *probe, const struct view *view, const char *path, const struct table *table)
{
  for (uint32_t i = 0; i < table->n_entries; i++) {
    const uint8_t *entry = table->entries + 128 * i;
    uint64_t first = le64 (entry + 32), last = le64 (entry + 40), sectors = view->length / table->sector;
    if (bytes_are_zero (entry, 16) || first > last || first >= sectors)
      continue;
    char name[16], inside[64];
    struct view part;
    if (last >= sectors)
      last = sectors - 1;
    snprintf (name, sizeof name, "p%u", i + 1);
    probe_path (inside, path, name);
    if (!view_part (&part, view, first * table->sector, (last - first + 1) * table->sector))
      continue;
    struct guardd_structure *partition = probe_add (probe, GUARDD_STRUCTURE_PARTITION, &part, inside);
    if (partition)
      memcpy (partition->uuid, entry + 16, 16);
    probe_inside (probe, &part, inside);
  }
}

/* Linux and firmware look for a GPT only where the MBR says that there is one. */
static bool
is_announced (const struct view *view)
{
  uint8_t mbr[512];
  if (!view_read (view, 0, mbr, sizeof mbr) || mbr[510] != 0x55 || mbr[511] != 0xaa)
    return false;
  for (unsigned i = 0; i < 4; i++)
    if (mbr[446 + 16 * i + 4] == 0xee && le32 (mbr + 446 + 16 * i + 8) == 1)
      return true;
  return false;
}

static bool
probe_with (struct probe *probe, const struct view *view, const char *path, uint32_t sector)
{
  bytes_autofree struct table *primary = malloc (sizeof *primary);
  bytes_autofree struct table *backup = malloc (sizeof *backup);
  if (primary == NULL || backup == NULL || view->length < 34ull * sector)
    return false;
  bool has_primary = read_table (view, sector, 1, primary);
  uint64_t last = view->length / sector - 1;
  /* On a disk that was made larger the backup is where it was until someone moves it. */
  if (has_primary && primary->alternate > 1 && primary->alternate < last)
    last = primary->alternate;
  bool has_backup = read_table (view, sector, last, backup);
  if (!has_primary && !has_backup)
    return false;
  bool announced = has_primary && is_announced (view);
  if (probe->beside && !announced)
    return false; /* what is left of one that was there before the filesystem */
  const struct table *table = has_primary ? primary : backup;
  struct guardd_structure *gpt = probe_add (probe, GUARDD_STRUCTURE_GPT, view, path);
  if (gpt) {
    memcpy (gpt->uuid, table->guid, 16);
    if (!announced)
      gpt->flags |= GUARDD_STRUCTURE_PRIMARY_BAD;
    if (!has_backup || (has_primary && memcmp (backup->guid, primary->guid, 16)))
      gpt->flags |= GUARDD_STRUCTURE_BACKUP_BAD;
  }
  add_partitions (probe, view, path, table);
  return true;
}

bool
probe_gpt (struct probe *probe, const struct view *view, const char *path)
{
  return probe_with (probe, view, path, 512) || probe_with (probe, view, path, 4096);
}
