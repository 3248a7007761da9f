/* SPDX-License-Identifier: GPL-2.0-or-later */
/* BitLocker: the signature in the boot sector's OEM name (MS-FVE as described by libbde's documentation). */
#include "bytes.h"
#include "probe.h"

bool
probe_bitlocker (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t sector[512];
  if (!view_read (view, 0, sector, sizeof sector) || memcmp (sector + 3, "-FVE-FS-", 8))
    return false;
  struct guardd_structure *volume = probe_add (probe, GUARDD_STRUCTURE_BITLOCKER, view, path);
  if (volume) {
    volume->flags |= GUARDD_STRUCTURE_OPAQUE;
    memcpy (volume->uuid, sector + 160, 16);
    volume->digest = fnv (FNV_START, sector + 176, 24); /* where the three metadata blocks are */
  }
  return true;
}
