/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "chain.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

static int
level_open_data (Level *level, const struct guardd_call *call, int dir)
{
  struct stat st;
  level->fd = openat (dir, level->name->data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (level->fd < 0 || fstat (level->fd, &st) < 0)
    return fail (call, errno, "%s/%s: cannot open", level->name->path, level->name->data);
  if (!S_ISREG (st.st_mode))
    return fail (call, 0, "%s/%s: damaged: no regular file", level->name->path, level->name->data);
  return 0;
}

int
level_open (const Instance *instance, const struct guardd_call *call, const char *directory, const char *disk,
            Level *level)
{
  *level = (Level){ .fd = -1, .name = image_name_new (instance, call, directory, disk) };
  if (level->name == NULL)
    return -1;
  auto_fd dir = image_directory_open (instance, call, directory);
  if (dir < 0)
    return -1;
  level->index = index_open (call, dir, level->name->path, level->name->index);
  if (level->index == NULL)
    return -1;
  if (!instance->indexes_only && level_open_data (level, call, dir) < 0)
    return -1;
  if (index_facts (level->index)->base != image_name_is_base (level->name))
    return fail (call, 0, "%s/%s: damaged: belongs to another kind of image", level->name->path,
                 level->name->index);
  return 0;
}

void
level_close (Level *level)
{
  image_name_free (level->name);
  index_close (level->index);
  fd_close (&level->fd);
}

Chain *
chain_open (const Instance *instance, const struct guardd_call *call, const char *directory, const char *disk)
{
  g_autoptr (Chain) chain = g_new0 (Chain, 1);
  g_autoptr (GArray) levels = g_array_new (FALSE, FALSE, sizeof (Level));
  g_autoptr (ImageName) next = image_name_new (instance, call, directory, disk);
  int result = next ? 0 : -1;
  while (next != NULL && result == 0) {
    Level level;
    if (levels->len == CHAIN_DEPTH_MAX) {
      result = fail (call, 0, "%s: stands on more than %u images: the pool is damaged", next->path,
                     CHAIN_DEPTH_MAX);
      break;
    }
    result = level_open (instance, call, next->directory, disk, &level);
    g_array_append_val (levels, level);
    g_clear_pointer (&next, image_name_free);
    if (result == 0 && !index_facts (level.index)->base) {
      next = image_name_backing (instance, call, level.name, index_facts (level.index)->backing);
      if (next == NULL)
        result = -1;
    }
  }
  chain->n_levels = levels->len;
  chain->levels = (Level *)(void *)g_array_free (g_steal_pointer (&levels), FALSE);
  if (result < 0)
    return NULL;
  chain->size = index_facts (chain->levels[0].index)->size;
  return g_steal_pointer (&chain);
}

void
chain_close (Chain *chain)
{
  if (chain == NULL)
    return;
  for (guint i = 0; i < chain->n_levels; i++)
    level_close (&chain->levels[i]);
  g_free (chain->levels);
  g_free (chain);
}

/* What a clone's index does not name is there, and was never read. */
static void
lookup_unread (const Chain *chain, guint64 first, guint64 n, Slot *slots)
{
  const Level *base = &chain->levels[chain->n_levels - 1];
  if (!index_facts (base->index)->unread)
    return;
  guint64 end = index_blocks (index_facts (base->index)->size);
  for (guint64 i = 0; i < n && first + i < end; i++)
    if (slots[i].level == NULL)
      slots[i] = (Slot){ base, { .block = first + i, .offset = (first + i) * GUARDD_BLOCK_SIZE } };
}

int
chain_lookup (Chain *chain, const struct guardd_call *call, guint64 first, guint64 n, Slot *slots)
{
  guint64 open = n;
  memset (slots, 0, n * sizeof *slots);
  for (guint i = 0; i < chain->n_levels && open > 0; i++) {
    const Level *level = &chain->levels[i];
    guint64 at = 0;
    if (!index_find (level->index, call, first, &at))
      return -1;
    for (; at < index_count (level->index); at++) {
      IndexEntry entry;
      if (!index_get (level->index, call, at, &entry))
        return -1;
      if (entry.block < first || entry.block - first >= n)
        break;
      Slot *slot = &slots[entry.block - first];
      if (slot->level == NULL) {
        *slot = (Slot){ level, entry };
        open--;
      }
    }
  }
  lookup_unread (chain, first, n, slots);
  return 0;
}

int
chain_next (Chain *chain, const struct guardd_call *call, const bool *which, guint64 from, guint64 *block)
{
  *block = G_MAXUINT64;
  for (guint i = 0; i < chain->n_levels; i++) {
    if (which != NULL && !which[i])
      continue;
    Index *index = chain->levels[i].index;
    IndexEntry entry;
    guint64 at = 0;
    if (index_facts (index)->unread && from < index_blocks (index_facts (index)->size)) {
      *block = from;
      return 0;
    }
    if (!index_find (index, call, from, &at))
      return -1;
    if (at == index_count (index))
      continue;
    if (!index_get (index, call, at, &entry))
      return -1;
    *block = MIN (*block, entry.block);
  }
  return 0;
}

bool
slot_is_zero (const Slot *slot)
{
  return slot->level == NULL || index_entry_is_zero (index_facts (slot->level->index), &slot->entry);
}

int
slot_read (const Slot *slot, const struct guardd_call *call, guint8 *data)
{
  const Level *level = slot->level;
  gsize done = 0;
  while (done < GUARDD_BLOCK_SIZE) {
    ssize_t n = pread (level->fd, data + done, GUARDD_BLOCK_SIZE - done, (off_t)(slot->entry.offset + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (call, errno, "%s/%s: cannot read at %" G_GUINT64_FORMAT, level->name->path,
                   level->name->data, slot->entry.offset);
    if (n == 0)
      break;
    done += (gsize)n;
  }
  /* A base ends with the disk; its last block is padded.  An overlay that ends early fails its hash. */
  memset (data + done, 0, GUARDD_BLOCK_SIZE - done);
  guint8 hash[GUARDD_HASH_SIZE];
  EVP_Digest (data, GUARDD_BLOCK_SIZE, hash, NULL, EVP_sha256 (), NULL);
  if (memcmp (hash, slot->entry.hash, sizeof hash) != 0)
    return fail (call, 0,
                 "%s/%s: damaged at byte %" G_GUINT64_FORMAT " (block %" G_GUINT64_FORMAT
                 "): content does not match its hash",
                 level->name->path, level->name->data, slot->entry.offset, slot->entry.block);
  return 0;
}
