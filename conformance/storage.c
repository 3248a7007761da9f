/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage-model.h"
#include "storage-source.h"

#include <ftw.h>
#include <gio/gio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE (40 * (guint64)GUARDD_BLOCK_SIZE + 1000) /* no multiple of a block */
#define GROWN (MODEL_BLOCKS * (guint64)GUARDD_BLOCK_SIZE)
#define CHAIN 12u

static void
check_all (const Model *model, const char *when)
{
  g_autofree char *difference = NULL;
  guint read = 0;
  for (guint i = 0; i < model->images->len && difference == NULL; i++) {
    const ModelImage *image = model->images->pdata[i];
    if (image->gone)
      continue;
    read++;
    difference = model_compare (model, image);
  }
  check (difference == NULL, "%s, %u images read as they were written%s%s", when, read,
         difference ? ": " : "", difference ? difference : "");
}

static void
check_diffs (const Model *model)
{
  g_autofree char *difference = NULL;
  for (guint i = 0; i < model->images->len && difference == NULL; i++)
    for (guint j = 0; j < model->images->len && difference == NULL; j += 3)
      difference = model_compare_diff (model, model->images->pdata[i], model->images->pdata[j]);
  check (difference == NULL, "image_diff finds what differs between any two%s%s", difference ? ": " : "",
         difference ? difference : "");
}

static void
check_verify (const Model *model)
{
  Host host;
  guint kept = 0, wrong = 0, n = 0;
  host_begin (&host);
  for (guint i = 0; i < model->images->len; i++) {
    const ModelImage *image = model->images->pdata[i];
    guint8 other[GUARDD_HASH_SIZE];
    if (image->gone)
      continue;
    n++;
    memcpy (other, image->info.index_hash, sizeof other);
    kept += model->ops->image_verify (model->instance, &host.call, image->directory, MODEL_DISK,
                                      image->info.index_hash)
            == 0;
    host_clear (&host);
    other[7] ^= 1;
    wrong += model->ops->image_verify (model->instance, &host.call, image->directory, MODEL_DISK, other) != 0;
  }
  check (kept == n, "image_verify accepts what was sealed: %u of %u", kept, n);
  check (wrong == n, "image_verify refuses another index hash: %u of %u", wrong, n);
  check_words (&host, "another index hash");
  host_clear (&host);
}

static void
check_abort (Model *model)
{
  g_autofree char *path = model_directory (model, ".new-00009999");
  struct guardd_image_spec spec = { .size_of = sizeof spec,
                                    .directory = MODEL_DOMAIN "/.new-00009999",
                                    .name = MODEL_DOMAIN "/00009999",
                                    .disk = MODEL_DISK,
                                    .parent = ((ModelImage *)model->images->pdata[0])->directory,
                                    .size = SIZE };
  Host host;
  void *writer = NULL, *reader = NULL;
  host_begin (&host);
  g_mkdir_with_parents (path, 0700);
  if (check (model->ops->image_create (model->instance, &host.call, &spec, &writer) == 0,
             "an image can be begun"))
    model->ops->image_abort (writer);
  check (model->ops->image_open (model->instance, &host.call, spec.directory, MODEL_DISK, &reader) != 0,
         "an image that was given up cannot be opened");
  check_words (&host, "an image that was given up");
  check (model->ops->image_remove (model->instance, &host.call, spec.directory, MODEL_DISK) == 0
             && model->ops->image_remove (model->instance, &host.call, spec.directory, MODEL_DISK) == 0,
         "image_remove can be repeated");
  host_clear (&host);
}

/* --- maintenance --- */

static struct guardd_member *
list_members (const Model *model, size_t *n)
{
  static const char *const disks[] = { MODEL_DISK, NULL };
  struct guardd_member *members = g_new0 (struct guardd_member, model->images->len + 1);
  *n = 0;
  for (guint i = 0; i < model->images->len; i++) {
    const ModelImage *image = model->images->pdata[i];
    if (!image->gone)
      members[(*n)++] = (struct guardd_member){ image->directory, disks, 0 };
  }
  return members;
}

