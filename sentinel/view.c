/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view.h"

#include <string.h>

void
view_whole (struct view *view, struct view_source *source)
{
  view->source = source;
  view->length = source->size;
  view->n_extents = 1;
  view->extents[0] = (struct view_extent){ .length = source->size };
}

bool
view_append (struct view *view, const struct view *of, uint64_t offset, uint64_t length)
{
  if (offset > of->length || length > of->length - offset)
    return false;
  for (uint32_t i = 0; i < of->n_extents && length > 0; i++) {
    const struct view_extent *extent = &of->extents[i];
    if (offset >= extent->start + extent->length)
      continue;
    uint64_t skip = offset - extent->start;
    uint64_t take = extent->length - skip < length ? extent->length - skip : length;
    if (view->n_extents == VIEW_EXTENTS_MAX)
      return false;
    view->extents[view->n_extents++]
        = (struct view_extent){ .start = view->length, .offset = extent->offset + skip, .length = take };
    view->length += take;
    offset += take;
    length -= take;
  }
  return true;
}

bool
view_part (struct view *view, const struct view *of, uint64_t offset, uint64_t length)
{
  view->source = of->source;
  view->length = 0;
  view->n_extents = 0;
  return view_append (view, of, offset, length);
}

static bool
source_read (struct view_source *source, uint64_t offset, void *data, size_t length)
{
  if (length > source->budget || source->budget_calls == 0) {
    source->starved = true;
    return false;
  }
  source->budget -= length;
  source->budget_calls--;
  source->read_bytes += length;
  return source->read (source->opaque, offset, data, length);
}

bool
view_read (const struct view *view, uint64_t offset, void *data, size_t length)
{
  if (offset > view->length || length > view->length - offset)
    return false;
  uint8_t *to = data;
  for (uint32_t i = 0; i < view->n_extents && length > 0; i++) {
    const struct view_extent *extent = &view->extents[i];
    if (offset >= extent->start + extent->length)
      continue;
    uint64_t skip = offset - extent->start;
    size_t take = extent->length - skip < length ? (size_t)(extent->length - skip) : length;
    if (!source_read (view->source, extent->offset + skip, to, take))
      return false;
    to += take;
    offset += take;
    length -= take;
  }
  return length == 0;
}

uint64_t
view_on_disk (const struct view *view, uint64_t offset)
{
  for (uint32_t i = 0; i < view->n_extents; i++) {
    const struct view_extent *extent = &view->extents[i];
    if (offset >= extent->start && offset - extent->start < extent->length)
      return extent->offset + (offset - extent->start);
  }
  return UINT64_MAX;
}
