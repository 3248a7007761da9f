/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "losses-private.h"
#include "text.h"

#define TOP 10u
#define SAMPLES 20u
#define NOTE_COPIES 10u /* Source: the same new name in ten directories, see docs/architecture.md */

/* --- renamed: the same inode, size and time under another name --- */

static int
compare_records (const Record *a, const Record *b)
{
#define COMPARE(member)                                                                                      \
  if (a->member != b->member)                                                                                \
  return a->member < b->member ? -1 : 1
  COMPARE (filesystem);
  COMPARE (inode);
  COMPARE (size);
  COMPARE (mtime);
#undef COMPARE
  return 0;
}

static int
compare_by_index (gconstpointer a, gconstpointer b, gpointer records)
{
  return compare_records (&g_array_index ((GArray *)records, Record, *(const guint32 *)a),
                          &g_array_index ((GArray *)records, Record, *(const guint32 *)b));
}

static guint32 *
sorted (GArray *records)
{
  guint32 *order = g_new (guint32, records->len + 1);
  for (guint32 i = 0; i < records->len; i++)
    order[i] = i;
  g_qsort_with_data (order, (int)records->len, sizeof *order, compare_by_index, records);
  return order;
}

static void
pair_renamed (Losses *losses)
{
  g_autofree guint32 *gone = sorted (losses->gone), *fresh = sorted (losses->fresh);
  for (guint i = 0, j = 0; i < losses->gone->len && j < losses->fresh->len;) {
    Record *old = &g_array_index (losses->gone, Record, gone[i]);
    int order = compare_records (old, &g_array_index (losses->fresh, Record, fresh[j]));
    if (order == 0) {
      old->renamed = true;
      sum_add (&losses->renamed, old->size);
    }
    i += order <= 0;
    j += order >= 0;
  }
}

/* --- the report --- */

static json_object *
sum_to_json (const Sum *sum)
{
  json_object *json = json_object_new_object ();
  json_object_object_add (json, "files", json_object_new_int64 ((gint64)sum->files));
  json_object_object_add (json, "bytes", json_object_new_int64 ((gint64)MIN (sum->bytes, G_MAXINT64)));
  return json;
}

static int
compare_groups (gconstpointer a, gconstpointer b)
{
  const Sum *one = &((const Group *)a)->lost, *other = &((const Group *)b)->lost;
  if (one->bytes != other->bytes)
    return one->bytes > other->bytes ? -1 : 1;
  return one->files > other->files ? -1 : one->files < other->files;
}

static json_object *
groups_to_json (GArray *groups)
{
  json_object *list = json_object_new_array ();
  g_array_sort (groups, compare_groups);
  for (guint i = 0; i < groups->len && i < TOP; i++) {
    const Group *group = &g_array_index (groups, Group, i);
    if (group->lost.files == 0)
      continue;
    json_object *one = sum_to_json (&group->lost);
    json_object_object_add (one, "name", text_to_json (group->name));
    json_object_array_add (list, one);
  }
  return list;
}

static json_object *
samples_to_json (const Losses *losses, const GArray *samples)
{
  json_object *list = json_object_new_array ();
  for (guint i = 0; i < samples->len && json_object_array_length (list) < SAMPLES; i++) {
    const Sample *sample = &g_array_index (samples, Sample, i);
    if (sample->record >= 0 && g_array_index (losses->gone, Record, sample->record).renamed)
      continue;
    json_object *one = json_object_new_object ();
    json_object_object_add (one, "path", text_to_json (sample->path));
    json_object_object_add (one, "what", json_object_new_string (sample->what));
    json_object_object_add (one, "bytes", json_object_new_int64 ((gint64)MIN (sample->bytes, G_MAXINT64)));
    json_object_array_add (list, one);
  }
  return list;
}

static json_object *
counts_to_json (GHashTable *table, guint least)
{
  GHashTableIter iter;
  gpointer name, n;
  json_object *list = json_object_new_array ();
  g_hash_table_iter_init (&iter, table);
  while (g_hash_table_iter_next (&iter, &name, &n)) {
    if (GPOINTER_TO_UINT (n) < least || json_object_array_length (list) >= TOP)
      continue;
    json_object *one = json_object_new_object ();
    json_object_object_add (one, "name", text_to_json (name));
    json_object_object_add (one, "files", json_object_new_int64 (GPOINTER_TO_UINT (n)));
    json_object_array_add (list, one);
  }
  return list;
}

void
losses_report (Losses *losses, json_object *to)
{
  pair_renamed (losses);
  for (guint i = 0; i < losses->gone->len; i++) {
    const Record *record = &g_array_index (losses->gone, Record, i);
    if (record->renamed)
      continue;
    sum_add (&losses->deleted, record->size);
    losses_add_to_groups (losses, record->groups, record->size);
  }
  losses->added.files -= losses->renamed.files;
  losses->added.bytes -= losses->renamed.bytes;
  const struct {
    const char *name;
    const Sum *sum;
  } sums[] = { { "deleted", &losses->deleted }, { "emptied", &losses->emptied },
               { "shrunk", &losses->shrunk },   { "renamed", &losses->renamed },
               { "new", &losses->added },       { "rewritten", &losses->rewritten } };
  for (guint i = 0; i < G_N_ELEMENTS (sums); i++)
    json_object_object_add (to, sums[i].name, sum_to_json (sums[i].sum));
  json_object_object_add (to, "samples", samples_to_json (losses, losses->samples));
  json_object_object_add (to, "tampered", samples_to_json (losses, losses->tampered));
  json_object_object_add (to, "watched", samples_to_json (losses, losses->watched));
  json_object_object_add (to, "directories", groups_to_json (losses->kinds[BY_DIRECTORY].groups));
  json_object_object_add (to, "extensions", groups_to_json (losses->kinds[BY_EXTENSION].groups));
  json_object_object_add (to, "owners", groups_to_json (losses->kinds[BY_OWNER].groups));
  json_object_object_add (to, "notes", counts_to_json (losses->names, NOTE_COPIES));
  json_object_object_add (to, "suffixes", counts_to_json (losses->suffixes, NOTE_COPIES));
}
