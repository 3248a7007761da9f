/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compare.h"

#include "losses.h"
#include "text.h"

#include <string.h>
#include <unistd.h>

typedef struct {
  struct inventory_reader before, now;
  Losses *losses;
  json_object *lost; /* filesystems */
} Comparison;

/* Less than zero: what `before` has read comes first; more: what `now` has. */
static int
order (const struct inventory_reader *before, const struct inventory_reader *now)
{
  if (before->kind == INVENTORY_END || now->kind == INVENTORY_END)
    return (before->kind == INVENTORY_END) - (now->kind == INVENTORY_END);
  int device = strcmp (before->device, now->device);
  if (device != 0)
    return device;
  if (before->kind != now->kind)
    return before->kind == INVENTORY_FILESYSTEM ? -1 : 1;
  return before->kind == INVENTORY_FILE ? inventory_compare_paths (before->path, now->path) : 0;
}

static void
filesystem_lost (Comparison *comparison, const char *now)
{
  const struct inventory_reader *before = &comparison->before;
  if (json_object_array_length (comparison->lost) >= 100)
    return;
  json_object *one = json_object_new_object ();
  json_object_object_add (one, "device", text_to_json (before->device));
  json_object_object_add (one, "type", text_to_json (before->type));
  json_object_object_add (one, "mountpoint", text_to_json (before->mountpoint));
  json_object_object_add (one, "now", now ? text_to_json (now) : NULL);
  json_object_array_add (comparison->lost, one);
}

static void
only_before (Comparison *comparison)
{
  const struct inventory_reader *before = &comparison->before;
  if (before->kind == INVENTORY_FILE) {
    losses_deleted (comparison->losses, before->mountpoint, before->path, &before->file);
  } else {
    losses_next_filesystem (comparison->losses);
    filesystem_lost (comparison, NULL);
  }
}

static void
only_now (Comparison *comparison)
{
  const struct inventory_reader *now = &comparison->now;
  if (now->kind == INVENTORY_FILE)
    losses_new_file (comparison->losses, now->path, &now->file);
  else
    losses_next_filesystem (comparison->losses);
}

static void
in_both (Comparison *comparison)
{
  const struct inventory_reader *before = &comparison->before, *now = &comparison->now;
  if (before->kind == INVENTORY_FILE) {
    losses_changed (comparison->losses, before->mountpoint, before->path, &before->file, &now->file);
    return;
  }
  losses_next_filesystem (comparison->losses);
  if (strcmp (before->type, now->type) != 0)
    filesystem_lost (comparison, now->type);
}

static bool
merge (Comparison *comparison)
{
  struct inventory_reader *before = &comparison->before, *now = &comparison->now;
  while (before->kind != INVENTORY_END || now->kind != INVENTORY_END) {
    int first = order (before, now);
    if (first < 0)
      only_before (comparison);
    else if (first > 0)
      only_now (comparison);
    else
      in_both (comparison);
    if ((first <= 0 && !inventory_read_next (before)) || (first >= 0 && !inventory_read_next (now)))
      return false;
  }
  return true;
}

static bool
write_all (int out, const char *text)
{
  for (size_t left = strlen (text); left > 0;) {
    ssize_t n = write (out, text, left);
    if (n <= 0)
      return false;
    text += n;
    left -= (size_t)n;
  }
  return true;
}

static json_object *
side (const struct inventory_reader *reader)
{
  json_object *json = json_object_new_object ();
  json_object_object_add (json, "files", json_object_new_int64 ((gint64)reader->files));
  json_object_object_add (json, "problems", json_object_new_int64 ((gint64)reader->problems));
  return json;
}

bool
compare_inventories (gzFile older, gzFile newer, int out)
{
  static Comparison comparison; /* large */
  static const char damaged[] = "an inventory is damaged, or not whole: snapshot-inspect makes another\n";
  comparison.losses = losses_new ();
  comparison.lost = json_object_new_array ();
  bool ok = inventory_read_begin (&comparison.before, older) && inventory_read_next (&comparison.before)
            && inventory_read_begin (&comparison.now, newer) && inventory_read_next (&comparison.now)
            && merge (&comparison);
  if (ok) {
    json_object *result = json_object_new_object ();
    json_object_object_add (result, "before", side (&comparison.before));
    json_object_object_add (result, "now", side (&comparison.now));
    json_object_object_add (result, "filesystems", json_object_get (comparison.lost));
    losses_report (comparison.losses, result);
    ok = write_all (out, json_object_to_json_string_ext (result, JSON_C_TO_STRING_PLAIN));
    json_object_put (result);
  } else {
    ok = write_all (STDERR_FILENO, damaged) && false;
  }
  json_object_put (comparison.lost);
  losses_free (comparison.losses);
  return ok;
}
