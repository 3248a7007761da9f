/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sentinel's readers on any disk.  The input is a sparse one: 8 bytes of size, then pages of 4096 bytes,
 * each after the 4 bytes of its number; what is not there reads as zero.  tests/fuzz/seeds-sentinel makes
 * such inputs of disks that the real tools made.
 */
#include "sentinel/bytes.h"
#include "sentinel/place.h"

#include <guardd/observation.h>
#include <stdio.h>

#define PAGE 4096u
#define RECORD (4u + PAGE)

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t length);

#define BTRFS_GENERATION (65536u + 0x48u)

struct input {
  const uint8_t *data;
  size_t length;
  bool older; /* the disk as it was: a byte of each page is another, and a btrfs has written nothing yet */
};

static const uint8_t *
find_page (const struct input *input, uint64_t number)
{
  for (size_t at = 8; at + RECORD <= input->length; at += RECORD)
    if (le32 (input->data + at) == number)
      return input->data + at + 4;
  return NULL;
}

static void
make_older (uint8_t *page, uint64_t number, size_t skip, size_t take)
{
  for (size_t i = skip; i < skip + take; i++) {
    uint64_t at = number * PAGE + i;
    if (i == 0x58)
      page[i - skip] ^= 1;
    if (at >= BTRFS_GENERATION && at < BTRFS_GENERATION + 8)
      page[i - skip] = 0;
  }
}

static bool
read_input (void *opaque, uint64_t offset, void *data, size_t length)
{
  const struct input *input = opaque;
  uint8_t *to = data;
  while (length > 0) {
    size_t skip = offset % PAGE, take = PAGE - skip < length ? PAGE - skip : length;
    const uint8_t *page = find_page (input, offset / PAGE);
    if (page)
      memcpy (to, page + skip, take);
    else
      memset (to, 0, take);
    if (input->older)
      make_older (to, offset / PAGE, skip, take);
    to += take;
    offset += take;
    length -= take;
  }
  return true;
}

static void
check (const struct guardd_observation *seen)
{
  if (seen->n_structures > GUARDD_STRUCTURES_MAX)
    abort ();
  for (uint32_t i = 0; i < seen->n_structures; i++) {
    const struct guardd_structure *is = &seen->structures[i];
    if (is->kind >= GUARDD_STRUCTURE_KINDS || memchr (is->path, '\0', sizeof is->path) == NULL
        || is->offset > seen->disk_size || is->length > seen->disk_size)
      abort ();
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t length)
{
  static struct guardd_observation seen;
  static struct probe_views views;
  struct input input = { data, length, false }, older = { data, length, true };
  if (length < 8 + RECORD)
    return 0;
  struct view_source now = { .read = read_input,
                             .opaque = &input,
                             .size = le64 (data) % (1ull << 44),
                             .budget = 4u << 20,
                             .budget_calls = 2000 };
  struct view_source before = now;
  before.opaque = &older;
  struct wire_run runs[9];
  for (uint32_t i = 0; i < 8; i++)
    runs[i] = (struct wire_run){ (uint64_t)i * 9 * PAGE, 2 * PAGE, i % GUARDD_CHANGE_CLASSES };
  runs[7].length = 1u << 20; /* enough to be told where else something changed */
  runs[8] = (struct wire_run){ 0, 64u << 20, WIRE_CHANGED };
  probe_disk (&seen, &now, &views);
  check (&seen);
  place_runs (&seen, &views, &before, runs, 9, 1);
  return 0;
}
