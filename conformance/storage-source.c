/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The optional part of a storage: cloning disks of guests.  What is given as a source is overwritten. */
#include "storage-source.h"

#include "source-disk.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <openssl/sha.h>
#include <string.h>

#define DOMAIN "66666666-7777-8888-9999-000000000000"
#define SOURCES_MAX 4u
#define SIZE_MAX_CHECKED ((guint64)256 << 20)

typedef struct {
  const struct guardd_storage_ops *ops;
  void *instance;
  const char *pool;
  Source sources[SOURCES_MAX];
  size_t n;
  struct guardd_image_info infos[3][SOURCES_MAX];
  GRand *random;
} Sources;

/* --- snapshots --- */

static char *
directory_name (guint number, bool draft)
{
  return g_strdup_printf (DOMAIN "/%s%08u", draft ? ".new-" : "", number);
}

/* In a draft's directory.  writers: all NULL when it failed. */
static bool
clone_all (Sources *all, Host *host, guint number, guint parent, const char *const *paths, void **writers)
{
  struct guardd_image_spec specs[SOURCES_MAX];
  g_autofree char *draft = directory_name (number, true), *name = directory_name (number, false);
  g_autofree char *base = directory_name (parent, false), *path = g_build_filename (all->pool, draft, NULL);
  for (size_t i = 0; i < all->n; i++)
    specs[i] = (struct guardd_image_spec){ .size_of = sizeof specs[i],
                                           .directory = draft,
                                           .name = name,
                                           .disk = all->sources[i].disk,
                                           .parent = parent ? base : NULL,
                                           .size = all->sources[i].size };
  return g_mkdir_with_parents (path, 0700) == 0
         && all->ops->sources_clone (all->instance, &host->call, specs, paths, all->n, writers) == 0;
}

static void
list_paths (const Sources *all, const char **paths)
{
  for (size_t i = 0; i < all->n; i++)
    paths[i] = all->sources[i].path;
}

/* Sealed after the sources have changed again: a clone is of the instant of its making. */
static bool
add_snapshot (Sources *all, guint number, guint parent)
{
  Host host;
  const char *paths[SOURCES_MAX];
  void *writers[SOURCES_MAX] = { NULL };
  g_autofree char *draft = directory_name (number, true), *name = directory_name (number, false);
  g_autofree char *from = g_build_filename (all->pool, draft, NULL),
                  *to = g_build_filename (all->pool, name, NULL);
  host_begin (&host);
  list_paths (all, paths);
  bool ok = true;
  for (size_t i = 0; i < all->n; i++) {
    Source *source = &all->sources[i];
    source_change (source, all->random, number == 1 ? 40 : 6);
    ok = source_store (source) && ok;
    source->then[number] = g_memdup2 (source->now, source->size);
  }
  check (ok, "sources can be written to");
  ok = clone_all (all, &host, number, parent, paths, writers);
  check (ok, "sources_clone makes %zu images: %s", all->n, host.words ? host.words : "");
  for (size_t i = 0; ok && i < all->n; i++) {
    source_change (&all->sources[i], all->random, 6);
    source_store (&all->sources[i]);
  }
  for (size_t i = 0; ok && i < all->n; i++) {
    all->infos[number][i].size_of = sizeof all->infos[number][i];
    ok = all->ops->image_seal (writers[i], &host.call, &all->infos[number][i]) == 0;
  }
  check (ok && g_rename (from, to) == 0, "clones can be sealed: %s", host.words ? host.words : "");
  host_clear (&host);
  return ok;
}

/* --- what they hold --- */

static void *
image_open (const Sources *all, Host *host, guint number, const Source *source)
{
  void *reader = NULL;
  g_autofree char *name = directory_name (number, false);
  return all->ops->image_open (all->instance, &host->call, name, source->disk, &reader) == 0 ? reader : NULL;
}

static bool
block_is_zero (const Source *source, const guint8 *content, guint64 block)
{
  const guint8 *data = content + block * BLOCK;
  gsize length = MIN (BLOCK, source->size - block * BLOCK);
  return data[0] == 0 && memcmp (data, data + 1, length - 1) == 0;
}

static bool
block_fits (const Source *source, const guint8 *content, const struct guardd_block *block)
{
  static const guint8 none[GUARDD_HASH_SIZE];
  guint8 hash[GUARDD_HASH_SIZE];
  g_autofree guint8 *data = g_malloc0 (BLOCK);
  if (block->kind == GUARDD_BLOCK_ZERO)
    return block_is_zero (source, content, block->number);
  memcpy (data, content + block->number * BLOCK, MIN (BLOCK, source->size - block->number * BLOCK));
  return memcmp (block->hash, none, sizeof none) == 0
         || memcmp (SHA256 (data, BLOCK, hash), block->hash, sizeof hash) == 0;
}

