/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Linux swap, version 2, and one with a hibernated system in it.  Formats: include/linux/swap.h, union
 * swap_header; kernel/power/swap.c, HIBERNATE_SIG, which takes the place of the other until it is resumed. */
#include "bytes.h"
#include "probe.h"

#define UUID_AT 1036u

bool
probe_swap (struct probe *probe, const struct view *view, const char *path)
{
  static const uint32_t pages[] = { 4096, 8192, 16384, 65536 };
  for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
    char magic[10];
    if (!view_read (view, pages[i] - sizeof magic, magic, sizeof magic)
        || (memcmp (magic, "SWAPSPACE2", 10) && memcmp (magic, "S1SUSPEND", 10)))
      continue;
    struct guardd_structure *swap = probe_add (probe, GUARDD_STRUCTURE_SWAP, view, path);
    if (swap)
      view_read (view, UUID_AT, swap->uuid, sizeof swap->uuid);
    return true;
  }
  return false;
}
