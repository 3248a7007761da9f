/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reader.h"

#include "../common/chain.h"
#include "../common/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>

#define WINDOW 64u /* blocks looked up at a time */

typedef struct {
  ThinInstance *instance;
  Chain *chain;
  char *lv;
  Volume *volume; /* NULL: nothing was read yet */
  int fd;
} Reader;

static void
reader_free (Reader *reader)
{
  fd_close (&reader->fd);
  volume_release (reader->volume);
  chain_close (reader->chain);
  g_free (reader->lv);
  g_free (reader);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Reader, reader_free)

static const IndexFacts *
reader_facts (const Reader *reader)
{
  return index_facts (reader->chain->levels[0].index);
}

int
reader_open (void *opaque, const struct guardd_call *call, const char *directory, const char *disk,
             void **out)
{
  ThinInstance *instance = opaque;
  g_autoptr (Reader) reader = g_new0 (Reader, 1);
  reader->instance = instance;
  reader->fd = -1;
  reader->chain = chain_open (&instance->files, call, directory, disk);
  if (reader->chain == NULL)
    return -1;
  reader->lv = thin_pool_volume_name (instance->pool, call, reader->chain->levels[0].name);
  if (reader->lv == NULL)
    return -1;
  *out = g_steal_pointer (&reader);
  return 0;
}

void
reader_release (void *reader)
{
  reader_free (reader);
}

uint64_t
reader_size (void *reader)
{
  return ((const Reader *)reader)->chain->size;
}

/* --- content --- */

static int
reader_activate (Reader *reader, const struct guardd_call *call)
{
  if (reader->fd >= 0)
    return 0;
  if (reader->volume == NULL)
    reader->volume
        = volume_acquire (reader->instance->pool, call, reader->lv, reader_facts (reader)->identity);
  if (reader->volume == NULL)
    return -1;
  reader->fd = open (volume_path (reader->volume), O_RDONLY | O_CLOEXEC);
  return reader->fd >= 0 ? 0 : fail (call, errno, "%s: cannot open", volume_path (reader->volume));
}

