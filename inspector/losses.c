/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "losses-private.h"
#include "signs.h"

#include <string.h>

#define RECORDS_MAX 1000000u /* deleted, and new: beyond it none is taken for renamed */
#define GROUPS_MAX 65536u    /* of each kind; all further ones are summed up under one name */
#define NAMES_MAX 65536u     /* different names of new files that are counted */
#define DIRECTORY_LEVELS 2   /* "/home/alice": deep enough to tell, few enough to read */
#define CANDIDATES 200u      /* of which those that were only renamed go */

/* --- groups --- */

static void
group_clear (gpointer data)
{
  g_free (((Group *)data)->name);
}

static void
groups_init (Groups *groups)
{
  Group others = { g_strdup ("(others)"), { 0, 0 } };
  groups->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  groups->groups = g_array_new (FALSE, FALSE, sizeof (Group));
  g_array_set_clear_func (groups->groups, group_clear);
  g_array_append_val (groups->groups, others);
}

static guint32
groups_find (Groups *groups, const char *name)
{
  guint32 found = GPOINTER_TO_UINT (g_hash_table_lookup (groups->by_name, name));
  if (found > 0)
    return found - 1;
  if (groups->groups->len >= GROUPS_MAX)
    return 0;
  Group group = { g_strdup (name), { 0, 0 } };
  g_array_append_val (groups->groups, group);
  g_hash_table_insert (groups->by_name, group.name, GUINT_TO_POINTER (groups->groups->len));
  return groups->groups->len - 1;
}

void
sum_add (Sum *sum, guint64 bytes)
{
  sum->files++;
  sum->bytes += bytes;
}

static char *
full_path (const char *mountpoint, const char *path)
{
  bool plain = strcmp (mountpoint, "-") == 0 || strcmp (mountpoint, "/") == 0;
  return g_strconcat (plain ? "" : mountpoint, path, NULL);
}

static void
find_groups (Losses *losses, const char *path, guint32 uid, guint32 *groups)
{
  char owner[16];
  const char *end = path;
  const char *name = base_name (path);
  for (int level = 0; level < DIRECTORY_LEVELS; level++) {
    const char *next = strchr (end + 1, '/');
    if (next == NULL)
      break;
    end = next;
  }
  if (end == path && name > path + 1)
    end = name - 1;
  g_autofree char *directory = end == path ? g_strdup ("/") : g_strndup (path, (gsize)(end - path));
  g_snprintf (owner, sizeof owner, "%u", uid);
  groups[BY_DIRECTORY] = groups_find (&losses->kinds[BY_DIRECTORY], directory);
  groups[BY_EXTENSION] = groups_find (&losses->kinds[BY_EXTENSION], extension (path));
  groups[BY_OWNER] = groups_find (&losses->kinds[BY_OWNER], owner);
}

void
losses_add_to_groups (Losses *losses, const guint32 *groups, guint64 bytes)
{
  for (Kind kind = 0; kind < KINDS; kind++)
    sum_add (&g_array_index (losses->kinds[kind].groups, Group, groups[kind]).lost, bytes);
}

/* --- what a person should see first --- */

static void
sample_clear (gpointer data)
{
  g_free (((Sample *)data)->path);
}

static void
sample_insert (GArray *samples, const char *path, const char *what, guint64 bytes, gint64 record)
{
  guint at = samples->len;
  while (at > 0 && g_array_index (samples, Sample, at - 1).bytes < bytes)
    at--;
  if (at >= CANDIDATES)
    return;
  Sample sample = { g_strdup (path), what, bytes, bytes, record };
  g_array_insert_val (samples, at, sample);
  if (samples->len > CANDIDATES)
    g_array_set_size (samples, CANDIDATES);
}

static void
note_loss (Losses *losses, const char *path, const char *what, guint64 bytes, gint64 record)
{
  sample_insert (losses->samples, path, what, bytes, record);
  if (is_record (path))
    sample_insert (losses->tampered, path, what, bytes, record);
  if (is_watched (path))
    sample_insert (losses->watched, path, what, bytes, record);
}

/* --- one file after the other --- */

