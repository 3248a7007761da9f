/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "chain.h"
#include "copy.h"
#include "maintain-disk.h"
#include "overlay.h"
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define WINDOW 1024u

static char *
aside_name (const ImageName *name, const char *suffix)
{
  return g_strdup_printf ("%s.%s.%s", name->snapshot, name->disk, suffix);
}

static int
aside_create (const MaintainDisk *disk, const struct guardd_call *call, const char *name)
{
  int fd = openat (disk->aside_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    fail (call, errno, "%s/%s: cannot make it", disk->aside_path, name);
  return fd;
}

/* --- folding: the base's index as it will be --- */

/* What the chain above its base says, by block. */
static int
view_collect (Chain *chain, const struct guardd_call *call, GArray *view)
{
  g_autofree Slot *slots = g_new (Slot, WINDOW);
  g_autofree bool *overlays = g_new (bool, chain->n_levels);
  for (guint i = 0; i < chain->n_levels; i++)
    overlays[i] = !index_facts (chain->levels[i].index)->base;
  for (guint64 at = 0;;) {
    if (chain_next (chain, call, overlays, at, &at) < 0)
      return -1;
    if (at == G_MAXUINT64)
      return 0;
    if (chain_lookup (chain, call, at, WINDOW, slots) < 0)
      return -1;
    for (guint i = 0; i < WINDOW; i++)
      if (slots[i].level != NULL && !index_facts (slots[i].level->index)->base)
        g_array_append_val (view, slots[i].entry);
    at += WINDOW;
  }
}

/* Entries of the base with those of the view in their place. */
static int
fold_merge (Index *base, const struct guardd_call *call, const GArray *view, GArray *entries)
{
  IndexWalk walk = { base, call, 0 };
  IndexEntry old;
  guint v = 0;
  int more;
  do {
    more = index_walk_next (&walk, &old);
    for (; v < view->len && (more <= 0 || g_array_index (view, IndexEntry, v).block <= old.block); v++) {
      IndexEntry entry = g_array_index (view, IndexEntry, v);
      if (more > 0 && entry.block == old.block)
        more = 2; /* the old one is replaced */
      if (entry.offset == 0)
        continue; /* zero: nothing there */
      entry.offset = entry.block * GUARDD_BLOCK_SIZE;
      g_array_append_val (entries, entry);
    }
    if (more == 1)
      g_array_append_val (entries, old);
  } while (more > 0);
  return more;
}

static int
build_fold (MaintainDisk *disk, const struct guardd_call *call, guint b, guint8 *hash)
{
  const ImageName *base = disk->bases->pdata[b];
  const ImageName *view_name = disk->names->pdata[g_array_index (disk->plan_bases, PlanBase, b).fold];
  g_autoptr (GArray) view = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  g_autoptr (Chain) chain = chain_open (disk->instance, call, view_name->directory, disk->disk);
  if (chain == NULL || view_collect (chain, call, view) < 0
      || fold_merge (chain->levels[chain->n_levels - 1].index, call, view, entries) < 0)
    return -1;
  const Index *old = chain->levels[chain->n_levels - 1].index;
  IndexFacts facts = { .size = chain->size, .base = true, .unread = index_facts (old)->unread };
  g_autofree char *index_name = aside_name (base, "idx");
  if (index_write (call, disk->aside_fd, disk->aside_path, index_name, &facts, entries, hash) < 0)
    return -1;
  if (disk->instance->indexes_only)
    return 0;
  g_autofree char *fold_name = aside_name (base, "fold");
  auto_fd fd = aside_create (disk, call, fold_name);
  if (fd < 0)
    return -1;
  size_t length = strlen (view_name->snapshot);
  if (write (fd, view_name->snapshot, length) != (ssize_t)length || fsync (fd) < 0)
    return fail (call, errno, "%s/%s: cannot write", disk->aside_path, fold_name);
  return 0;
}

/* --- unions --- */

/* The newest source that speaks of a block decides. */
typedef struct {
  IndexEntry entry;
  guint source;
} Candidate;

static int
compare_candidates (gconstpointer a, gconstpointer b)
{
  const Candidate *x = a, *y = b;
  if (x->entry.block != y->entry.block)
    return x->entry.block < y->entry.block ? -1 : 1;
  return x->source < y->source ? -1 : x->source > y->source;
}

static int
union_collect (Level *levels, guint n, const struct guardd_call *call, GArray *candidates)
{
  for (guint s = 0; s < n; s++) {
    IndexWalk walk = { levels[s].index, call, 0 };
    Candidate candidate = { .source = s };
    int more;
    while ((more = index_walk_next (&walk, &candidate.entry)) > 0)
      g_array_append_val (candidates, candidate);
    if (more < 0)
      return -1;
  }
  g_array_sort (candidates, compare_candidates);
  return 0;
}

/* Copies data behind the header's cluster, in order of blocks; entries get their new places. */
static int
union_copy (const Level *levels, const struct guardd_call *call, int fd, const char *path,
            const GArray *candidates, GArray *entries)
{
  CopyRun run = { .to = fd, .to_path = path };
  guint64 next = GUARDD_BLOCK_SIZE, last = G_MAXUINT64;
  for (guint i = 0; i < candidates->len; i++) {
    const Candidate *candidate = &g_array_index (candidates, Candidate, i);
    IndexEntry entry = candidate->entry;
    if (entry.block == last)
      continue;
    last = entry.block;
    if (entry.offset != 0) {
      if (copy_run_add (&run, call, levels[candidate->source].fd, entry.offset, next) < 0)
        return -1;
      entry.offset = next;
      next += GUARDD_BLOCK_SIZE;
    }
    g_array_append_val (entries, entry);
    if (i % 4096 == 0 && cancelled (call, i, candidates->len))
      return -1;
  }
  return copy_run_flush (&run, call);
}

/* The data is elsewhere: entries stay as they are. */
static int
union_entries (const MaintainDisk *disk, const struct guardd_call *call, const char *index_name,
               const IndexFacts *facts, const GArray *candidates, struct guardd_image_info *info)
{
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  guint64 n_data = 0, last = G_MAXUINT64;
  for (guint i = 0; i < candidates->len; i++) {
    const IndexEntry *entry = &g_array_index (candidates, Candidate, i).entry;
    if (entry->block == last)
      continue;
    last = entry->block;
    n_data += entry->offset != 0;
    g_array_append_val (entries, *entry);
  }
  info->stored_bytes = n_data * GUARDD_BLOCK_SIZE;
  info->changed_blocks = entries->len;
  return index_write (call, disk->aside_fd, disk->aside_path, index_name, facts, entries, info->index_hash);
}

static int
union_data (const MaintainDisk *disk, const struct guardd_call *call, const ImageName *name,
            const char *index_name, IndexFacts *facts, const Level *levels, const GArray *candidates,
            struct guardd_image_info *info)
{
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  g_autofree char *data_name = aside_name (name, disk->instance->data_suffix);
  auto_fd fd = aside_create (disk, call, data_name);
  if (fd < 0 || union_copy (levels, call, fd, disk->aside_path, candidates, entries) < 0)
    return -1;
  Seal seal = { disk->aside_fd, disk->aside_path, data_name, index_name, fd, facts, entries };
  return seal_overlay (&seal, call, info);
}

static int
build_union (MaintainDisk *disk, const struct guardd_call *call, guint i, IndexFacts *facts,
             struct guardd_image_info *info)
{
  const PlanNode *node = &g_array_index (disk->nodes, PlanNode, i);
  const ImageName *image = disk->names->pdata[i];
  guint n = node->sources->len;
  g_autofree Level *levels = g_new0 (Level, n);
  g_autoptr (GArray) candidates = g_array_new (FALSE, FALSE, sizeof (Candidate));
  g_autofree char *index_name = aside_name (image, "idx");
  int result = 0;
  for (guint s = 0; s < n; s++)
    levels[s].fd = -1;
  for (guint s = 0; result == 0 && s < n; s++) {
    const ImageName *name = disk->names->pdata[g_array_index (node->sources, gint, s)];
    result = level_open (disk->instance, call, name->directory, disk->disk, &levels[s]);
  }
  if (result == 0)
    result = union_collect (levels, n, call, candidates);
  if (result == 0)
    result = disk->instance->indexes_only
                 ? union_entries (disk, call, index_name, facts, candidates, info)
                 : union_data (disk, call, image, index_name, facts, levels, candidates, info);
  for (guint s = 0; s < n; s++)
    level_close (&levels[s]);
  return result;
}

/* The data stays; only the first page and the index become new. */
static int
build_reparent (MaintainDisk *disk, const struct guardd_call *call, guint i, const IndexFacts *facts,
                struct guardd_image_info *info)
{
  const ImageName *name = disk->names->pdata[i];
  g_autofree char *head_name = aside_name (name, "head"), *index_name = aside_name (name, "idx");
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (IndexEntry));
  Level level;
  IndexEntry entry;
  guint64 n_data = 0, l2_tables = 0;
  int more = -1, result = level_open (disk->instance, call, name->directory, disk->disk, &level);
  if (result == 0)
    result = seal_count (level.index, call, &n_data, &l2_tables);
  if (result == 0) {
    IndexWalk walk = { level.index, call, 0 };
    while ((more = index_walk_next (&walk, &entry)) > 0)
      g_array_append_val (entries, entry);
    result = more;
  }
  level_close (&level);
  if (result < 0
      || index_write (call, disk->aside_fd, disk->aside_path, index_name, facts, entries, info->index_hash)
             < 0)
    return -1;
  info->stored_bytes = n_data * GUARDD_BLOCK_SIZE;
  info->changed_blocks = entries->len;
  if (disk->instance->indexes_only)
    return 0;
  OverlayLayout layout;
  guint8 page[OVERLAY_PAGE];
  overlay_layout (&layout, facts->size, n_data, l2_tables);
  overlay_header (&layout, facts->backing, page);
  auto_fd fd = aside_create (disk, call, head_name);
  if (fd < 0)
    return -1;
  if (write (fd, page, sizeof page) != (ssize_t)sizeof page || fsync (fd) < 0)
    return fail (call, errno, "%s/%s: cannot write", disk->aside_path, head_name);
  return 0;
}

