/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MBR partition tables and their chain of extended ones.  Format: UEFI 2.10, 5.2 "LBA 0 Format". */
#include "bytes.h"
#include "probe.h"

#include <stdio.h>

#define SECTOR 512u
#define LOGICAL_MAX 32u

struct entry {
  uint8_t status, type;
  uint64_t start, length; /* bytes */
};

static void
parse (const uint8_t *sector, unsigned index, struct entry *entry)
{
  const uint8_t *at = sector + 446 + 16 * index;
  entry->status = at[0];
  entry->type = at[4];
  entry->start = (uint64_t)le32 (at + 8) * SECTOR;
  entry->length = (uint64_t)le32 (at + 12) * SECTOR;
}

static bool
is_extended (const struct entry *entry)
{
  return entry->type == 0x05 || entry->type == 0x0f || entry->type == 0x85;
}

/* Boot sectors of filesystems end with 55AA as well: a table has plausible entries only. */
static bool
is_table (const uint8_t *sector, uint64_t length)
{
  if (sector[510] != 0x55 || sector[511] != 0xaa)
    return false;
  for (unsigned i = 0; i < 4; i++) {
    struct entry entry;
    parse (sector, i, &entry);
    if (entry.status & 0x7f || (entry.type == 0 && entry.length != 0)
        || (entry.type != 0 && entry.type != 0xee && entry.start >= length))
      return false;
  }
  return true;
}

/* Boot sectors of filesystems have room for a table, and it is empty. */
static bool
has_partition (const uint8_t *sector)
{
  for (unsigned i = 0; i < 4; i++) {
    struct entry entry;
    parse (sector, i, &entry);
    if (entry.type != 0 && entry.type != 0xee && entry.start > 0 && entry.length > 0)
      return true;
  }
  return false;
}

static void
add_partition (struct probe *probe, const struct view *view, const char *path, unsigned number,
               const struct entry *entry)
{
  struct view part;
  char name[16], inside[64];
  uint64_t length = entry->length;
  if (entry->start >= view->length)
    return;
  if (length > view->length - entry->start)
    length = view->length - entry->start;
  snprintf (name, sizeof name, "p%u", number);
  probe_path (inside, path, name);
  if (!view_part (&part, view, entry->start, length)
      || !probe_add (probe, GUARDD_STRUCTURE_PARTITION, &part, inside))
    return;
  probe_inside (probe, &part, inside);
}

static void
add_logical (struct probe *probe, const struct view *view, const char *path, const struct entry *extended)
{
  uint64_t at = extended->start;
  for (unsigned n = 0; n < LOGICAL_MAX; n++) {
    uint8_t sector[SECTOR];
    struct entry here, link;
    if (!view_read (view, at, sector, sizeof sector) || sector[510] != 0x55 || sector[511] != 0xaa)
      return;
    parse (sector, 0, &here);
    parse (sector, 1, &link);
    here.start += at;
    if (here.length)
      add_partition (probe, view, path, 5 + n, &here);
    if (!is_extended (&link) || link.length == 0)
      return;
    at = extended->start + link.start;
  }
}

bool
probe_mbr (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t sector[SECTOR];
  if (!view_read (view, 0, sector, sizeof sector) || !is_table (sector, view->length)
      || (probe->beside && !has_partition (sector)))
    return false;
  struct guardd_structure *mbr = probe_add (probe, GUARDD_STRUCTURE_MBR, view, path);
  if (mbr)
    memcpy (mbr->uuid, sector + 440, 4);
  for (unsigned i = 0; i < 4; i++) {
    struct entry entry;
    parse (sector, i, &entry);
    if (is_extended (&entry))
      add_logical (probe, view, path, &entry);
    else if (entry.type != 0 && entry.type != 0xee && entry.length)
      add_partition (probe, view, path, i + 1, &entry);
  }
  return true;
}