Losses *
losses_new (void)
{
  Losses *losses = g_new0 (Losses, 1);
  for (Kind kind = 0; kind < KINDS; kind++)
    groups_init (&losses->kinds[kind]);
  losses->gone = g_array_new (FALSE, FALSE, sizeof (Record));
  losses->fresh = g_array_new (FALSE, FALSE, sizeof (Record));
  losses->samples = g_array_new (FALSE, FALSE, sizeof (Sample));
  losses->watched = g_array_new (FALSE, FALSE, sizeof (Sample));
  g_array_set_clear_func (losses->samples, sample_clear);
  losses->tampered = g_array_new (FALSE, FALSE, sizeof (Sample));
  g_array_set_clear_func (losses->tampered, sample_clear);
  g_array_set_clear_func (losses->watched, sample_clear);
  losses->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  losses->suffixes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return losses;
}

void
losses_free (Losses *losses)
{
  for (Kind kind = 0; kind < KINDS; kind++) {
    g_hash_table_unref (losses->kinds[kind].by_name);
    g_array_unref (losses->kinds[kind].groups);
  }
  g_array_unref (losses->gone);
  g_array_unref (losses->fresh);
  g_array_unref (losses->samples);
  g_array_unref (losses->tampered);
  g_array_unref (losses->watched);
  g_hash_table_unref (losses->names);
  g_hash_table_unref (losses->suffixes);
  g_free (losses->last_deleted);
  g_free (losses);
}

static Record
record_of (const Losses *losses, const struct inventory_file *file)
{
  return (Record){
    .inode = file->inode, .size = file->size, .mtime = file->mtime, .filesystem = losses->filesystem
  };
}

void
losses_deleted (Losses *losses, const char *mountpoint, const char *path, const struct inventory_file *file)
{
  if (file->type == 'd')
    return;
  Record record = record_of (losses, file);
  g_autofree char *full = full_path (mountpoint, path);
  gint64 index = -1;
  find_groups (losses, full, file->uid, record.groups);
  if (losses->gone->len < RECORDS_MAX) {
    index = losses->gone->len;
    g_array_append_val (losses->gone, record);
  } else {
    losses_add_to_groups (losses, record.groups, file->size);
    sum_add (&losses->deleted, file->size);
  }
  note_loss (losses, full, "deleted", file->size, index);
  g_free (losses->last_deleted);
  losses->last_deleted = g_strdup (path);
}

static void
count (GHashTable *table, const char *key)
{
  gpointer n = g_hash_table_lookup (table, key);
  if (n != NULL || g_hash_table_size (table) < NAMES_MAX)
    g_hash_table_insert (table, g_strdup (key), GUINT_TO_POINTER (GPOINTER_TO_UINT (n) + 1));
}

void
losses_new_file (Losses *losses, const char *path, const struct inventory_file *file)
{
  if (file->type == 'd')
    return;
  Record record = record_of (losses, file);
  sum_add (&losses->added, file->size);
  if (losses->fresh->len < RECORDS_MAX)
    g_array_append_val (losses->fresh, record);
  if (is_note (base_name (path)))
    count (losses->names, base_name (path));
  /* "report.doc" is gone and "report.doc.locked" is there: in this order of paths they are neighbours. */
  const char *last = losses->last_deleted;
  if (last && g_str_has_prefix (path, last) && strchr (path + strlen (last), '/') == NULL)
    count (losses->suffixes, path + strlen (last));
}

void
losses_changed (Losses *losses, const char *mountpoint, const char *path, const struct inventory_file *before,
                const struct inventory_file *now)
{
  if (before->type != now->type) {
    losses_deleted (losses, mountpoint, path, before);
    losses_new_file (losses, path, now);
    return;
  }
  if (now->type != 'f' || (now->size == before->size && now->mtime == before->mtime))
    return;
  if (now->size >= before->size) {
    sum_add (&losses->rewritten, now->size);
    return;
  }
  guint32 groups[KINDS];
  guint64 bytes = before->size - now->size;
  g_autofree char *full = full_path (mountpoint, path);
  sum_add (now->size == 0 ? &losses->emptied : &losses->shrunk, bytes);
  find_groups (losses, full, now->uid, groups);
  losses_add_to_groups (losses, groups, bytes);
  note_loss (losses, full, now->size == 0 ? "emptied" : "shrunk", bytes, -1);
}

void
losses_next_filesystem (Losses *losses)
{
  losses->filesystem++;
  g_clear_pointer (&losses->last_deleted, g_free);
}
