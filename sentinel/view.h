/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view.h: bytes of a disk, or of a stretch of it, that may be read.  Every read is checked against the
 * view's length and against a budget that all views of one look share: a structure that leads in circles
 * ends there.
 *
 * The sentinel is plain C without GLib: it starts in a millisecond and allows few system calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIEW_EXTENTS_MAX 256u

/* Where bytes come from; read returns false if it cannot. */
struct view_source {
  bool (*read) (void *opaque, uint64_t offset, void *data, size_t length);
  void *opaque;
  uint64_t size;         /* bytes */
  uint64_t budget;       /* bytes that may still be read */
  uint64_t budget_calls; /* reads that may still be done */
  uint64_t read_bytes;
  bool starved; /* a read was refused for the budget: what was seen since cannot be believed */
};

struct view_extent {
  uint64_t start;  /* in the view */
  uint64_t offset; /* in the source */
  uint64_t length;
};

struct view {
  struct view_source *source;
  uint64_t length;
  uint32_t n_extents;
  struct view_extent extents[VIEW_EXTENTS_MAX]; /* ascending by start, without gaps */
};

void view_whole (struct view *view, struct view_source *source);
/* A stretch of another view; false if it does not lie in it, or in too many pieces. */
bool view_part (struct view *view, const struct view *of, uint64_t offset, uint64_t length);
/* Puts a stretch of another view behind what the view has. */
bool view_append (struct view *view, const struct view *of, uint64_t offset, uint64_t length);
bool view_read (const struct view *view, uint64_t offset, void *data, size_t length);
/* Where a byte of the view is on the disk; UINT64_MAX: beyond. */
uint64_t view_on_disk (const struct view *view, uint64_t offset);
