/* SPDX-License-Identifier: MIT */
/*
 * An example of a storage plugin: every image is a whole, sparse raw file beside a table of its blocks.
 * Nothing depends on anything, so there is nothing to maintain; every snapshot costs what the disk holds.
 * Where the guests' raw files are on the pool's own filesystem, and that has reflinks (XFS, btrfs), it clones
 * them: the guest waits for that alone, and the clone is read and hashed when the guest runs again.
 *
 *   DISK.raw       the content
 *   DISK.blocks    GUARDD_HASH_SIZE bytes for each block: its SHA-256, or zero bytes for a block of zeros
 *   DISK.replaced  the guest's own file, as a rollback found it
 */
#define _GNU_SOURCE
#include <guardd/storage.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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
  uint8_t *hashes; /* blocks times HASH; of a clone, its parent's until it is read */
  int cloned;
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

static struct image *
writer_new (const struct pool *pool, const struct guardd_call *call, const struct guardd_image_spec *spec)
{
  struct image *image = image_new (pool, spec->directory, spec->disk, O_RDWR | O_CREAT | O_EXCL);
  if (image == NULL) {
    no_memory (call);
    return NULL;
  }
  image->size = spec->size;
  image->blocks = (spec->size + BLOCK - 1) / BLOCK;
  image->hashes = calloc (image->blocks + 1, HASH);
  if (image->table >= 0 && image->hashes)
    return image;
  fail (call, spec->directory, spec->disk, "create");
  image_free (image);
  return NULL;
}

