/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members of Linux software RAID.  What is inside is followed where a member is a whole copy (RAID 1).
 * Format: include/uapi/linux/raid/md_p.h. */
#include "bytes.h"
#include "probe.h"

#define MAGIC 0xa92b4efcu

static bool
read_v1 (const struct view *view, uint64_t at, uint8_t super[256])
{
  return view_read (view, at, super, 256) && le32 (super) == MAGIC && le32 (super + 4) == 1
         && le64 (super + 144) == at / 512;
}

static bool
find_v1 (const struct view *view, uint8_t super[256])
{
  uint64_t sectors = view->length / 512;
  return read_v1 (view, 4096, super) || read_v1 (view, 0, super)
         || (sectors > 16 && read_v1 (view, ((sectors - 16) & ~7ull) * 512, super));
}

static bool
probe_v0 (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t super[256];
  uint64_t size = view->length & ~65535ull;
  if (size < 131072 || !view_read (view, size - 65536, super, sizeof super) || le32 (super) != MAGIC
      || le32 (super + 4) != 0)
    return false;
  struct guardd_structure *md = probe_add (probe, GUARDD_STRUCTURE_MD, view, path);
  struct view inside;
  if (md) {
    memcpy (md->uuid, super + 20, 4);
    memcpy (md->uuid + 4, super + 52, 12);
    md->made = le32 (super + 24);
    md->flags |= le32 (super + 28) == 1 ? 0 : GUARDD_STRUCTURE_OPAQUE;
  }
  char name[64];
  probe_path (name, path, "md");
  if (le32 (super + 28) == 1 && view_part (&inside, view, 0, size - 65536))
    probe_inside (probe, &inside, name);
  return true;
}

bool
probe_md (struct probe *probe, const struct view *view, const char *path)
{
  uint8_t super[256];
  if (!find_v1 (view, super))
    return probe_v0 (probe, view, path);
  struct guardd_structure *md = probe_add (probe, GUARDD_STRUCTURE_MD, view, path);
  if (md) {
    memcpy (md->uuid, super + 16, 16);
    md->made = le64 (super + 64) & 0xffffffffffull;
    md->flags |= le32 (super + 72) == 1 ? 0 : GUARDD_STRUCTURE_OPAQUE;
  }
  uint64_t offset = le64 (super + 128), length = le64 (super + 136);
  struct view inside;
  char name[64];
  probe_path (name, path, "md");
  if (le32 (super + 72) == 1 && offset < view->length / 512 && length <= view->length / 512 - offset
      && view_part (&inside, view, offset * 512, length * 512))
    probe_inside (probe, &inside, name);
  return true;
}
