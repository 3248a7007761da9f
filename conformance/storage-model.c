/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage-model.h"

#include <glib/gstdio.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK GUARDD_BLOCK_SIZE

guint64
model_blocks (const ModelImage *image)
{
  return (image->size + BLOCK - 1) / BLOCK;
}

void
model_block (const ModelImage *image, guint64 block, guint8 *data)
{
  guint32 inside = image->filled[block];
  memset (data, image->fill[block], inside);
  memset (data + inside, 0, BLOCK - inside);
}

void
model_hash (const ModelImage *image, guint64 block, guint8 *hash)
{
  g_autofree guint8 *data = g_malloc (BLOCK);
  model_block (image, block, data);
  SHA256 (data, BLOCK, hash);
}

char *
model_directory (const Model *model, const char *name)
{
  return g_build_filename (model->pool, MODEL_DOMAIN, name, NULL);
}

static bool
write_block (Model *model, void *writer, ModelImage *image, guint64 block, Host *host)
{
  guint8 hash[GUARDD_HASH_SIZE];
  void *data = NULL;
  if (image->fill[block] == 0)
    return model->ops->image_zero (writer, &host->call, block, 1) == 0;
  if (posix_memalign (&data, 4096, BLOCK) != 0)
    return false;
  model_block (image, block, data);
  SHA256 (data, BLOCK, hash);
  bool ok = model->ops->image_write (writer, &host->call, block, 1, data, hash) == 0;
  free (data);
  return ok;
}

/* Each block at most once, in any order. */
static bool
write_some (Model *model, void *writer, ModelImage *image, guint writes, Host *host)
{
  bool done[MODEL_BLOCKS] = { false };
  for (guint i = 0; i < writes; i++) {
    guint64 block = g_rand_int (model->random) % model_blocks (image);
    if (done[block])
      continue;
    done[block] = true;
    image->filled[block] = (guint32)MIN (BLOCK, image->size - block * BLOCK);
    image->fill[block]
        = g_rand_int_range (model->random, 0, 5) ? (guint8)g_rand_int_range (model->random, 1, 256) : 0;
    if (!write_block (model, writer, image, block, host))
      return false;
  }
  return true;
}

/* Written in a draft's directory, renamed once it is sealed: as guardd does. */
static bool
write_image (Model *model, ModelImage *image, const ModelImage *parent, guint writes, Host *host)
{
  g_autofree char *name = g_strdup_printf ("%08u", image->number);
  g_autofree char *draft = g_strdup_printf (".new-%s", name);
  g_autofree char *draft_directory = g_strdup_printf (MODEL_DOMAIN "/%s", draft);
  g_autofree char *draft_path = model_directory (model, draft), *path = model_directory (model, name);
  void *writer = NULL;
  if (g_mkdir_with_parents (draft_path, 0700) != 0)
    return false;
  struct guardd_image_spec spec = { .size_of = sizeof spec,
                                    .directory = draft_directory,
                                    .name = image->directory,
                                    .disk = MODEL_DISK,
                                    .parent = parent ? parent->directory : NULL,
                                    .size = image->size };
  if (model->ops->image_create (model->instance, &host->call, &spec, &writer) != 0)
    return false;
  if (!write_some (model, writer, image, writes, host)) {
    model->ops->image_abort (writer);
    return false;
  }
  image->info.size_of = sizeof image->info;
  return model->ops->image_seal (writer, &host->call, &image->info) == 0 && g_rename (draft_path, path) == 0;
}

ModelImage *
model_add (Model *model, const ModelImage *parent, guint64 size, guint writes)
{
  Host host;
  host_begin (&host);
  ModelImage *image = g_new0 (ModelImage, 1);
  image->number = model->images->len + 1;
  image->size = size;
  image->directory = g_strdup_printf (MODEL_DOMAIN "/%08u", image->number);
  if (parent) {
    memcpy (image->fill, parent->fill, sizeof image->fill);
    memcpy (image->filled, parent->filled, sizeof image->filled);
  }
  bool ok = write_image (model, image, parent, writes, &host);
  g_ptr_array_add (model->images, image);
  if (!ok)
    check (false, "an image can be written: %s", host.words ? host.words : "no reason was given");
  host_clear (&host);
  return ok ? image : NULL;
}

/* --- reading --- */

static char *
compare_blocks (const Model *model, const ModelImage *image, void *reader, Host *host)
{
  guint64 n = model_blocks (image);
  g_autofree struct guardd_block *blocks = g_new0 (struct guardd_block, n);
  if (model->ops->image_blocks (reader, &host->call, 0, n, blocks) != 0)
    return g_strdup_printf ("image_blocks: %s", host->words);
  for (guint64 i = 0; i < n; i++) {
    guint8 hash[GUARDD_HASH_SIZE];
    model_hash (image, i, hash);
    bool zero = image->fill[i] == 0;
    if (blocks[i].number != i || (blocks[i].kind == GUARDD_BLOCK_ZERO) != zero
        || (!zero && memcmp (blocks[i].hash, hash, sizeof hash) != 0))
      return g_strdup_printf ("image_blocks: block %" G_GUINT64_FORMAT " is not what was written", i);
  }
  return NULL;
}

