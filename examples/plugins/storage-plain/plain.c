/* SPDX-License-Identifier: MIT */
/*
 * An example of a storage plugin: every image is a whole, sparse raw file beside a table of its blocks.
 * Nothing depends on anything, so there is nothing to maintain; every snapshot costs what the disk holds.
 *
 *   DISK.raw     the content
 *   DISK.blocks  GUARDD_HASH_SIZE bytes for each block: its SHA-256, or zero bytes for a block of zeros
 */
#define _GNU_SOURCE
#include <guardd/storage.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK GUARDD_BLOCK_SIZE
#define HASH GUARDD_HASH_SIZE

struct pool {
  int fd;
};

/* An image that is written, or read. */
struct image {
  int raw, table;
  uint64_t size, blocks, changed;
  uint8_t *hashes; /* blocks times HASH */
};

static int
fail (const struct guardd_call *call, const char *directory, const char *disk, const char *what)
{
  int error = errno;
  char message[512];
  snprintf (message, sizeof message, "%s/%s: %s: %s", directory, disk, what, strerror (error));
  call->error (call->opaque, error, message);
  return -1;
}

static int
no_memory (const struct guardd_call *call)
{
  errno = ENOMEM;
  return fail (call, "plain", "", "no memory");
}

static int
open_part (const struct pool *pool, const char *directory, const char *disk, const char *part, int flags)
{
  char name[256];
  snprintf (name, sizeof name, "%s/%s.%s", directory, disk, part);
  return openat (pool->fd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void
image_free (struct image *image)
{
  if (image->raw >= 0)
    close (image->raw);
  if (image->table >= 0)
    close (image->table);
  free (image->hashes);
  free (image);
}

static struct image *
image_new (const struct pool *pool, const char *directory, const char *disk, int flags)
{
  struct image *image = calloc (1, sizeof *image);
  if (image == NULL)
    return NULL;
  image->raw = open_part (pool, directory, disk, "raw", flags);
  image->table = image->raw < 0 ? -1 : open_part (pool, directory, disk, "blocks", flags);
  return image;
}

/* --- the pool --- */

static int
plain_open (const struct guardd_call *call, const char *path, const struct guardd_param *params,
            size_t n_params, void **instance)
{
  struct pool *pool = malloc (sizeof *pool);
  (void)params;
  if (pool == NULL)
    return no_memory (call);
  errno = EINVAL;
  pool->fd = n_params ? -1 : open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (pool->fd < 0) {
    free (pool);
    return fail (call, path, "", n_params ? "plain has no parameters" : "open");
  }
  *instance = pool;
  return 0;
}

static void
plain_close (void *instance)
{
  struct pool *pool = instance;
  close (pool->fd);
  free (pool);
}

/* --- reading --- */

static int
plain_image_open (void *instance, const struct guardd_call *call, const char *directory, const char *disk,
                  void **reader)
{
  struct stat raw, table;
  struct image *image = image_new (instance, directory, disk, O_RDONLY);
  if (image == NULL)
    return no_memory (call);
  if (image->table < 0 || fstat (image->raw, &raw) || fstat (image->table, &table)) {
    fail (call, directory, disk, "open");
    image_free (image);
    return -1;
  }
  image->size = (uint64_t)raw.st_size;
  image->blocks = (image->size + BLOCK - 1) / BLOCK;
  image->hashes = malloc (image->blocks * HASH + 1);
  errno = EUCLEAN;
  if (image->hashes == NULL || (uint64_t)table.st_size != image->blocks * HASH
      || pread (image->table, image->hashes, image->blocks * HASH, 0) != (ssize_t)(image->blocks * HASH)) {
    fail (call, directory, disk, "its table is not whole");
    image_free (image);
    return -1;
  }
  *reader = image;
  return 0;
}

static void
plain_image_release (void *reader)
{
  image_free (reader);
}

static uint64_t
plain_image_size (void *reader)
{
  return ((const struct image *)reader)->size;
}

static int
plain_image_read (void *reader, const struct guardd_call *call, uint64_t offset, void *data, size_t length)
{
  const struct image *image = reader;
  for (size_t done = 0; done < length;) {
    ssize_t n = pread (image->raw, (char *)data + done, length - done, (off_t)(offset + done));
    if (n <= 0) {
      errno = n < 0 ? errno : EINVAL;
      return fail (call, "image", "", "read");
    }
    done += (size_t)n;
  }
  return 0;
}

static int
is_zero (const uint8_t *hash)
{
  static const uint8_t zero[HASH];
  return memcmp (hash, zero, HASH) == 0;
}

static void
describe (const struct image *image, uint64_t number, struct guardd_block *block)
{
  const uint8_t *hash = image->hashes + number * HASH;
  memset (block, 0, sizeof *block);
  block->number = number;
  block->kind = is_zero (hash) ? GUARDD_BLOCK_ZERO : GUARDD_BLOCK_DATA;
  memcpy (block->hash, hash, HASH);
}

static int
plain_image_blocks (void *reader, const struct guardd_call *call, uint64_t first, uint64_t count,
                    struct guardd_block *blocks)
{
  const struct image *image = reader;
  errno = EINVAL;
  if (first > image->blocks || count > image->blocks - first)
    return fail (call, "image", "", "no such blocks");
  for (uint64_t i = 0; i < count; i++)
    describe (image, first + i, &blocks[i]);
  return 0;
}

static int
plain_image_next_data (void *reader, const struct guardd_call *call, uint64_t from, uint64_t *first,
                       uint64_t *count)
{
  const struct image *image = reader;
  (void)call;
  *count = 0;
  for (*first = from; *first < image->blocks && is_zero (image->hashes + *first * HASH); ++*first)
    ;
  while (*first + *count < image->blocks && !is_zero (image->hashes + (*first + *count) * HASH))
    ++*count;
  return 0;
}

static int
plain_image_diff (void *from, void *to, const struct guardd_call *call,
                  int (*each) (void *opaque, const struct guardd_block *block), void *opaque)
{
  static const uint8_t zero[HASH];
  const struct image *a = from, *b = to;
  (void)call;
  for (uint64_t i = 0; i < b->blocks; i++) {
    struct guardd_block block;
    if (memcmp (i < a->blocks ? a->hashes + i * HASH : zero, b->hashes + i * HASH, HASH) == 0)
      continue;
    describe (b, i, &block);
    int stop = each (opaque, &block);
    if (stop)
      return stop;
  }
  return 0;
}

static int
plain_image_verify (void *instance, const struct guardd_call *call, const char *directory, const char *disk,
                    const uint8_t *index_hash)
{
  static uint8_t const none[HASH];
  void *reader = NULL;
  uint8_t hash[HASH], *data = malloc (BLOCK);
  if (data == NULL)
    return no_memory (call);
  int result = plain_image_open (instance, call, directory, disk, &reader);
  const struct image *image = reader;
  errno = EUCLEAN;
  if (result == 0 && memcmp (SHA256 (image->hashes, image->blocks * HASH, hash), index_hash, HASH) != 0)
    result = fail (call, directory, disk, "its table was changed");
  for (uint64_t i = 0; result == 0 && i < image->blocks; i++) {
    uint64_t left = image->size - i * BLOCK;
    memset (data, 0, BLOCK);
    result = plain_image_read (reader, call, i * BLOCK, data, left < BLOCK ? left : BLOCK);
    if (result == 0 && memcmp (image->hashes + i * HASH, none, HASH) != 0
        && memcmp (SHA256 (data, BLOCK, hash), image->hashes + i * HASH, HASH) != 0) {
      errno = EUCLEAN;
      result = fail (call, directory, disk, "a block is not what was stored");
    }
  }
  if (reader)
    image_free (reader);
  free (data);
  return result;
}

/* --- writing --- */

static int
copy_parent (struct image *image, const struct image *parent)
{
  off_t in = 0, out = 0;
  memcpy (image->hashes, parent->hashes, parent->blocks * HASH);
  for (uint64_t left = parent->size; left > 0;) {
    ssize_t n = copy_file_range (parent->raw, &in, image->raw, &out, left, 0);
    if (n <= 0)
      return -1;
    left -= (uint64_t)n;
  }
  return 0;
}

static int
plain_image_create (void *instance, const struct guardd_call *call, const struct guardd_image_spec *spec,
                    void **writer)
{
  void *parent = NULL;
  if (spec->parent && plain_image_open (instance, call, spec->parent, spec->disk, &parent) != 0)
    return -1;
  struct image *image = image_new (instance, spec->directory, spec->disk, O_RDWR | O_CREAT | O_EXCL);
  if (image == NULL) {
    if (parent)
      image_free (parent);
    return no_memory (call);
  }
  image->size = spec->size;
  image->blocks = (spec->size + BLOCK - 1) / BLOCK;
  image->hashes = calloc (image->blocks + 1, HASH);
  int failed = image->table < 0 || image->hashes == NULL || (parent && copy_parent (image, parent) < 0)
               || ftruncate (image->raw, (off_t)spec->size) < 0;
  if (failed)
    fail (call, spec->directory, spec->disk, "create");
  if (parent)
    image_free (parent);
  if (failed) {
    image_free (image);
    return -1;
  }
  *writer = image;
  return 0;
}

static int
plain_image_write (void *writer, const struct guardd_call *call, uint64_t first, uint64_t count,
                   const void *data, const uint8_t *hashes)
{
  struct image *image = writer;
  uint64_t length = count * BLOCK, left = image->size - first * BLOCK;
  length = length < left ? length : left;
  if (pwrite (image->raw, data, length, (off_t)(first * BLOCK)) != (ssize_t)length)
    return fail (call, "image", "", "write");
  memcpy (image->hashes + first * HASH, hashes, count * HASH);
  image->changed += count;
  return 0;
}

static int
plain_image_zero (void *writer, const struct guardd_call *call, uint64_t first, uint64_t count)
{
  struct image *image = writer;
  if (fallocate (image->raw, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(first * BLOCK),
                 (off_t)(count * BLOCK))
      < 0)
    return fail (call, "image", "", "punch a hole");
  memset (image->hashes + first * HASH, 0, count * HASH);
  image->changed += count;
  return 0;
}

static int
plain_image_seal (void *writer, const struct guardd_call *call, struct guardd_image_info *info)
{
  struct image *image = writer;
  size_t length = image->blocks * HASH;
  int result = 0;
  if (write (image->table, image->hashes, length) != (ssize_t)length || fsync (image->table)
      || fsync (image->raw))
    result = fail (call, "image", "", "make durable");
  info->stored_bytes = 0;
  for (uint64_t i = 0; i < image->blocks; i++)
    info->stored_bytes += is_zero (image->hashes + i * HASH) ? 0 : BLOCK;
  info->changed_blocks = image->changed;
  info->depth = 1;
  SHA256 (image->hashes, length, info->index_hash);
  image_free (image);
  return result;
}

static void
plain_image_abort (void *writer)
{
  /* What is left lies in a draft's directory; without its table it cannot be opened. */
  image_free (writer);
}

/* --- maintenance: nothing depends on anything --- */

static int
plain_prepare (void *instance, const struct guardd_call *call, const char *domain,
               const struct guardd_member *members, size_t n_members, struct guardd_change **changes,
               size_t *n_changes)
{
  (void)instance, (void)call, (void)domain, (void)members, (void)n_members;
  *changes = NULL;
  *n_changes = 0;
  return 0;
}

static int
plain_nothing (void *instance, const struct guardd_call *call, const char *domain,
               const struct guardd_member *members, size_t n_members)
{
  (void)instance, (void)call, (void)domain, (void)members, (void)n_members;
  return 0;
}

static int
plain_forget (void *instance, const struct guardd_call *call, const char *domain)
{
  (void)instance, (void)call, (void)domain;
  return 0;
}

static int
plain_remove (void *instance, const struct guardd_call *call, const char *directory, const char *disk)
{
  static const char *const parts[] = { "raw", "blocks" };
  const struct pool *pool = instance;
  for (size_t i = 0; i < 2; i++) {
    char name[256];
    snprintf (name, sizeof name, "%s/%s.%s", directory, disk, parts[i]);
    if (unlinkat (pool->fd, name, 0) < 0 && errno != ENOENT)
      return fail (call, directory, disk, "remove");
  }
  return 0;
}

static const struct guardd_storage_ops ops = {
  .size = sizeof ops,
  .open = plain_open,
  .close = plain_close,
  .image_create = plain_image_create,
  .image_write = plain_image_write,
  .image_zero = plain_image_zero,
  .image_seal = plain_image_seal,
  .image_abort = plain_image_abort,
  .image_open = plain_image_open,
  .image_release = plain_image_release,
  .image_size = plain_image_size,
  .image_read = plain_image_read,
  .image_blocks = plain_image_blocks,
  .image_next_data = plain_image_next_data,
  .image_diff = plain_image_diff,
  .image_verify = plain_image_verify,
  .maintain_prepare = plain_prepare,
  .maintain_commit = plain_nothing,
  .maintain_abort = plain_forget,
  .image_remove = plain_remove,
  .recover = plain_nothing,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_STORAGE,
  .name = "plain",
  .version = "1",
  .description = "an example: whole raw files",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