/* One whole block, checked against its hash where there is one. */
static int
block_read (Reader *reader, const struct guardd_call *call, guint64 block, const guint8 *hash, guint8 *data)
{
  gsize done = 0;
  if (reader_activate (reader, call) < 0)
    return -1;
  while (done < GUARDD_BLOCK_SIZE) {
    ssize_t n = pread (reader->fd, data + done, GUARDD_BLOCK_SIZE - done,
                       (off_t)(block * GUARDD_BLOCK_SIZE + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail (call, n < 0 ? errno : EIO, "%s: cannot read block %" G_GUINT64_FORMAT,
                   volume_path (reader->volume), block);
    done += (gsize)n;
  }
  guint8 found[GUARDD_HASH_SIZE];
  if (!index_hash_is_known (hash))
    return 0;
  EVP_Digest (data, GUARDD_BLOCK_SIZE, found, NULL, EVP_sha256 (), NULL);
  if (memcmp (found, hash, sizeof found) == 0)
    return 0;
  return fail (call, 0,
               "%s: damaged at byte %" G_GUINT64_FORMAT " (block %" G_GUINT64_FORMAT
               "): content does not match its hash",
               volume_path (reader->volume), block * GUARDD_BLOCK_SIZE, block);
}

static int
slot_copy (Reader *reader, const struct guardd_call *call, guint64 number, const Slot *slot, gsize skip,
           guint8 *out, gsize part)
{
  if (slot_is_zero (slot)) {
    memset (out, 0, part);
    return 0;
  }
  if (part == GUARDD_BLOCK_SIZE)
    return block_read (reader, call, number, slot->entry.hash, out);
  g_autofree guint8 *block = g_malloc (GUARDD_BLOCK_SIZE);
  if (block_read (reader, call, number, slot->entry.hash, block) < 0)
    return -1;
  memcpy (out, block + skip, part);
  return 0;
}

int
reader_read (void *opaque, const struct guardd_call *call, uint64_t offset, void *data, size_t len)
{
  Reader *reader = opaque;
  guint8 *out = data;
  Slot slots[WINDOW];
  if (chain_range_check (reader->chain, call, offset, len, reader->chain->size) < 0)
    return -1;
  while (len > 0) {
    guint64 first = offset / GUARDD_BLOCK_SIZE;
    guint64 n = MIN (WINDOW, (offset + len - 1) / GUARDD_BLOCK_SIZE - first + 1);
    if (chain_lookup (reader->chain, call, first, n, slots) < 0)
      return -1;
    for (guint64 i = 0; i < n; i++) {
      gsize skip = offset % GUARDD_BLOCK_SIZE, part = MIN (len, GUARDD_BLOCK_SIZE - skip);
      if (slot_copy (reader, call, first + i, &slots[i], skip, out, part) < 0)
        return -1;
      out += part;
      offset += part;
      len -= part;
    }
  }
  return 0;
}

/* --- what the blocks are --- */

int
reader_blocks (void *reader, const struct guardd_call *call, uint64_t first, uint64_t count,
               struct guardd_block *blocks)
{
  return chain_blocks (((Reader *)reader)->chain, call, first, count, blocks);
}

int
reader_next_data (void *reader, const struct guardd_call *call, uint64_t from, uint64_t *first,
                  uint64_t *count)
{
  return chain_next_data (((Reader *)reader)->chain, call, from, first, count);
}

static int
resolve_kind (void *opaque, const struct guardd_call *call, struct guardd_block *block)
{
  g_autofree guint8 *data = g_malloc (GUARDD_BLOCK_SIZE);
  if (block_read (opaque, call, block->number, block->hash, data) < 0)
    return -1;
  if (data[0] == 0 && memcmp (data, data + 1, GUARDD_BLOCK_SIZE - 1) == 0)
    block->kind = GUARDD_BLOCK_ZERO;
  return 0;
}

int
reader_diff (void *from, void *to, const struct guardd_call *call,
             int (*each) (void *opaque, const struct guardd_block *block), void *opaque)
{
  ChainDiff diff = { .from = ((Reader *)from)->chain,
                     .to = ((Reader *)to)->chain,
                     .resolve = resolve_kind,
                     .resolve_opaque = to,
                     .each = each,
                     .opaque = opaque };
  return chain_diff (&diff, call);
}

/* --- verification --- */

static int
verify_index (const Level *level, const struct guardd_call *call, const guint8 *wanted)
{
  guint8 hash[GUARDD_HASH_SIZE];
  index_hash (level->index, hash);
  if (memcmp (hash, wanted, sizeof hash) != 0)
    return fail (call, 0, "%s: damaged or exchanged: it is not the index that was sealed",
                 index_path (level->index));
  guint64 blocks = index_blocks (index_facts (level->index)->size);
  return index_check (level->index, call, entry_offset (blocks));
}

/* Every block of the image's own, or of the base right below it, against its hash. */
static int
verify_data (Reader *reader, const struct guardd_call *call, const Level *level)
{
  g_autofree guint8 *data = g_malloc (GUARDD_BLOCK_SIZE);
  IndexWalk walk = { level->index, call, 0 };
  IndexEntry entry;
  guint64 total = index_count (level->index);
  int more;
  while ((more = index_walk_next (&walk, &entry)) > 0) {
    Slot slot;
    /* A baseline's own overlay is empty; of a base, what younger ones say goes first. */
    if (chain_lookup (reader->chain, call, entry.block, 1, &slot) < 0)
      return -1;
    if (slot.level != level || slot_is_zero (&slot))
      continue;
    if (block_read (reader, call, entry.block, entry.hash, data) < 0
        || (walk.next % 256 == 0 && cancelled (call, walk.next, total)))
      return -1;
  }
  return more;
}

int
reader_verify (void *instance, const struct guardd_call *call, const char *directory, const char *disk,
               const uint8_t *wanted)
{
  void *opaque = NULL;
  if (reader_open (instance, call, directory, disk, &opaque) < 0)
    return -1;
  g_autoptr (Reader) reader = opaque;
  const Level *own = &reader->chain->levels[0], *below = &reader->chain->levels[1];
  if (verify_index (own, call, wanted) < 0 || reader_activate (reader, call) < 0
      || verify_data (reader, call, own) < 0)
    return -1;
  if (reader->chain->n_levels < 2 || !index_facts (below->index)->base)
    return 0;
  /* Nobody but those that stand on it knows a base's hash. */
  if (verify_index (below, call, index_facts (own->index)->base_hash) < 0)
    return -1;
  return verify_data (reader, call, below);
}
