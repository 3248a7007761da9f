/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look IMAGE [BEFORE [high]]: what the sentinel's readers see on a raw image, as JSON; for tests.  With
 * BEFORE, an image of the same disk, blocks that differ are placed, those that became zero as such, others as
 * of high entropy if that is said.
 */
#include "sentinel/place.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 4096u
#define BLOCK 65536u

static bool
read_file (void *opaque, uint64_t offset, void *data, size_t length)
{
  return pread (*(int *)opaque, data, length, (off_t)offset) == (ssize_t)length;
}

static void
open_source (struct view_source *source, int *fd, const char *path)
{
  struct stat stat;
  *fd = open (path, O_RDONLY | O_CLOEXEC);
  if (*fd < 0 || fstat (*fd, &stat)) {
    perror (path);
    exit (1);
  }
  *source = (struct view_source){ .read = read_file,
                                  .opaque = fd,
                                  .size = (uint64_t)stat.st_size,
                                  .budget = WIRE_BUDGET,
                                  .budget_calls = WIRE_BUDGET_CALLS };
}

static uint32_t
find_runs (int now, int before, uint64_t size, enum guardd_change_class other, struct wire_run *runs)
{
  static const char zeros[PIECE];
  char a[PIECE], b[PIECE];
  uint32_t n = 0;
  for (uint64_t at = 0; at + PIECE <= size && n < WIRE_RUNS_MAX; at += PIECE) {
    if (pread (now, a, PIECE, (off_t)at) != PIECE || pread (before, b, PIECE, (off_t)at) != PIECE
        || memcmp (a, b, PIECE) == 0)
      continue;
    runs[n++] = (struct wire_run){ at, PIECE, memcmp (a, zeros, PIECE) ? other : GUARDD_CHANGE_TO_ZERO };
  }
  return n;
}

/* Behind n runs the blocks that those of what is not zero are in, as guardd tells them. */
static uint32_t
add_changed (struct wire_run *runs, uint32_t n)
{
  uint32_t all = n;
  for (uint32_t i = 0; i < n; i++) {
    uint64_t offset = runs[i].offset / BLOCK * BLOCK, end = offset + BLOCK;
    if (runs[i].kind == GUARDD_CHANGE_TO_ZERO)
      continue;
    if (all > n && runs[all - 1].offset + runs[all - 1].length >= offset)
      runs[all - 1].length = end - runs[all - 1].offset;
    else
      runs[all++] = (struct wire_run){ offset, BLOCK, WIRE_CHANGED };
  }
  return all;
}

static void
print_number (const char *key, uint64_t value)
{
  if (value == UINT64_MAX)
    printf (", \"%s\": null", key);
  else
    printf (", \"%s\": %" PRIu64, key, value);
}

static void
print_structure (const struct guardd_structure *is)
{
  static const char *const kinds[]
      = { "unknown", "mbr",   "gpt",  "partition", "ext", "xfs", "btrfs", "ntfs",
          "fat",     "exfat", "swap", "pv",        "lv",  "md",  "luks",  "bitlocker" };
  static const char *const flags[] = { "counted",    "lagging", "sampled",   "damaged", "primary-bad",
                                       "backup-bad", "opaque",  "keys-gone", "overlaid" };
  printf ("{\"kind\": \"%s\", \"path\": \"%s\", \"flags\": [", kinds[is->kind], is->path);
  const char *comma = "";
  for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++)
    if (is->flags & 1u << i) {
      printf ("%s\"%s\"", comma, flags[i]);
      comma = ", ";
    }
  printf ("], \"uuid\": \"");
  for (unsigned i = 0; i < sizeof is->uuid; i++)
    printf ("%02x", is->uuid[i]);
  printf ("\"");
  print_number ("offset", is->offset);
  print_number ("length", is->length);
  print_number ("made", is->made);
  print_number ("generation", is->generation);
  print_number ("digest", is->digest);
  print_number ("key", is->key);
  print_number ("total_bytes", is->total_bytes);
  print_number ("used_bytes", is->used_bytes);
  print_number ("total_inodes", is->total_inodes);
  print_number ("used_inodes", is->used_inodes);
  print_number ("used_dirs", is->used_dirs);
  printf ("}");
}

static void
print_places (const char *key, const uint64_t places[GUARDD_PLACES])
{
  static const char *const names[GUARDD_PLACES]
      = { "unknown", "free", "kept", "metadata", "new", "late", "ruined" };
  printf (", \"%s\": {", key);
  for (unsigned i = 0; i < GUARDD_PLACES; i++)
    printf ("%s\"%s\": %" PRIu64, i ? ", " : "", names[i], places[i]);
  printf ("}");
}

int
main (int argc, char **argv)
{
  static struct guardd_observation seen;
  static struct probe_views views;
  static struct wire_run runs[2 * WIRE_RUNS_MAX];
  struct view_source now, before = { .size = 0 };
  int fd, fd_before;
  uint32_t n = 0;
  if (argc < 2)
    return 2;
  open_source (&now, &fd, argv[1]);
  probe_disk (&seen, &now, &views);
  if (argc > 2) {
    open_source (&before, &fd_before, argv[2]);
    n = find_runs (fd, fd_before, now.size < before.size ? now.size : before.size,
                   argc > 3 ? GUARDD_CHANGE_LOW_TO_HIGH : GUARDD_CHANGE_OTHER, runs);
    place_runs (&seen, &views, &before, runs, add_changed (runs, n), 1);
  }
  printf ("{\"read_bytes\": %" PRIu64, now.read_bytes + before.read_bytes);
  print_places ("to_zero", seen.changed[GUARDD_CHANGE_TO_ZERO]);
  print_places ("other", seen.changed[GUARDD_CHANGE_OTHER]);
  print_places ("high", seen.changed[GUARDD_CHANGE_LOW_TO_HIGH]);
  print_places ("collapsed", seen.changed[GUARDD_CHANGE_COLLAPSED]);
  print_number ("freed_inodes", seen.exchange.freed_inodes);
  print_number ("new_inodes", seen.exchange.new_inodes);
  print_number ("taken_bytes", seen.exchange.taken_bytes);
  print_number ("taken_packed_bytes", seen.exchange.taken_packed_bytes);
  printf (", \"structures\": [");
  for (uint32_t i = 0; i < seen.n_structures; i++) {
    printf (i ? ",\n" : "\n");
    print_structure (&seen.structures[i]);
  }
  printf ("]}\n");
  return 0;
}