static void
take_changes (Model *model, const struct guardd_change *changes, size_t n)
{
  for (size_t c = 0; c < n; c++)
    for (guint i = 0; i < model->images->len; i++) {
      ModelImage *image = model->images->pdata[i];
      if (strcmp (image->directory, changes[c].directory) == 0)
        image->info = changes[c].info;
    }
}

static void
remove_gone (Model *model, const struct guardd_member *members, size_t n, Host *host)
{
  bool removed = true;
  for (size_t m = 0; m < n; m++)
    for (guint i = 0; members[m].remove && i < model->images->len; i++) {
      ModelImage *image = model->images->pdata[i];
      if (strcmp (image->directory, members[m].directory) != 0)
        continue;
      image->gone = true;
      removed = removed
                && model->ops->image_remove (model->instance, &host->call, image->directory, MODEL_DISK) == 0;
    }
  check (removed, "what nothing depends on can be removed: %s", host->words ? host->words : "");
}

static void
check_maintenance (Model *model)
{
  Host host;
  struct guardd_change *changes = NULL;
  size_t n = 0, n_changes = 0;
  void *reader = NULL;
  const ModelImage *newest = model->images->pdata[model->images->len - 1];
  g_autofree struct guardd_member *members = list_members (model, &n);
  host_begin (&host);
  members[0].remove = members[n / 2].remove = members[n / 2 + 1].remove = 1;
  bool ok = model->ops->maintain_prepare (model->instance, &host.call, MODEL_DOMAIN, members, n, &changes,
                                          &n_changes)
            == 0;
  free (changes);
  changes = NULL;
  check (ok && model->ops->maintain_abort (model->instance, &host.call, MODEL_DOMAIN) == 0
             && model->ops->maintain_abort (model->instance, &host.call, MODEL_DOMAIN) == 0,
         "what was prepared can be forgotten, twice: %s", host.words ? host.words : "");
  check_all (model, "after that");
  model->ops->image_open (model->instance, &host.call, newest->directory, MODEL_DISK, &reader);
  ok = model->ops->maintain_prepare (model->instance, &host.call, MODEL_DOMAIN, members, n, &changes,
                                     &n_changes)
       == 0;
  check_all (model, "while it is prepared to remove three");
  ok = ok && model->ops->maintain_commit (model->instance, &host.call, MODEL_DOMAIN, members, n) == 0
       && model->ops->maintain_commit (model->instance, &host.call, MODEL_DOMAIN, members, n) == 0;
  check (ok, "maintain_commit does it, and can be repeated: %s", host.words ? host.words : "");
  take_changes (model, changes, n_changes);
  free (changes);
  remove_gone (model, members, n, &host);
  g_autofree char *difference
      = reader ? model_compare_reader (model, newest, reader) : g_strdup ("not opened");
  check (difference == NULL, "a reader that was opened before still reads the same%s%s",
         difference ? ": " : "", difference ? difference : "");
  if (reader)
    model->ops->image_release (reader);
  host_clear (&host);
}

static void
check_recovery (Model *model)
{
  Host host;
  size_t n = 0;
  g_autofree struct guardd_member *members = list_members (model, &n);
  host_begin (&host);
  check (model->ops->recover (model->instance, &host.call, MODEL_DOMAIN, members, n) == 0
             && model->ops->recover (model->instance, &host.call, MODEL_DOMAIN, members, n) == 0,
         "recover can be repeated: %s", host.words ? host.words : "");
  host_clear (&host);
}

/* --- */

static bool
has_all (const struct guardd_storage_ops *ops)
{
  return ops->size >= GUARDD_STORAGE_OPS_MIN && ops->open && ops->close && ops->image_create
         && ops->image_write && ops->image_zero && ops->image_seal && ops->image_abort && ops->image_open
         && ops->image_release && ops->image_size && ops->image_read && ops->image_blocks
         && ops->image_next_data && ops->image_diff && ops->image_verify && ops->maintain_prepare
         && ops->maintain_commit && ops->maintain_abort && ops->image_remove && ops->recover;
}

