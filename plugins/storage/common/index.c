/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "index.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SIZE_MAX_DISK ((guint64)1 << 56)

struct Index {
  guint8 *map;
  gsize length;
  const IndexEntry *entries;
  const guint8 *table;
  guint64 count;
  guint8 *checked; /* one byte per chunk */
  IndexFacts facts;
  dev_t device;
  ino_t inode;
  char *path;
  guint64 hint; /* where the last search ended: walks go upwards */
};

static void
sha256 (const void *data, gsize length, guint8 *hash)
{
  EVP_Digest (data, length, hash, NULL, EVP_sha256 (), NULL);
}

static guint64
chunks (guint64 count)
{
  return count / INDEX_CHUNK + (count % INDEX_CHUNK != 0);
}

/* --- writing --- */

static int
compare_entries (gconstpointer a, gconstpointer b)
{
  guint64 x = ((const IndexEntry *)a)->block, y = ((const IndexEntry *)b)->block;
  return x < y ? -1 : x > y;
}

static int
write_all (const struct guardd_call *call, int fd, const char *path, const char *name, const guint8 *data,
           gsize length)
{
  while (length > 0) {
    ssize_t n = write (fd, data, MIN (length, (gsize)1 << 30));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail (call, n < 0 ? errno : EIO, "%s/%s: cannot write", path, name);
    data += n;
    length -= (gsize)n;
  }
  return 0;
}

static void
index_fill (guint8 *file, const IndexFacts *facts, const GArray *entries)
{
  IndexHeader *header = (IndexHeader *)file;
  IndexEntry *out = (IndexEntry *)(file + sizeof *header);
  for (guint i = 0; i < entries->len; i++) {
    const IndexEntry *in = &g_array_index (entries, IndexEntry, i);
    out[i].block = GUINT64_TO_LE (in->block);
    out[i].offset = GUINT64_TO_LE (in->offset);
    memcpy (out[i].hash, in->hash, sizeof in->hash);
  }
  guint8 *table = (guint8 *)(out + entries->len);
  for (guint64 c = 0; c < chunks (entries->len); c++)
    sha256 (out + c * INDEX_CHUNK, MIN (INDEX_CHUNK, entries->len - c * INDEX_CHUNK) * sizeof *out,
            table + c * GUARDD_HASH_SIZE);
  memcpy (header->magic, INDEX_MAGIC, sizeof header->magic);
  header->version = GUINT32_TO_LE (INDEX_VERSION);
  header->block_size = GUINT32_TO_LE (GUARDD_BLOCK_SIZE);
  header->size = GUINT64_TO_LE (facts->size);
  header->count = GUINT64_TO_LE ((guint64)entries->len);
  header->flags = GUINT32_TO_LE ((facts->base ? INDEX_BASE : 0) | (facts->unread ? INDEX_UNREAD : 0));
  header->level = GUINT32_TO_LE (facts->level);
  g_strlcpy (header->backing, facts->backing, sizeof header->backing);
  memcpy (header->base_hash, facts->base_hash, sizeof header->base_hash);
  memcpy (header->identity, facts->identity, sizeof header->identity);
  sha256 (table, chunks (entries->len) * GUARDD_HASH_SIZE, header->table_hash);
  sha256 (header, offsetof (IndexHeader, header_hash), header->header_hash);
}

