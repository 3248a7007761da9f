/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pull-extents.h"

#define BLOCK GUARDD_BLOCK_SIZE

void
pull_extents_add (GArray *extents, guint64 offset, guint64 length)
{
  PullExtent extent = { offset / BLOCK * BLOCK, (offset + length + BLOCK - 1) / BLOCK * BLOCK };
  PullExtent *last = extents->len ? &g_array_index (extents, PullExtent, extents->len - 1) : NULL;

  if (last && last->end >= extent.start && last->start <= extent.start)
    last->end = MAX (last->end, extent.end);
  else
    g_array_append_val (extents, extent);
}

static int
compare_extents (gconstpointer a, gconstpointer b)
{
  const PullExtent *x = a, *y = b;

  return x->start < y->start ? -1 : x->start > y->start;
}

void
pull_extents_sort (GArray *extents)
{
  guint out = 0;

  g_array_sort (extents, compare_extents);
  for (guint i = 0; i < extents->len; i++) {
    PullExtent extent = g_array_index (extents, PullExtent, i);
    PullExtent *last = out ? &g_array_index (extents, PullExtent, out - 1) : NULL;

    if (last && extent.start <= last->end)
      last->end = MAX (last->end, extent.end);
    else
      g_array_index (extents, PullExtent, out++) = extent;
  }
  g_array_set_size (extents, out);
}

static void
append (GArray *extents, guint64 start, guint64 end)
{
  PullExtent extent = { start, end };

  if (start < end)
    g_array_append_val (extents, extent);
}

/* The whole blocks of it; the disk's end ends its last block. */
static PullExtent
whole_blocks (const PullExtent *extent, guint64 size)
{
  guint64 end = extent->end >= size ? size + BLOCK - 1 : extent->end;

  return (PullExtent){ (extent->start + BLOCK - 1) / BLOCK * BLOCK, end / BLOCK * BLOCK };
}

GArray *
pull_extents_take (GArray **extents, const GArray *zero, guint64 size)
{
  GArray *left = g_array_new (FALSE, FALSE, sizeof (PullExtent)),
         *taken = g_array_new (FALSE, FALSE, sizeof (PullExtent));
  guint at = 0;

  for (guint i = 0; i < (*extents)->len; i++) {
    const PullExtent *extent = &g_array_index (*extents, PullExtent, i);
    guint64 from = extent->start;

    for (; at < zero->len; at++) {
      PullExtent hole = whole_blocks (&g_array_index (zero, PullExtent, at), size);
      guint64 start = MAX (from, hole.start), end = MIN (extent->end, hole.end);

      if (hole.start >= extent->end)
        break;
      if (start < end) {
        append (left, from, start);
        append (taken, start, end);
        from = end;
      }
      if (hole.end > extent->end)
        break; /* there may be more of it in the next extent */
    }
    append (left, from, extent->end);
  }
  g_array_unref (*extents);
  *extents = left;
  return taken;
}

typedef struct {
  const PullRequest *request;
  const GArray *extents;
  PullResult *result;
  GError **error;
} Zeroing;

static bool
zero_range (const Zeroing *zeroing, guint64 first, guint64 end)
{
  if (end <= first)
    return true;
  zeroing->result->changed_bytes += (end - first) * BLOCK;
  return storage_image_zero (zeroing->request->writer, first, end - first, zeroing->error);
}

/* Zeroes the blocks first … end - 1 that lie in no extent; *index moves along. */
static bool
zero_gaps (const Zeroing *zeroing, guint64 first, guint64 end, guint *index)
{
  while (first < end) {
    const PullExtent *extent;

    while (*index < zeroing->extents->len
           && g_array_index (zeroing->extents, PullExtent, *index).end / BLOCK <= first)
      ++*index;
    if (*index == zeroing->extents->len)
      return zero_range (zeroing, first, end);
    extent = &g_array_index (zeroing->extents, PullExtent, *index);
    if (!zero_range (zeroing, first, MIN (end, extent->start / BLOCK)))
      return false;
    first = MAX (first, extent->end / BLOCK);
  }
  return true;
}

/* Zeroes what the parent has of blocks first … end - 1. */
static bool
zero_stretch (const Zeroing *zeroing, guint64 from, guint64 end)
{
  guint64 first, count;

  while (from < end) {
    if (!storage_image_next_data (zeroing->request->parent, from, &first, &count, zeroing->error))
      return false;
    if (count == 0 || first >= end)
      return true;
    if (!zero_range (zeroing, first, MIN (first + count, end)))
      return false;
    from = first + count;
  }
  return true;
}

static bool
zero_stretches (const Zeroing *zeroing, const GArray *zero)
{
  for (guint i = 0; zero && i < zero->len; i++) {
    const PullExtent *extent = &g_array_index (zero, PullExtent, i);

    if (!zero_stretch (zeroing, extent->start / BLOCK, extent->end / BLOCK))
      return false;
  }
  return true;
}

bool
pull_zero_gone (const PullRequest *request, const GArray *extents, const GArray *zero, PullResult *result,
                GError **error)
{
  const Zeroing zeroing = { request, extents, result, error };
  guint64 blocks = (request->size + BLOCK - 1) / BLOCK;
  guint64 from = 0, first, count;
  guint index = 0;

  if (!request->parent)
    return true;
  if (request->bitmap)
    return zero_stretches (&zeroing, zero);
  for (;;) {
    if (!storage_image_next_data (request->parent, from, &first, &count, error))
      return false;
    if (count == 0 || first >= blocks)
      return true;
    from = first + count;
    if (!zero_gaps (&zeroing, first, MIN (from, blocks), &index))
      return false;
  }
}