static const char *
compare_image (const Sources *all, Host *host, const Source *source, guint number)
{
  const guint8 *content = source->then[number];
  guint64 n = (source->size + BLOCK - 1) / BLOCK;
  g_autofree guint8 *data = g_malloc (source->size);
  g_autofree struct guardd_block *blocks = g_new0 (struct guardd_block, n);
  void *reader = image_open (all, host, number, source);
  const char *wrong = NULL;
  if (reader == NULL)
    return "image_open failed";
  if (all->ops->image_size (reader) != source->size)
    wrong = "image_size is another";
  else if (all->ops->image_read (reader, &host->call, 0, data, source->size) != 0
           || memcmp (data, content, source->size) != 0)
    wrong = "image_read is not what the source held";
  else if (all->ops->image_blocks (reader, &host->call, 0, n, blocks) != 0)
    wrong = "image_blocks failed";
  for (guint64 i = 0; wrong == NULL && i < n; i++)
    if (blocks[i].number != i || !block_fits (source, content, &blocks[i]))
      wrong = "image_blocks says what is not so";
  all->ops->image_release (reader);
  return wrong;
}

static void
check_content (const Sources *all, const char *when)
{
  const char *wrong = NULL;
  Host host;
  host_begin (&host);
  for (guint number = 1; number <= 2; number++)
    for (size_t i = 0; wrong == NULL && i < all->n; i++)
      if (all->sources[i].then[number])
        wrong = compare_image (all, &host, &all->sources[i], number);
  check (wrong == NULL, "%s, clones hold what their sources held%s%s", when, wrong ? ": " : "",
         wrong ? wrong : "");
  host_clear (&host);
}

typedef struct {
  const Source *source;
  guint8 *seen;
  guint64 next;
  bool wrong;
} Seen;

static int
see_block (void *opaque, const struct guardd_block *block)
{
  Seen *seen = opaque;
  const Source *source = seen->source;
  seen->wrong
      = seen->wrong || block->number < seen->next || block->number * BLOCK >= source->size
        || !block_fits (source, source->then[2], block)
        || (block->kind == GUARDD_BLOCK_DATA && block_is_zero (source, source->then[2], block->number));
  if (seen->wrong)
    return 1;
  seen->next = block->number + 1;
  seen->seen[block->number] = 1;
  return 0;
}

static void
check_diff (const Sources *all)
{
  bool ok = true;
  Host host;
  host_begin (&host);
  for (size_t i = 0; ok && i < all->n; i++) {
    const Source *source = &all->sources[i];
    guint64 n = (source->size + BLOCK - 1) / BLOCK, differing = 0;
    g_autofree guint8 *flags = g_malloc0 (n);
    Seen seen = { .source = source, .seen = flags };
    void *from = image_open (all, &host, 1, source), *to = image_open (all, &host, 2, source);
    ok = from && to && all->ops->image_diff (from, to, &host.call, see_block, &seen) == 0 && !seen.wrong;
    for (guint64 block = 0; ok && block < n; block++) {
      gsize length = MIN (BLOCK, source->size - block * BLOCK);
      bool differs = memcmp (source->then[1] + block * BLOCK, source->then[2] + block * BLOCK, length) != 0;
      differing += differs;
      ok = flags[block] || !differs;
    }
    ok = ok && all->infos[2][i].changed_blocks >= differing;
    if (from)
      all->ops->image_release (from);
    if (to)
      all->ops->image_release (to);
  }
  check (ok,
         "image_diff finds what differs between two clones, tells what became zero, and image_seal counted "
         "it: %s",
         host.words ? host.words : "");
  host_clear (&host);
}

static void
check_identities (const Sources *all)
{
  bool kept = true, wrong = true;
  Host host;
  host_begin (&host);
  for (guint number = 1; number <= 2; number++)
    for (size_t i = 0; i < all->n; i++) {
      g_autofree char *name = directory_name (number, false);
      guint8 other[GUARDD_HASH_SIZE];
      memcpy (other, all->infos[3 - number][i].index_hash, sizeof other);
      kept = kept
             && all->ops->image_verify (all->instance, &host.call, name, all->sources[i].disk,
                                        all->infos[number][i].index_hash)
                    == 0;
      host_clear (&host);
      wrong = wrong
              && all->ops->image_verify (all->instance, &host.call, name, all->sources[i].disk, other) != 0;
    }
  check (kept && wrong, "image_verify knows a clone, and does not take it for another");
  host_clear (&host);
}

/* --- what goes wrong --- */

