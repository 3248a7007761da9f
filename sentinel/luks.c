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
#define SLOTS_2 32u
#define HEADER_2_MAX (4u * 1024 * 1024)
#define PAGE 4096u
#define AREA_MAX (512u * 1024)  /* of one key; those of 512 bits have 250 KiB */
#define KEYS_MAX (1536u * 1024) /* of all keys of one container, for one look */

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

/* A key is split so that no sector of its area may be missing: all of it is digested, or of many keys the
 * most that may be read, evenly. */
static bool
key_area (const struct view *view, uint64_t offset, uint64_t length, uint64_t most, uint64_t *digest)
{
  uint8_t page[PAGE];
  bool any = false;
  uint64_t pages = (length + PAGE - 1) / PAGE, taken = pages < most / PAGE ? pages : most / PAGE;
  for (uint64_t i = 0; i < taken; i++) {
    if (!view_read (view, offset + i * pages / taken * PAGE, page, sizeof page))
      return false;
    *digest = fnv (*digest, page, sizeof page);
    any |= !bytes_are_zero (page, sizeof page);
  }
  return any;
}

static void
look_at_1 (const struct view *view, const uint8_t *header, struct guardd_structure *luks)
{
  unsigned active = 0, used = 0;
  for (unsigned i = 0; i < SLOTS_1; i++)
    used += be32 (header + 208 + 48 * i) == SLOT_ACTIVE;
  luks->digest = fnv (FNV_START, header, 592);
  luks->key = fnv (FNV_START, header + 112, 20);
  for (unsigned i = 0; i < SLOTS_1; i++) {
    const uint8_t *slot = header + 208 + 48 * i;
    if (be32 (slot) != SLOT_ACTIVE)
      continue;
    uint64_t length = (uint64_t)be32 (header + 108) * be32 (slot + 44);
    if (length > AREA_MAX || length < PAGE)
      length = PAGE;
    if (key_area (view, (uint64_t)be32 (slot + 40) * 512, length, KEYS_MAX / used, &luks->digest))
      active++;
  }
  /* A slot's salt changes whenever its key does: stands for the count that version 1 does not have. */
  luks->generation = fnv (FNV_START, header + 208, 48 * SLOTS_1) >> 1 | 1ull << 62;
  if (active == 0)
    luks->flags |= GUARDD_STRUCTURE_KEYS_GONE;
}

/* Calls for each key slot: a JSON object whose area has these types; numbers are strings of digits.  The text
 * is written by cryptsetup without spaces; one that is not shows as without keys and changed. */
static unsigned
each_area (const struct view *view, const char *json, unsigned of, uint64_t *digest)
{
  unsigned n = 0, active = 0;
  const char *end = strstr (json, "\"tokens\""), *area = strstr (json, "\"keyslots\"");
  bool ends = area && end && area < end;
  for (; area && n < SLOTS_2; n++) {
    area = strstr (area, "\"area\":{\"type\":\"");
    if (area == NULL || (ends && area > end))
      break;
    const char *offset = strstr (area, "\"offset\":\""), *size = strstr (area, "\"size\":\"");
    area++;
    uint64_t length = size ? strtoull (size + 8, NULL, 10) : 0;
    if (of == 0 || offset == NULL)
      continue;
    if (length > AREA_MAX || length < PAGE)
      length = PAGE;
    active += key_area (view, strtoull (offset + 10, NULL, 10), length, KEYS_MAX / of, digest);
  }
  return of == 0 ? n : active;
}

static int
base64_digit (char c)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr (digits, c) : NULL;
  return at ? (int)(at - digits) : -1;
}

/* As the bytes that it stands for, which version 1 has as they are: cryptsetup converts one to the other. */
static uint64_t
digest_base64 (const char *text)
{
  uint64_t hash = FNV_START;
  uint32_t bits = 0, n = 0;
  for (int digit; (digit = base64_digit (*text)) >= 0; text++) {
    bits = bits << 6 | (uint32_t)digit;
    n += 6;
    if (n < 8)
      continue;
    n -= 8;
    uint8_t byte = (uint8_t)(bits >> n);
    hash = fnv (hash, &byte, 1);
  }
  return hash;
}

/* The digest of the volume key that the data is encrypted with; 0: not known, or another is on its way. */
static uint64_t
volume_key (const char *json)
{
  const char *at = strstr (json, "\"digests\":{");
  if (at == NULL || strstr (json, "\"online-reencrypt"))
    return 0;
  for (unsigned n = 0; n < SLOTS_2; n++) {
    at = strstr (at, "\"segments\":[");
    if (at == NULL)
      return 0;
    at += strlen ("\"segments\":[");
    const char *digest = strstr (at, "\"digest\":\"");
    if (*at == '"' && digest)
      return digest_base64 (digest + strlen ("\"digest\":\""));
  }
  return 0;
}

static void
look_at_2 (const struct view *view, const uint8_t *header, struct guardd_structure *luks)
{
  uint64_t size = be64 (header + 8);
  uint8_t second[8];
  luks->generation = be64 (header + 16);
  luks->digest = fnv (FNV_START, header, 592);
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
  luks->key = volume_key (json);
  unsigned areas = each_area (view, json, 0, &luks->digest);
  if (areas == 0 || each_area (view, json, areas, &luks->digest) == 0)
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