static int
plain_image_create (void *instance, const struct guardd_call *call, const struct guardd_image_spec *spec,
                    void **writer)
{
  void *parent = NULL;
  if (spec->parent && plain_image_open (instance, call, spec->parent, spec->disk, &parent) != 0)
    return -1;
  struct image *image = writer_new (instance, call, spec);
  int failed
      = image && ((parent && copy_parent (image, parent) < 0) || ftruncate (image->raw, (off_t)spec->size));
  if (failed)
    fail (call, spec->directory, spec->disk, "create");
  if (parent)
    image_free (parent);
  if (image == NULL || failed) {
    if (image)
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

/* What a clone holds, block by block. */
static int
hash_clone (struct image *image, const struct guardd_call *call)
{
  static const uint8_t zero[HASH];
  uint8_t hash[HASH], *data = malloc (BLOCK);
  int result = data ? 0 : no_memory (call);
  for (uint64_t i = 0; result == 0 && i < image->blocks; i++) {
    uint64_t left = image->size - i * BLOCK;
    memset (data, 0, BLOCK);
    result = plain_image_read (image, call, i * BLOCK, data, left < BLOCK ? left : BLOCK);
    int empty = data[0] == 0 && memcmp (data, data + 1, BLOCK - 1) == 0;
    const uint8_t *now = empty ? zero : SHA256 (data, BLOCK, hash);
    image->changed += memcmp (image->hashes + i * HASH, now, HASH) != 0;
    memcpy (image->hashes + i * HASH, now, HASH);
  }
  free (data);
  return result;
}

static int
plain_image_seal (void *writer, const struct guardd_call *call, struct guardd_image_info *info)
{
  struct image *image = writer;
  size_t length = image->blocks * HASH;
  int result = image->cloned ? hash_clone (image, call) : 0;
  if (result == 0
      && (write (image->table, image->hashes, length) != (ssize_t)length || fsync (image->table)
          || fsync (image->raw)))
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
  static const char *const parts[] = { "raw", "blocks", "replaced" };
  const struct pool *pool = instance;
  for (size_t i = 0; i < 3; i++) {
    char name[256];
    snprintf (name, sizeof name, "%s/%s.%s", directory, disk, parts[i]);
    if (unlinkat (pool->fd, name, 0) < 0 && errno != ENOENT)
      return fail (call, directory, disk, "remove");
  }
  return 0;
}

/* --- cloning the guests' own files --- */

static int
plain_source_probe (void *instance, const struct guardd_call *call, const char *path, const char *format,
                    struct guardd_source_info *info)
{
  const struct pool *pool = instance;
  struct stat source, here, link;
  errno = EINVAL;
  if (strcmp (format, "raw") != 0)
    return fail (call, path, format, "only raw files can be cloned");
  if (stat (path, &source) < 0 || fstat (pool->fd, &here) < 0)
    return fail (call, path, "", "look at it");
  errno = EXDEV;
  if (!S_ISREG (source.st_mode) || source.st_dev != here.st_dev)
    return fail (call, path, "", "is no file on the pool's filesystem");
  int from = open (path, O_RDONLY | O_CLOEXEC);
  int to = openat (pool->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  int result = from >= 0 && to >= 0 && ioctl (to, FICLONE, from) == 0 ? 0 : fail (call, path, "", "clone it");
  if (from >= 0)
    close (from);
  if (to >= 0)
    close (to);
  info->size = (uint64_t)source.st_size;
  info->consistent_alone = 0;
  /* rename() would replace the link */
  info->stays = lstat (path, &link) < 0 || S_ISLNK (link.st_mode);
  return result;
}

static int
clone_one (struct pool *pool, const struct guardd_call *call, const struct guardd_image_spec *spec,
           const char *path, void **writer)
{
  void *parent = NULL;
  struct image *image = writer_new (pool, call, spec);
  if (image == NULL)
    return -1;
  int from = open (path, O_RDONLY | O_CLOEXEC);
  int failed = from < 0 || ioctl (image->raw, FICLONE, from) < 0;
  if (failed)
    fail (call, path, "", "clone it");
  if (from >= 0)
    close (from);
  image->cloned = 1;
  if (!failed && spec->parent) {
    failed = plain_image_open (pool, call, spec->parent, spec->disk, &parent) != 0;
    if (!failed) {
      memcpy (image->hashes, ((const struct image *)parent)->hashes,
              ((const struct image *)parent)->blocks * HASH);
      image_free (parent);
    }
  }
  *writer = failed ? NULL : image;
  if (failed)
    image_free (image);
  return failed ? -1 : 0;
}

static int
plain_sources_clone (void *instance, const struct guardd_call *call, const struct guardd_image_spec *specs,
                     const char *const *paths, size_t n, void **writers)
{
  for (size_t i = 0; i < n; i++)
    if (clone_one (instance, call, &specs[i], paths[i], &writers[i]) != 0) {
      while (i-- > 0)
        image_free (writers[i]);
      return -1;
    }
  return 0;
}

/* The clone is made beside the guest's file, complete and durable, before it takes its name. */
static int
put_in_place (const struct pool *pool, const struct guardd_call *call, const char *path, int from,
              const struct stat *was)
{
  char beside[4096];
  if ((size_t)snprintf (beside, sizeof beside, "%s.guardd-new", path) >= sizeof beside)
    return fail (call, path, "", "its name is too long");
  if (unlink (beside) < 0 && errno != ENOENT)
    return fail (call, beside, "", "remove");
  int to = open (beside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  int failed = to < 0 || ioctl (to, FICLONE, from) < 0 || fchown (to, was->st_uid, was->st_gid) < 0
               || fchmod (to, was->st_mode & 07777) < 0 || fsync (to) < 0 || rename (beside, path) < 0
               || syncfs (pool->fd) < 0;
  if (failed)
    fail (call, path, "", "put a clone in its place");
  if (to >= 0)
    close (to);
  return failed ? -1 : 0;
}

static int
plain_source_restore (void *instance, const struct guardd_call *call, const char *path, const char *directory,
                      const char *disk, const char *evidence)
{
  const struct pool *pool = instance;
  struct stat was, kept;
  char keep[256];
  snprintf (keep, sizeof keep, "%s/%s.replaced", evidence, disk);
  if (stat (path, &was) < 0)
    return fail (call, path, "", "look at it");
  if (linkat (AT_FDCWD, path, pool->fd, keep, AT_SYMLINK_FOLLOW) < 0
      && (errno != EEXIST || fstatat (pool->fd, keep, &kept, AT_SYMLINK_NOFOLLOW) < 0))
    return fail (call, evidence, disk, "keep what is there");
  else if (fstatat (pool->fd, keep, &kept, AT_SYMLINK_NOFOLLOW) == 0 && kept.st_ino != was.st_ino)
    return 0; /* another file has its name: this was done before a crash */
  int from = open_part (pool, directory, disk, "raw", O_RDONLY);
  if (from < 0)
    return fail (call, directory, disk, "open");
  int result = put_in_place (pool, call, path, from, &was);
  close (from);
  return result;
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
  .source_probe = plain_source_probe,
  .sources_clone = plain_sources_clone,
  .source_restore = plain_source_restore,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_STORAGE,
  .name = "plain",
  .version = "1",
  .description = "an example: whole raw files, cloned where the filesystem can",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
