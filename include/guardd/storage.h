/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guardd/storage.h: the contract of a storage plugin.
 *
 * A storage plugin keeps disk images: the content of one disk of one guest at
 * one instant.  guardd's core keeps everything else (which snapshots there are,
 * what they are, who may delete them).  An image is named by the directory of
 * its snapshot, relative to the pool ("<domain uuid>/00000042"), and the disk's
 * target name in the guest ("vda").
 *
 * Blocks are GUARDD_BLOCK_SIZE bytes; block n covers the bytes from
 * n * GUARDD_BLOCK_SIZE.  The last block of a disk whose size is no multiple of
 * it is padded with zero bytes, for content and hash alike.
 *
 * Concurrency: guardd calls different writers and readers of one instance from
 * different threads at the same time; one writer or reader from one thread at a
 * time.  For one domain, maintain_prepare, maintain_commit and recover run one
 * at a time, and no image_open of that domain runs during maintain_commit,
 * image_remove or recover.  Readers opened before stay valid and unchanged
 * until image_release, whatever maintenance does meanwhile.
 *
 * A storage that can clone a guest's own disk at once, whatever its size, has
 * the operations of the last section too.  guardd then reads nothing while it
 * takes a snapshot.  What is at the path of such a disk is called a source.
 */
#ifndef GUARDD_STORAGE_H
#define GUARDD_STORAGE_H

#include <guardd/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GUARDD_BLOCK_SIZE 65536u
#define GUARDD_HASH_SIZE 32u /* SHA-256 */

enum guardd_block_kind {
  GUARDD_BLOCK_ZERO = 0, /* reads as zero bytes; nothing stored */
  GUARDD_BLOCK_DATA = 1, /* stored; hash is valid */
};

struct guardd_block {
  uint64_t number;
  enum guardd_block_kind kind;
  uint8_t
      hash[GUARDD_HASH_SIZE]; /* SHA-256 of the padded block; zero for GUARDD_BLOCK_ZERO.  Of an image that
                               * was cloned, all zero where the storage has not read the block: not known */
};

/* What to create.  With parent NULL the image stands alone (a baseline: every
 * block not written is zero); else blocks not written are the parent's. */
struct guardd_image_spec {
  uint32_t size_of;      /* sizeof (struct guardd_image_spec) */
  const char *directory; /* where to write: an existing directory, relative to the pool */
  const char *name;   /* the name `directory` will have once the core has renamed it, relative to the pool */
  const char *disk;   /* "vda"; [A-Za-z0-9_-] only */
  const char *parent; /* directory of the parent's snapshot, same domain; NULL: baseline */
  uint64_t size;      /* bytes; >= the parent's */
};

/* What an image became. */
struct guardd_image_info {
  uint32_t size_of;
  uint64_t stored_bytes;   /* bytes of data blocks stored for this image alone */
  uint64_t changed_blocks; /* blocks written or zeroed over the parent (or the baseline) */
  uint64_t depth;          /* images to open to read this one; 0: not counted */
  /* SHA-256 over everything that tells what the image's own blocks are.  Of an image that was cloned and not
   * read: over what tells this clone from any other (its identity, the instant of its making), so that one
   * put in its place, or written to, is noticed as far as the storage can see it. */
  uint8_t index_hash[GUARDD_HASH_SIZE];
};

/* What a source is. */
struct guardd_source_info {
  uint32_t size_of;
  uint64_t size; /* bytes */
  /* Nonzero: a clone of this one alone, while it is written to, is what a power failure would have left.
   * Zero: nobody may write to it meanwhile.  Several are always cloned while nobody writes to any of them. */
  int consistent_alone;
  /* Nonzero: by this path source_restore could not put another in its place (a device's number, say, where a
   * clone takes the name): a rollback writes to it. */
  int stays;
};

/* Where the images' content lies, if that is not the filesystem of the pool's directory. */
struct guardd_space {
  uint32_t size_of;
  uint64_t size_bytes; /* what guardd may fill of it */
  uint64_t free_bytes; /* of that; 0: nothing may be stored */
  int prune;           /* nonzero: it is time to remove more than the retention says */
};

/* One snapshot directory of a domain, for maintenance; oldest first. */
struct guardd_member {
  const char *directory;    /* relative to the pool */
  const char *const *disks; /* NULL-terminated */
  int remove;               /* nonzero: its images are to go */
};

/* An image that stays, whose own blocks (hence hash) maintenance changed. */
struct guardd_change {
  char directory[96];
  char disk[32];
  char action[16]; /* "merge", "fold" or "consolidate" */
  struct guardd_image_info info;
};

struct guardd_storage_ops {
  uint32_t size; /* sizeof (struct guardd_storage_ops) */

  /* Open the pool directory `path` (absolute).  *instance is set on success. */
  int (*open) (const struct guardd_call *call, const char *path, const struct guardd_param *params,
               size_t n_params, void **instance);
  void (*close) (void *instance);

  /* --- writing one image, any order of blocks, each block at most once --- */
  int (*image_create) (void *instance, const struct guardd_call *call, const struct guardd_image_spec *spec,
                       void **writer);
  /* Blocks first … first + count - 1.  data: count times GUARDD_BLOCK_SIZE bytes, aligned to 4096; hashes:
   * the SHA-256 of each, one after the other. */
  int (*image_write) (void *writer, const struct guardd_call *call, uint64_t first, uint64_t count,
                      const void *data, const uint8_t *hashes);
  int (*image_zero) (void *writer, const struct guardd_call *call, uint64_t first, uint64_t count);
  /* Makes the image durable, immutable and readable; the writer is gone, also on failure. */
  int (*image_seal) (void *writer, const struct guardd_call *call, struct guardd_image_info *info);
  /* Throws everything written away; the writer is gone. */
  void (*image_abort) (void *writer);