static void
check_refusals (Sources *all)
{
  struct guardd_source_info info = { .size_of = sizeof info };
  void *writers[SOURCES_MAX] = { NULL }, *reader = NULL;
  const char *paths[SOURCES_MAX];
  g_autofree char *draft = directory_name (3, true);
  Host host;
  host_begin (&host);
  check (all->ops->source_probe (all->instance, &host.call, "/nowhere/disk", "raw", &info) != 0,
         "source_probe refuses what is not there");
  check_words (&host, "source_probe");
  host_clear (&host);
  if (all->n == 0)
    return;
  list_paths (all, paths);
  if (check (clone_all (all, &host, 3, 2, paths, writers), "sources can be cloned again"))
    for (size_t i = 0; i < all->n; i++)
      all->ops->image_abort (writers[i]);
  check (all->ops->image_open (all->instance, &host.call, draft, all->sources[0].disk, &reader) != 0,
         "a clone that was given up cannot be opened");
  bool removed = true;
  for (size_t i = 0; i < 2 * all->n; i++)
    removed
        = removed
          && all->ops->image_remove (all->instance, &host.call, draft, all->sources[i % all->n].disk) == 0;
  check (removed, "and can be removed, twice");
  host_clear (&host);
  paths[all->n - 1] = "/nowhere/disk";
  check (!clone_all (all, &host, 3, 2, paths, writers),
         "sources_clone refuses when one of them is not there");
  check_words (&host, "sources_clone");
  host_clear (&host);
  check (all->ops->image_open (all->instance, &host.call, draft, all->sources[0].disk, &reader) != 0,
         "then none can be opened");
  for (size_t i = 0; i < all->n; i++)
    all->ops->image_remove (all->instance, &host.call, draft, all->sources[i].disk);
  host_clear (&host);
}

/* --- rollback --- */

static void
check_restore (Sources *all)
{
  Source *source = &all->sources[0];
  g_autofree char *first = directory_name (1, false), *evidence = directory_name (2, false);
  Host host;
  host_begin (&host);
  for (guint i = 0; i < 2; i++) {
    bool ok
        = all->ops->source_restore (all->instance, &host.call, source->path, first, source->disk, evidence)
          == 0;
    check (ok, "source_restore puts a clone in the source's place%s: %s", i ? ", and can be repeated" : "",
           host.words ? host.words : "");
  }
  check (source_holds (source, source->then[1]), "the source holds what the snapshot has");
  memcpy (source->now, source->then[1], source->size);
  source_change (source, all->random, 10);
  check (source_store (source) && source_holds (source, source->now), "it can be written to");
  check_content (all, "after a rollback");
  host_clear (&host);
}

static void
remove_all (Sources *all)
{
  bool ok = true;
  Host host;
  host_begin (&host);
  for (guint number = 2; number > 0; number--)
    for (size_t i = 0; i < all->n; i++) {
      g_autofree char *name = directory_name (number, false);
      ok = ok && all->ops->image_remove (all->instance, &host.call, name, all->sources[i].disk) == 0;
    }
  ok = ok && all->ops->recover (all->instance, &host.call, DOMAIN, NULL, 0) == 0;
  check (ok, "clones can be removed, newest first: %s", host.words ? host.words : "");
  for (size_t i = 0; ok && i < all->n; i++)
    ok = source_holds (&all->sources[i], all->sources[i].now);
  check (ok, "their sources are as they were");
  host_clear (&host);
}

/* --- */

static bool
take_source (Sources *all, const char *path)
{
  Source *source = &all->sources[all->n];
  struct guardd_source_info info = { .size_of = sizeof info };
  Host host;
  host_begin (&host);
  bool ok = all->ops->source_probe (all->instance, &host.call, path, "raw", &info) == 0;
  check (ok, "source_probe accepts %s: %s", path, host.words ? host.words : "");
  host_clear (&host);
  ok = ok
       && check (info.size >= 8 * BLOCK && info.size <= SIZE_MAX_CHECKED, "%s has 512 KiB to 256 MiB", path);
  if (!ok)
    return false;
  *source = (Source){ .path = path, .size = info.size, .now = g_malloc0 (info.size) };
  g_snprintf (source->disk, sizeof source->disk, "vd%c", (char)('a' + all->n));
  all->n++;
  return true;
}

void
check_sources (const struct guardd_storage_ops *ops, void *instance, const char *pool,
               const char *const *sources)
{
  Sources all = { .ops = ops, .instance = instance, .pool = pool, .random = g_rand_new_with_seed (2) };
  bool ok = true;
  for (; ok && *sources && all.n < SOURCES_MAX; sources++)
    ok = take_source (&all, *sources);
  if (all.n == 0) {
    check_refusals (&all);
    g_print ("note: it can clone disks of guests; give --source PATH to see it done (PATH is overwritten)\n");
  } else if (ok && add_snapshot (&all, 1, 0) && add_snapshot (&all, 2, 1)) {
    check_content (&all, "after the sources have changed");
    check_diff (&all);
    check_identities (&all);
    check_refusals (&all);
    check_restore (&all);
    remove_all (&all);
  }
  for (size_t i = 0; i < all.n; i++) {
    g_free (all.sources[i].now);
    g_free (all.sources[i].then[1]);
    g_free (all.sources[i].then[2]);
  }
  g_rand_free (all.random);
}