/* --- one image --- */

/* hashes: of every base that is folded into, as its index will be. */
static int
facts_make (const MaintainDisk *disk, const struct guardd_call *call, guint i,
            guint8 (*hashes)[GUARDD_HASH_SIZE], IndexFacts *facts)
{
  const PlanNode *node = &g_array_index (disk->nodes, PlanNode, i);
  *facts = g_array_index (disk->facts, IndexFacts, i);
  facts->level = node->new_level;
  memset (facts->backing, 0, sizeof facts->backing);
  memset (facts->base_hash, 0, sizeof facts->base_hash);
  const ImageName *below
      = node->new_parent >= 0 ? disk->names->pdata[node->new_parent] : disk->bases->pdata[node->base];
  g_autofree char *backing = image_name_as_backing (below);
  g_strlcpy (facts->backing, backing, sizeof facts->backing);
  if (node->new_parent >= 0)
    return 0;
  if (g_array_index (disk->plan_bases, PlanBase, node->base).fold >= 0) {
    memcpy (facts->base_hash, hashes[node->base], GUARDD_HASH_SIZE);
    return 0;
  }
  Level level;
  int result = level_open (disk->instance, call, below->directory, disk->disk, &level);
  if (result == 0)
    index_hash (level.index, facts->base_hash);
  level_close (&level);
  return result;
}