int
index_begin (const struct guardd_call *call, int dir_fd, const char *path, const char *name,
             const IndexFacts *facts, GArray *entries, guint8 *hash)
{
  g_array_sort (entries, compare_entries);
  gsize length = sizeof (IndexHeader) + (gsize)entries->len * sizeof (IndexEntry)
                 + chunks (entries->len) * GUARDD_HASH_SIZE;
  g_autofree guint8 *file = g_malloc0 (length);
  index_fill (file, facts, entries);
  sha256 (file, length, hash);
  auto_fd fd = openat (dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return fail (call, errno, "%s/%s: cannot make it", path, name);
  if (write_all (call, fd, path, name, file, length) < 0)
    return -1;
  sync_file_range (fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  int result = fd;
  fd = -1;
  return result;
}

int
index_sync (const struct guardd_call *call, int fd, const char *path, const char *name)
{
  if (fsync (fd) < 0)
    return fail (call, errno, "%s/%s: cannot make it durable", path, name);
  return 0;
}

int
index_write (const struct guardd_call *call, int dir_fd, const char *path, const char *name,
             const IndexFacts *facts, GArray *entries, guint8 *hash)
{
  auto_fd fd = index_begin (call, dir_fd, path, name, facts, entries, hash);
  return fd < 0 ? -1 : index_sync (call, fd, path, name);
}

/* --- reading --- */

static int
damaged (const Index *index, const struct guardd_call *call, const char *what)
{
  return fail (call, 0, "%s: damaged: %s; delete this snapshot (snapshot-delete --force) or restore the file",
               index->path, what);
}

static int
index_map (Index *index, const struct guardd_call *call, int dir_fd, const char *name)
{
  struct stat st;
  auto_fd fd = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 || fstat (fd, &st) < 0)
    return fail (call, errno, "%s: cannot open", index->path);
  if (!S_ISREG (st.st_mode) || st.st_size < (off_t)sizeof (IndexHeader))
    return damaged (index, call, "too short");
  index->length = (gsize)st.st_size;
  index->device = st.st_dev;
  index->inode = st.st_ino;
  void *map = mmap (NULL, index->length, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED)
    return fail (call, errno, "%s: cannot map", index->path);
  index->map = map;
  return 0;
}

static int
index_check_header (Index *index, const struct guardd_call *call)
{
  const IndexHeader *header = (const IndexHeader *)index->map;
  guint8 hash[GUARDD_HASH_SIZE];
  IndexFacts *facts = &index->facts;
  if (memcmp (header->magic, INDEX_MAGIC, sizeof header->magic) != 0)
    return damaged (index, call, "not an index");
  sha256 (header, offsetof (IndexHeader, header_hash), hash);
  if (memcmp (hash, header->header_hash, sizeof hash) != 0)
    return damaged (index, call, "its header's hash is wrong");
  if (header->version != GUINT32_TO_LE (INDEX_VERSION)
      || header->block_size != GUINT32_TO_LE (GUARDD_BLOCK_SIZE))
    return damaged (index, call, "made by another version of guardd");
  facts->size = GUINT64_FROM_LE (header->size);
  facts->level = GUINT32_FROM_LE (header->level);
  facts->base = (GUINT32_FROM_LE (header->flags) & INDEX_BASE) != 0;
  memcpy (facts->backing, header->backing, sizeof facts->backing);
  facts->unread = (GUINT32_FROM_LE (header->flags) & INDEX_UNREAD) != 0;
  memcpy (facts->base_hash, header->base_hash, sizeof facts->base_hash);
  memcpy (facts->identity, header->identity, sizeof facts->identity);
  index->count = GUINT64_FROM_LE (header->count);
  if (facts->backing[INDEX_BACKING_MAX - 1] != 0 || facts->base != (facts->backing[0] == 0)
      || (facts->unread && !facts->base) || facts->size > SIZE_MAX_DISK
      || index->count > index_blocks (facts->size))
    return damaged (index, call, "its header makes no sense");
  if (index->length
      != sizeof *header + index->count * sizeof (IndexEntry) + chunks (index->count) * GUARDD_HASH_SIZE)
    return damaged (index, call, "its length is wrong");
  index->entries = (const IndexEntry *)(index->map + sizeof *header);
  index->table = (const guint8 *)(index->entries + index->count);
  sha256 (index->table, chunks (index->count) * GUARDD_HASH_SIZE, hash);
  if (memcmp (hash, header->table_hash, sizeof hash) != 0)
    return damaged (index, call, "its table's hash is wrong");
  return 0;
}

Index *
index_open (const struct guardd_call *call, int dir_fd, const char *path, const char *name)
{
  g_autoptr (Index) index = g_new0 (Index, 1);
  index->path = g_strdup_printf ("%s/%s", path, name);
  if (index_map (index, call, dir_fd, name) < 0 || index_check_header (index, call) < 0)
    return NULL;
  index->checked = g_malloc0 (chunks (index->count) + 1);
  return g_steal_pointer (&index);
}

void
index_close (Index *index)
{
  if (index == NULL)
    return;
  if (index->map != NULL)
    munmap (index->map, index->length);
  g_free (index->checked);
  g_free (index->path);
  g_free (index);
}

const IndexFacts *
index_facts (const Index *index)
{
  return &index->facts;
}

guint64
index_count (const Index *index)
{
  return index->count;
}

const char *
index_path (const Index *index)
{
  return index->path;
}

bool
index_is_same (const Index *a, const Index *b)
{
  return a->device == b->device && a->inode == b->inode;
}

void
index_hash (const Index *index, guint8 *hash)
{
  sha256 (index->map, index->length, hash);
}

static bool
chunk_check (Index *index, const struct guardd_call *call, guint64 c)
{
  guint8 hash[GUARDD_HASH_SIZE];
  if (index->checked[c])
    return true;
  guint64 first = c * INDEX_CHUNK;
  sha256 (index->entries + first, MIN (INDEX_CHUNK, index->count - first) * sizeof (IndexEntry), hash);
  if (memcmp (hash, index->table + c * GUARDD_HASH_SIZE, sizeof hash) != 0) {
    damaged (index, call, "entries do not match their hash");
    return false;
  }
  index->checked[c] = 1;
  return true;
}

bool
index_get (Index *index, const struct guardd_call *call, guint64 n, IndexEntry *entry)
{
  if (!chunk_check (index, call, n / INDEX_CHUNK))
    return false;
  const IndexEntry *in = &index->entries[n];
  entry->block = GUINT64_FROM_LE (in->block);
  entry->offset = GUINT64_FROM_LE (in->offset);
  memcpy (entry->hash, in->hash, sizeof entry->hash);
  return true;
}

static bool
block_at (Index *index, const struct guardd_call *call, guint64 n, guint64 *block)
{
  if (!chunk_check (index, call, n / INDEX_CHUNK))
    return false;
  *block = GUINT64_FROM_LE (index->entries[n].block);
  return true;
}

bool
index_find (Index *index, const struct guardd_call *call, guint64 block, guint64 *n)
{
  guint64 low = 0, high = index->count, at;
  /* A walk asks for what comes next: look there first. */
  if (index->hint <= high) {
    guint64 hint = index->hint;
    bool above = hint == high, below = hint == 0;
    if (!above) {
      if (!block_at (index, call, hint, &at))
        return false;
      above = at >= block;
    }
    if (above && !below) {
      if (!block_at (index, call, hint - 1, &at))
        return false;
      below = at < block;
    }
    if (above && below) {
      *n = hint;
      return true;
    }
  }
  while (low < high) {
    guint64 middle = low + (high - low) / 2;
    if (!block_at (index, call, middle, &at))
      return false;
    if (at < block)
      low = middle + 1;
    else
      high = middle;
  }
  index->hint = *n = low;
  return true;
}

int
index_check (Index *index, const struct guardd_call *call, guint64 data_size)
{
  const guint8 zero[GUARDD_HASH_SIZE] = { 0 };
  IndexEntry entry, before = { 0 };
  for (guint64 n = 0; n < index->count; n++, before = entry) {
    if (!index_get (index, call, n, &entry))
      return -1;
    if (entry.block >= index_blocks (index->facts.size) || (n > 0 && entry.block <= before.block))
      return damaged (index, call, "its entries are not in order");
    if (index->facts.base ? entry.offset != entry.block * GUARDD_BLOCK_SIZE
                          : entry.offset % GUARDD_BLOCK_SIZE != 0 || entry.offset >= data_size)
      return damaged (index, call, "an entry points to no block");
    if (index_entry_is_zero (&index->facts, &entry) && memcmp (entry.hash, zero, sizeof zero) != 0)
      return damaged (index, call, "a zero block has a hash");
  }
  return 0;
}
