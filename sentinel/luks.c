/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LUKS headers and the areas that hold the keys.  What is inside stays opaque; that the keys are gone, or
 * that someone wrote over them, shows here and nowhere else.
 * Formats: "LUKS On-Disk Format Specification" 1.2.3; "LUKS2 On-Disk Format Specification" 1.1.
 */
#include "bytes.h"
#include "probe.h"

#include <stdio.h>

#define SLOTS_1 8u
#define SLOT_ACTIVE 0x00ac71f3u
#define HEADER_2_MAX (4u * 1024 * 1024)

static int
hex_digit (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
parse_uuid (uint8_t uuid[16], const uint8_t *text, size_t length)
{
  unsigned n = 0;
  for (size_t i = 0; i < length && n < 32; i++) {
    int digit = hex_digit ((char)text[i]);
    if (digit < 0)
      continue;
    uuid[n / 2] = (uint8_t)(uuid[n / 2] << 4 | digit);
    n++;
  }
}

/* Digests the first page of a key area: nobody writes over the rest and leaves it. */
static bool
key_area (const struct view *view, uint64_t offset, uint64_t *digest)
{
  uint8_t page[4096];
  if (!view_read (view, offset, page, sizeof page))
    return false;
  *digest = fnv (*digest, page, sizeof page);
  return !bytes_are_zero (page, sizeof page);
}

static void
look_at_1 (const struct view *view, const uint8_t *header, struct guardd_structure *luks)
{
  unsigned active = 0;
  luks->digest = FNV_START;
  for (unsigned i = 0; i < SLOTS_1; i++) {
    const uint8_t *slot = header + 208 + 48 * i;
    if (be32 (slot) != SLOT_ACTIVE)
      continue;
    if (key_area (view, (uint64_t)be32 (slot + 40) * 512, &luks->digest))
      active++;
  }
  /* A slot's salt changes whenever its key does: stands for the count that version 1 does not have. */
  luks->generation = fnv (FNV_START, header + 208, 48 * SLOTS_1) >> 1;
  if (active == 0)
    luks->flags |= GUARDD_STRUCTURE_KEYS_GONE;
}

/* Key slots are the JSON objects whose area has this type; its offset is a string of digits.  The text is
 * written by cryptsetup without spaces; one that is not shows as without keys and changed. */
static unsigned
count_keys_2 (const struct view *view, const char *json, uint64_t *digest)
{
  unsigned active = 0;
  const char *end = strstr (json, "\"tokens\"");
  const char *area = strstr (json, "\"keyslots\"");
  for (unsigned n = 0; area && n < 32; n++) {
    area = strstr (area, "\"area\":{\"type\":\"");
    if (area == NULL || (end && area > end && strstr (json, "\"keyslots\"") < end))
      break;
    const char *offset = strstr (area, "\"offset\":\"");
    area++;
    if (offset && key_area (view, strtoull (offset + 10, NULL, 10), digest))
      active++;
  }
  return active;
}

static void
look_at_2 (const struct view *view, const uint8_t *header, struct guardd_structure *luks)
{
  uint64_t size = be64 (header + 8);
  uint8_t second[8];
  luks->generation = be64 (header + 16);
  luks->digest = FNV_START;
  if (size < 16384 || size > HEADER_2_MAX) {
    luks->flags |= GUARDD_STRUCTURE_DAMAGED;
    return;
  }
  if (!view_read (view, size, second, sizeof second) || memcmp (second, "SKUL\xba\xbe", 6))
    luks->flags |= GUARDD_STRUCTURE_BACKUP_BAD;
  bytes_autofree char *json = malloc (size - 4096 + 1);
  if (json == NULL || !view_read (view, 4096, json, size - 4096) || json[0] != '{') {
    luks->flags |= GUARDD_STRUCTURE_DAMAGED;
    return;
  }
  json[size - 4096] = '\0';
  if (count_keys_2 (view, json, &luks->digest) == 0)
    luks->flags |= GUARDD_STRUCTURE_KEYS_GONE;
}

/* cryptsetup finds a LUKS2 header whose first copy is gone by the second one. */
static uint64_t
find_second (const struct view *view, uint8_t header[592])
{
  static const uint64_t sizes[]
      = { 0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000 };
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    if (view_read (view, sizes[i], header, 592) && memcmp (header, "SKUL\xba\xbe", 6) == 0
        && be64 (header + 8) == sizes[i] && be64 (header + 256) == sizes[i])
      return sizes[i];
  return 0;
}

bool
probe_luks (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t header[592];
  if (!view_read (view, 0, header, sizeof header))
    return false;
  bool primary = memcmp (header, "LUKS\xba\xbe", 6) == 0;
  if (!primary && find_second (view, header) == 0)
    return false;
  struct guardd_structure *luks = probe_add (probe, GUARDD_STRUCTURE_LUKS, view, path);
  if (luks == NULL)
    return true;
  luks->flags |= GUARDD_STRUCTURE_OPAQUE | (primary ? 0 : GUARDD_STRUCTURE_PRIMARY_BAD);
  parse_uuid (luks->uuid, header + 168, 40);
  if (!primary) {
    luks->generation = be64 (header + 16);
  } else if (be16 (header + 6) == 1) {
    look_at_1 (view, header, luks);
  } else {
    look_at_2 (view, header, luks);
  }
  return true;
}