static bool
has_clones (const struct guardd_storage_ops *ops)
{
  guint n = GUARDD_STORAGE_HAS (ops, source_probe) + GUARDD_STORAGE_HAS (ops, sources_clone)
            + GUARDD_STORAGE_HAS (ops, source_restore);
  return check (n == 0 || n == 3, "has all operations that clone, or none") && n == 3;
}

static void
image_free (gpointer data)
{
  ModelImage *image = data;
  g_free (image->directory);
  g_free (image);
}

static void
check_chain (Model *model)
{
  const ModelImage *parent = model_add (model, NULL, SIZE, 60);
  for (guint i = 1; parent && i < CHAIN; i++)
    parent = model_add (model, parent, i < CHAIN / 2 ? SIZE : GROWN, i == 3 ? 0 : 10);
  if (parent == NULL)
    return;
  model_add (model, model->images->pdata[2], SIZE, 5); /* a second one on the same */
  check_all (model, "after writing");
  check_diffs (model);
  check_verify (model);
  check_abort (model);
  check_maintenance (model);
  check_all (model, "after maintenance");
  check_verify (model);
  check_recovery (model);
  check_all (model, "after recovery");
}

/* Everything that the plugin made goes by its own hands: it may have protected its files. */
static void
remove_all (Model *model)
{
  Host host;
  host_begin (&host);
  bool ok = true;
  for (guint i = model->images->len; i > 0; i--) {
    const ModelImage *image = model->images->pdata[i - 1];
    ok = ok
         && (image->gone
             || model->ops->image_remove (model->instance, &host.call, image->directory, MODEL_DISK) == 0);
  }
  ok = ok && model->ops->recover (model->instance, &host.call, MODEL_DOMAIN, NULL, 0) == 0;
  check (ok, "all images can be removed, newest first, and recover removes what belongs to none: %s",
         host.words ? host.words : "");
  host_clear (&host);
}

static int
remove_one (const char *path, const struct stat *status, int type, struct FTW *place)
{
  return remove (path);
}

static void
clean_up (const char *pool)
{
  check (nftw (pool, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0,
         "nothing is left that cannot be removed in %s", pool);
}

void
check_storage (const struct guardd_plugin *plugin, const struct guardd_param *params, size_t n_params,
               const char *const *sources)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *pool = g_dir_make_tmp ("guardd-plugin-check-XXXXXX", &error);
  const struct guardd_param strange = { "no-plugin-has-this", "1" };
  Model model = { .ops = plugin->ops, .pool = pool, .random = g_rand_new_with_seed (1) };
  Host host;
  if (!check (has_all (model.ops), "has all operations of a storage plugin")
      || !check (pool != NULL, "a temporary directory can be made: %s", error ? error->message : ""))
    return;
  model.images = g_ptr_array_new_with_free_func (image_free);
  host_begin (&host);
  check (model.ops->open (&host.call, pool, &strange, 1, &model.instance) != 0,
         "refuses a parameter that it does not know");
  check_words (&host, "a parameter that it does not know");
  host_clear (&host);
  if (check (model.ops->open (&host.call, pool, params, n_params, &model.instance) == 0,
             "opens an empty pool: %s", host.words ? host.words : "")) {
    check_chain (&model);
    model.ops->close (model.instance);
    check (model.ops->open (&host.call, pool, params, n_params, &model.instance) == 0, "opens it again: %s",
           host.words ? host.words : "");
    check_all (&model, "opened again");
    remove_all (&model);
    if (has_clones (model.ops))
      check_sources (model.ops, model.instance, pool, sources);
    else
      check (*sources == NULL, "clones the sources that it is given");
    model.ops->close (model.instance);
  }
  host_clear (&host);
  g_ptr_array_unref (model.images);
  g_rand_free (model.random);
  clean_up (pool);
}
