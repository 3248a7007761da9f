/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every bit of an image's files has one right value: the index by its hash, data by the index, and the rest
 * of an overlay by being computed again from the index.  So a single flipped bit anywhere shows.
 */
#include "verify.h"

#include "../common/chain.h"
#include "../common/overlay.h"
#include "../common/seal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK ((gsize)1 << 20)

typedef struct {
  const struct guardd_call *call;
  const Level *level;
  guint64 total, done; /* bytes, for progress */
} Verify;

static int
verify_fail (const Verify *verify, guint64 offset, const char *what)
{
  return fail (verify->call, 0, "%s/%s: damaged at byte %" G_GUINT64_FORMAT ": %s", verify->level->name->path,
               verify->level->name->data, offset, what);
}

static bool
all_zero (const guint8 *data, gsize n)
{
  return n == 0 || (data[0] == 0 && memcmp (data, data + 1, n - 1) == 0);
}

/* Bytes from `offset` up to `end` must be zero; holes are not read. */
static int
verify_zero (Verify *verify, guint64 offset, guint64 end)
{
  g_autofree guint8 *data = g_malloc (CHUNK);
  while (offset < end) {
    off_t next = lseek (verify->level->fd, (off_t)offset, SEEK_DATA);
    if (next < 0 && errno == ENXIO)
      return 0;
    if (next > 0 && (guint64)next > offset)
      offset = MIN (end, (guint64)next);
    gsize part = MIN (CHUNK, end - offset);
    ssize_t n = part ? pread (verify->level->fd, data, part, (off_t)offset) : 0;
    if (n < 0)
      return fail (verify->call, errno, "%s/%s: cannot read at %" G_GUINT64_FORMAT, verify->level->name->path,
                   verify->level->name->data, offset);
    if (n == 0)
      return 0;
    if (!all_zero (data, (gsize)n))
      return verify_fail (verify, offset, "something is where nothing should be");
    offset += (guint64)n;
  }
  return 0;
}

/* Every data block against its hash. */
static int
verify_data (Verify *verify)
{
  g_autofree guint8 *data = g_malloc (GUARDD_BLOCK_SIZE);
  Slot slot = { .level = verify->level };
  IndexWalk walk = { verify->level->index, verify->call, 0 };
  int more;
  while ((more = index_walk_next (&walk, &slot.entry)) > 0) {
    if (slot_is_zero (&slot))
      continue;
    if (slot_read (&slot, verify->call, data) < 0)
      return -1;
    verify->done += GUARDD_BLOCK_SIZE;
    if ((verify->done / GUARDD_BLOCK_SIZE) % 256 == 0
        && cancelled (verify->call, verify->done, verify->total))
      return -1;
  }
  return more;
}

/* --- an overlay's metadata --- */

typedef struct {
  Verify *verify;
  guint64 next;   /* what is before it has been checked */
  guint8 *header; /* comes last, lies first: checked when the rest is */
} Compare;

static int
compare_page (void *opaque, guint64 offset, const guint8 *page)
{
  Compare *compare = opaque;
  guint8 found[OVERLAY_PAGE];
  if (offset == 0)
    compare->next = 0;
  if (verify_zero (compare->verify, compare->next, offset) < 0)
    return -1;
  if (pread (compare->verify->level->fd, found, sizeof found, (off_t)offset) != (ssize_t)sizeof found
      || memcmp (found, page, sizeof found) != 0)
    return verify_fail (compare->verify, offset, "not what the index says it must be");
  compare->next = offset + OVERLAY_PAGE;
  return 0;
}

static int
verify_overlay (Verify *verify, guint64 length)
{
  const IndexFacts *facts = index_facts (verify->level->index);
  OverlayLayout layout;
  guint64 n_data, l2_tables;
  if (seal_count (verify->level->index, verify->call, &n_data, &l2_tables) < 0)
    return -1;
  overlay_layout (&layout, facts->size, n_data, l2_tables);
  if (length != layout.file_size)
    return verify_fail (verify, length, "its length is wrong");
  IndexWalk walk = { verify->level->index, verify->call, 0 };
  Compare compare = { .verify = verify, .next = layout.data_end };
  /* Metadata is emitted upwards, the header last: what lies behind the last page is looked at first. */
  guint64 table_end = layout.table_offset + layout.refcount_blocks * 8;
  if (verify_zero (verify, (table_end + OVERLAY_PAGE - 1) / OVERLAY_PAGE * OVERLAY_PAGE, length) < 0
      || overlay_emit (&layout, facts->backing, index_walk_next, &walk, compare_page, &compare) != 0)
    return -1;
  return verify_zero (verify, OVERLAY_PAGE, GUARDD_BLOCK_SIZE);
}

/* --- a base --- */

/* Between the blocks of the index there is nothing. */
static int
verify_gaps (Verify *verify, guint64 length)
{
  IndexWalk walk = { verify->level->index, verify->call, 0 };
  IndexEntry entry;
  guint64 next = 0;
  int more;
  while ((more = index_walk_next (&walk, &entry)) > 0) {
    if (entry.offset > next && verify_zero (verify, next, entry.offset) < 0)
      return -1;
    next = entry.offset + GUARDD_BLOCK_SIZE;
  }
  return more < 0 ? -1 : verify_zero (verify, next, length);
}

/* --- one image --- */

static int
verify_level (const Level *level, const struct guardd_call *call, const guint8 *wanted)
{
  struct stat st;
  guint8 hash[GUARDD_HASH_SIZE];
  Verify verify = { .call = call, .level = level };
  const IndexFacts *facts = index_facts (level->index);
  index_hash (level->index, hash);
  if (memcmp (hash, wanted, sizeof hash) != 0)
    return fail (call, 0, "%s: damaged or exchanged: it is not the index that was sealed",
                 index_path (level->index));
  if (fstat (level->fd, &st) < 0)
    return fail (call, errno, "%s/%s: cannot look at it", level->name->path, level->name->data);
  guint64 length = (guint64)st.st_size;
  verify.total = index_count (level->index) * GUARDD_BLOCK_SIZE;
  if (index_check (level->index, call, length) < 0)
    return -1;
  if (facts->base && length != (facts->size + 511) / 512 * 512)
    return verify_fail (&verify, length, "its length is wrong");
  if ((facts->base ? verify_gaps (&verify, length) : verify_overlay (&verify, length)) < 0)
    return -1;
  return verify_data (&verify);
}

int
verify_image (void *opaque, const struct guardd_call *call, const char *directory, const char *disk,
              const uint8_t *index_hash)
{
  const Instance *instance = opaque;
  Level level, below = { .fd = -1 };
  int result = level_open (instance, call, directory, disk, &level);
  if (result == 0)
    result = verify_level (&level, call, index_hash);
  g_autoptr (ImageName) base = NULL;
  if (result == 0)
    base = image_name_backing (instance, call, level.name, index_facts (level.index)->backing);
  /* Nobody but those that stand on it knows a base's hash. */
  if (base != NULL && image_name_is_base (base)) {
    result = level_open (instance, call, base->directory, disk, &below);
    if (result == 0)
      result = verify_level (&below, call, index_facts (level.index)->base_hash);
  }
  level_close (&level);
  level_close (&below);
  return result;
}