  /* --- reading --- */
  int (*image_open) (void *instance, const struct guardd_call *call, const char *directory, const char *disk,
                     void **reader);
  void (*image_release) (void *reader);
  uint64_t (*image_size) (void *reader); /* bytes */
  /* len bytes from offset; offset + len <= size. No alignment asked. */
  int (*image_read) (void *reader, const struct guardd_call *call, uint64_t offset, void *data, size_t len);
  /* What blocks first … first + count - 1 are, as seen through all parents. */
  int (*image_blocks) (void *reader, const struct guardd_call *call, uint64_t first, uint64_t count,
                       struct guardd_block *blocks);
  /* The next run of blocks that are not zero at or after `from`: *first and
   * *count (>= 1).  *count = 0: none left.  Lets sparse images be walked fast. */
  int (*image_next_data) (void *reader, const struct guardd_call *call, uint64_t from, uint64_t *first,
                          uint64_t *count);
  /* Calls back, ascending, for every block whose content differs between two
   * readers of the same domain and disk; block as it is in `to`. Cost follows what changed between
   * them, not the disk's size, where both stand in one line of descent.  A block too many does no harm; its
   * kind must be right, if need be by reading it: detectors count what became zero.  A nonzero result of the
   * callback stops and is returned. */
  int (*image_diff) (void *from, void *to, const struct guardd_call *call,
                     int (*each) (void *opaque, const struct guardd_block *block), void *opaque);

  /* Checks all that is stored for this image alone (not its parents): the index
   * against index_hash, every stored block against its hash, the file's
   * structure against the index.  Fails on the first difference, naming the
   * file and place.  Of a clone that was never read: that it is the one that was made. */
  int (*image_verify) (void *instance, const struct guardd_call *call, const char *directory,
                       const char *disk, const uint8_t *index_hash);

  /* --- maintenance: remove images and keep depth bounded --- */
  /* Prepares aside, without touching any image, what is needed so that the
   * members with `remove` can go and no image gets deeper than the plugin
   * allows.  members: every sealed snapshot of the domain, oldest first.
   * changes: *n_changes entries, allocated by the plugin with malloc(), freed by the caller
   * with free(); *n_changes = 0 and nothing aside when there is nothing to do. */
  int (*maintain_prepare) (void *instance, const struct guardd_call *call, const char *domain,
                           const struct guardd_member *members, size_t n_members,
                           struct guardd_change **changes, size_t *n_changes);
  /* Puts what was prepared in place.  Can be repeated after a crash at any
   * point until it has returned 0.  Afterwards no image depends on a member with `remove`. */
  int (*maintain_commit) (void *instance, const struct guardd_call *call, const char *domain,
                          const struct guardd_member *members, size_t n_members);
  /* Forgets what was prepared and not committed.  Repeatable. */
  int (*maintain_abort) (void *instance, const struct guardd_call *call, const char *domain);
  /* Removes the images of one snapshot directory on which nothing depends any
   * more (after maintain_commit, or an unsealed draft).  Repeatable. */
  int (*image_remove) (void *instance, const struct guardd_call *call, const char *directory,
                       const char *disk);
  /* At start, before anything else of this domain: removes what belongs to no
   * member (unfinished baselines and the like).  If that fails, again later,
   * when no image of this domain is being written. */
  int (*recover) (void *instance, const struct guardd_call *call, const char *domain,
                  const struct guardd_member *members, size_t n_members);

  /* --- optional, all or none (NULL, or `size` ends before them): cloning the guests' own disks --- */
  /* Can the disk at `path` (absolute; "raw", "qcow2", …) be cloned into an image of this pool?  Writes
   * nothing and is quick.  Asked for each source before each sources_clone, while the guest still runs: what
   * has to be found out is found out here.  info is set on success; the error says why not, and is shown to
   * the operator as it stands. */
  int (*source_probe) (void *instance, const struct guardd_call *call, const char *path, const char *format,
                       struct guardd_source_info *info);
  /* Clones n sources into images, all of the same instant, or none.  guardd may be holding the guest for it:
   * it takes no longer than must be, and what can be done later is left to image_seal.  specs[i].size is what
   * source_probe said.  writers: n of them, not to be written to, each to be ended by image_seal or
   * image_abort; image_seal's changed_blocks are those that differ from the parent, or may. */
  int (*sources_clone) (void *instance, const struct guardd_call *call, const struct guardd_image_spec *specs,
                        const char *const *paths, size_t n, void **writers);
  /* Nobody has the source open.  Puts a new, writable clone of the image directory/disk in its place, under
   * its path, owned and reached as the source was; the image itself stays as it is.  What was there is kept,
   * whole, with the image evidence/disk, and goes with that (image_remove).  After a crash it is called again
   * with the same words, and does what is left to do. */
  int (*source_restore) (void *instance, const struct guardd_call *call, const char *path,
                         const char *directory, const char *disk, const char *evidence);

  /* --- optional: for a storage that keeps content elsewhere --- */
  /* Asked before each snapshot and after.  space is set on success. */
  int (*space) (void *instance, const struct guardd_call *call, struct guardd_space *space);
};

/* What a plugin has at least: everything before the optional part. */
#define GUARDD_STORAGE_OPS_MIN offsetof (struct guardd_storage_ops, source_probe)
/* Of the optional part: whether `ops` has it. */
#define GUARDD_STORAGE_HAS(ops, member)                                                                      \
  ((ops)->size >= offsetof (struct guardd_storage_ops, member) + sizeof (ops)->member && (ops)->member)

#ifdef __cplusplus
}
#endif
#endif