static int
build_node (MaintainDisk *disk, const struct guardd_call *call, guint i, guint8 (*hashes)[GUARDD_HASH_SIZE])
{
  static const char *const actions[] = { "", "fold", "merge", "consolidate" };
  const PlanNode *node = &g_array_index (disk->nodes, PlanNode, i);
  const ImageName *name = disk->names->pdata[i];
  struct guardd_change change = { .info.size_of = sizeof change.info, .info.depth = node->depth };
  IndexFacts facts;
  if (facts_make (disk, call, i, hashes, &facts) < 0)
    return -1;
  int result = node->action == PLAN_REPARENT ? build_reparent (disk, call, i, &facts, &change.info)
                                             : build_union (disk, call, i, &facts, &change.info);
  if (result < 0)
    return -1;
  g_strlcpy (change.directory, name->directory, sizeof change.directory);
  g_strlcpy (change.disk, name->disk, sizeof change.disk);
  g_strlcpy (change.action, actions[node->action], sizeof change.action);
  g_array_append_val (disk->changes, change);
  return 0;
}

int
maintain_disk_build (MaintainDisk *disk, const struct guardd_call *call)
{
  g_autofree guint8 (*hashes)[GUARDD_HASH_SIZE] = g_malloc0 ((disk->bases->len + 1) * GUARDD_HASH_SIZE);
  for (guint b = 0; b < disk->bases->len; b++)
    if (g_array_index (disk->plan_bases, PlanBase, b).fold >= 0 && build_fold (disk, call, b, hashes[b]) < 0)
      return -1;
  for (guint i = 0; i < disk->nodes->len; i++) {
    const PlanNode *node = &g_array_index (disk->nodes, PlanNode, i);
    if (!node->remove && node->action != PLAN_KEEP && build_node (disk, call, i, hashes) < 0)
      return -1;
  }
  return 0;
}