static char *
compare_walk (const Model *model, const ModelImage *image, void *reader, Host *host)
{
  bool seen[MODEL_BLOCKS] = { false };
  for (guint64 from = 0;;) {
    guint64 first = 0, count = 0;
    if (model->ops->image_next_data (reader, &host->call, from, &first, &count) != 0)
      return g_strdup_printf ("image_next_data: %s", host->words);
    if (count == 0)
      break;
    if (first < from || first + count > model_blocks (image))
      return g_strdup ("image_next_data: a run lies outside");
    for (guint64 i = first; i < first + count; i++)
      seen[i] = true;
    from = first + count;
  }
  for (guint64 i = 0; i < model_blocks (image); i++)
    if (seen[i] != (image->fill[i] != 0))
      return g_strdup_printf ("image_next_data: block %" G_GUINT64_FORMAT " is %s", i,
                              seen[i] ? "zero" : "left out");
  return NULL;
}

/* At offsets and lengths that are no block's. */
static char *
compare_content (const Model *model, const ModelImage *image, void *reader, Host *host)
{
  g_autofree guint8 *all = g_malloc (model_blocks (image) * BLOCK), *read = g_malloc (image->size);
  for (guint64 i = 0; i < model_blocks (image); i++)
    model_block (image, i, all + i * BLOCK);
  for (guint64 at = 0, step = 1; at < image->size; at += step) {
    guint64 some = 1 + (guint64)g_rand_int_range (model->random, 0, 5 * BLOCK);
    step = MIN (image->size - at, some);
    if (model->ops->image_read (reader, &host->call, at, read, step) != 0)
      return g_strdup_printf ("image_read: %s", host->words);
    if (memcmp (all + at, read, step) != 0)
      return g_strdup_printf ("image_read: %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
                              " are not what was written",
                              step, at);
  }
  return NULL;
}

char *
model_compare_reader (const Model *model, const ModelImage *image, void *reader)
{
  Host host;
  char *difference = NULL;
  host_begin (&host);
  if (model->ops->image_size (reader) != image->size)
    difference = g_strdup ("image_size: is another");
  if (difference == NULL)
    difference = compare_blocks (model, image, reader, &host);
  if (difference == NULL)
    difference = compare_walk (model, image, reader, &host);
  if (difference == NULL)
    difference = compare_content (model, image, reader, &host);
  host_clear (&host);
  return difference;
}

char *
model_compare (const Model *model, const ModelImage *image)
{
  Host host;
  void *reader = NULL;
  host_begin (&host);
  char *difference = NULL;
  if (model->ops->image_open (model->instance, &host.call, image->directory, MODEL_DISK, &reader) != 0)
    difference = g_strdup_printf ("image_open: %s", host.words ? host.words : "no reason was given");
  else
    difference = model_compare_reader (model, image, reader);
  if (reader)
    model->ops->image_release (reader);
  host_clear (&host);
  return difference;
}

/* --- difference --- */

typedef struct {
  const ModelImage *to;
  bool seen[MODEL_BLOCKS];
  guint64 next; /* at least */
  bool wrong;
} Seen;

static int
take_block (void *opaque, const struct guardd_block *block)
{
  Seen *seen = opaque;
  if (block->number < seen->next || block->number >= model_blocks (seen->to)) {
    seen->wrong = true;
    return 1;
  }
  seen->next = block->number + 1;
  seen->seen[block->number] = true;
  seen->wrong |= (block->kind == GUARDD_BLOCK_ZERO) != (seen->to->fill[block->number] == 0);
  return 0;
}

char *
model_compare_diff (const Model *model, const ModelImage *from, const ModelImage *to)
{
  void *readers[2] = { NULL, NULL };
  Seen seen = { .to = to };
  Host host;
  host_begin (&host);
  bool ok
      = model->ops->image_open (model->instance, &host.call, from->directory, MODEL_DISK, &readers[0]) == 0
        && model->ops->image_open (model->instance, &host.call, to->directory, MODEL_DISK, &readers[1]) == 0
        && model->ops->image_diff (readers[0], readers[1], &host.call, take_block, &seen) == 0;
  for (guint i = 0; i < 2; i++)
    if (readers[i])
      model->ops->image_release (readers[i]);
  g_autofree char *words = g_strdup (host.words ? host.words : "no reason was given");
  host_clear (&host);
  if (!ok || seen.wrong)
    return seen.wrong ? g_strdup ("image_diff: out of order, or a wrong block")
                      : g_strdup_printf ("image_diff: %s", words);
  for (guint64 i = 0; i < model_blocks (to); i++)
    if (!seen.seen[i] && (i < model_blocks (from) ? from->fill[i] : 0) != to->fill[i])
      return g_strdup_printf ("image_diff: block %" G_GUINT64_FORMAT " differs and was left out", i);
  return NULL;
}
