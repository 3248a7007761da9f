/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "place.h"

#include "btrfs.h"
#include "bytes.h"
#include "content.h"
#include "packed.h"
#include "place-map.h"

#define PIECE PLACE_PIECE
/* Bytes that are read to see whether tables have their form; the first where they mostly have. */
#define FORM_MAX (256u << 10)
#define FORM_SUSPICIOUS_MAX (1u << 20)
/* The same to see that no file was lost where much is zero now; so many that lost one leave no doubt. */
#define SPARED_MAX (32u << 20)
#define LOST_ENOUGH 16u
/* And of tables to learn which files were written, where so much was overwritten with what is suspicious. */
#define NOTED_MAX (64u << 20)
#define NOTED_EACH (16u << 20) /* each time that maps are opened */
#define OVERWRITTEN_MIN (1u << 20)

struct maps {
  struct guardd_observation *seen;
  const struct probe_views *views;
  struct view_source *before;
  const struct wire_run *runs;
  uint32_t n_runs;
  uint32_t open; /* whose maps are open; GUARDD_STRUCTURES_MAX: nobody's */
  struct view view_before;
  struct place_map *map;             /* NULL: they cannot be read */
  bool added[GUARDD_STRUCTURES_MAX]; /* what was freed of it */
  uint64_t form_bytes, spared_bytes; /* read so far */
  uint64_t noted_left;               /* may still be read */
  uint32_t lost;                     /* pieces that were not spared */
};

/* The innermost structure that holds a byte of the disk; *inside: where in it. */
static uint32_t
find_structure (const struct maps *maps, uint64_t offset, uint64_t *inside)
{
  for (uint32_t i = maps->seen->n_structures; i-- > 0;) {
    const struct view *view = &maps->views->of[i];
    for (uint32_t n = 0; n < view->n_extents; n++) {
      const struct view_extent *extent = &view->extents[n];
      if (offset >= extent->offset && offset - extent->offset < extent->length) {
        *inside = extent->start + (offset - extent->offset);
        return i;
      }
    }
  }
  return GUARDD_STRUCTURES_MAX;
}

/* What the blocks of a sample are. */
struct kinds {
  uint32_t read, low, high, packed;
};

static struct kinds
look_at (const struct place_sample *sample, const struct view *view)
{
  struct kinds kinds = { 0 };
  uint8_t data[PIECE];
  for (uint32_t i = 0; i < sample->n; i++) {
    if (!view_read (view, sample->at[i], data, sizeof data))
      continue;
    bool ordinary = content_is_ordinary (data);
    kinds.read++;
    kinds.low += ordinary && !bytes_are_zero (data, sizeof data);
    kinds.high += !ordinary;
    kinds.packed += packed_begins (data);
  }
  return kinds;
}

/* How many of the bytes that a sample stands for. */
static uint64_t
share (const struct place_sample *sample, const struct kinds *kinds, uint32_t n)
{
  return kinds->read ? (uint64_t)((double)sample->bytes * n / kinds->read) : 0;
}

static void
add_freed (struct maps *maps)
{
  struct place_freed freed = { 0 };
  struct guardd_exchange *exchange = &maps->seen->exchange;
  maps->map->freed (maps->map, &freed);
  struct kinds gone = look_at (&freed.gone, &maps->view_before);
  struct kinds taken = look_at (&freed.taken, &maps->views->of[maps->open]);
  exchange->freed_bytes += freed.gone.bytes;
  exchange->freed_low_bytes += share (&freed.gone, &gone, gone.low);
  exchange->taken_bytes += freed.taken.bytes;
  exchange->taken_high_bytes += share (&freed.taken, &taken, taken.high);
  exchange->taken_packed_bytes += share (&freed.taken, &taken, taken.packed);
  exchange->freed_inodes += freed.inodes;
  exchange->new_inodes += freed.new_inodes;
}

static void
close_maps (struct maps *maps)
{
  if (maps->map && maps->map->freed && !maps->added[maps->open]) {
    maps->added[maps->open] = true;
    add_freed (maps);
  }
  if (maps->map)
    maps->map->close (maps->map);
  maps->map = NULL;
  maps->open = GUARDD_STRUCTURES_MAX;
}

static uint64_t
all_read (const struct maps *maps)
{
  return maps->views->of[maps->open].source->read_bytes + maps->before->read_bytes;
}

static bool
is_much_overwritten (const struct maps *maps)
{
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < maps->n_runs && bytes < OVERWRITTEN_MIN; i++) {
    uint64_t kind = maps->runs[i].kind;
    if (kind < GUARDD_CHANGE_CLASSES && kind != GUARDD_CHANGE_OTHER && kind != GUARDD_CHANGE_FROM_ZERO
        && kind != GUARDD_CHANGE_ZERO_TO_HIGH)
      bytes += maps->runs[i].length;
  }
  return bytes >= OVERWRITTEN_MIN;
}

/* What of a run lies in an extent of the structure whose maps are open. */
static void
note_part (struct maps *maps, const struct wire_run *run, const struct view_extent *extent, uint64_t *left)
{
  uint64_t at = run->offset > extent->offset ? run->offset : extent->offset;
  uint64_t run_end = run->offset + run->length, end = extent->offset + extent->length;
  end = run_end < end ? run_end : end;
  if (at < end)
    *left -= maps->map->note (maps->map, extent->start + (at - extent->offset), end - at, *left);
}

static void
note_changes (struct maps *maps)
{
  const struct view *view = &maps->views->of[maps->open];
  uint64_t most = maps->noted_left < NOTED_EACH ? maps->noted_left : NOTED_EACH, left = most;
  if (!is_much_overwritten (maps))
    return;
  for (uint32_t i = 0; i < maps->n_runs; i++)
    for (uint32_t n = 0; n < view->n_extents && maps->runs[i].kind == WIRE_CHANGED; n++)
      note_part (maps, &maps->runs[i], &view->extents[n], &left);
  maps->noted_left -= most - left;
}

static void
open_maps (struct maps *maps, uint32_t structure)
{
  const struct view *now = &maps->views->of[structure];
  close_maps (maps);
  maps->open = structure;
  maps->view_before = *now;
  maps->view_before.source = maps->before;
  if (maps->before->size == 0)
    return;
  switch (maps->seen->structures[structure].kind) {
  case GUARDD_STRUCTURE_EXT:
    maps->map = ext_place_open (now, &maps->view_before);
    break;
  case GUARDD_STRUCTURE_XFS:
    maps->map = xfs_place_open (now, &maps->view_before);
    break;
  case GUARDD_STRUCTURE_NTFS:
    maps->map = ntfs_place_open (now, &maps->view_before);
    break;
  }
  if (maps->map && maps->map->note)
    note_changes (maps);
}

static bool
is_suspicious (uint64_t kind)
{
  return kind != GUARDD_CHANGE_OTHER && kind != GUARDD_CHANGE_FROM_ZERO && kind != GUARDD_CHANGE_LOW_TO_MID;
}

static bool
is_spared (struct maps *maps, uint64_t inside, enum guardd_change_place place, uint64_t kind)
{
  bool cleared = kind == GUARDD_CHANGE_TO_ZERO || kind == GUARDD_CHANGE_COLLAPSED;
  if (place != GUARDD_PLACE_METADATA || !cleared || maps->map->spared == NULL || maps->lost >= LOST_ENOUGH
      || maps->spared_bytes >= SPARED_MAX)
    return false;
  uint64_t read = all_read (maps);
  bool spared = maps->map->spared (maps->map, inside);
  maps->spared_bytes += all_read (maps) - read;
  maps->lost += !spared;
  return spared;
}

static bool
is_ruined (struct maps *maps, uint64_t inside, enum guardd_change_place place, uint64_t kind)
{
  bool suspicious = is_suspicious (kind);
  if (maps->map->ruined == NULL || (!suspicious && place != GUARDD_PLACE_METADATA)
      || maps->form_bytes >= (suspicious ? FORM_SUSPICIOUS_MAX : FORM_MAX))
    return false;
  uint64_t read = all_read (maps);
  bool ruined = maps->map->ruined (maps->map, inside, place);
  maps->form_bytes += all_read (maps) - read;
  return ruined;
}

static enum guardd_change_place
place_of (struct maps *maps, uint64_t offset, uint64_t kind)
{
  uint64_t inside;
  uint32_t structure = find_structure (maps, offset, &inside);
  if (structure == GUARDD_STRUCTURES_MAX)
    return GUARDD_PLACE_UNKNOWN;
  if (structure != maps->open)
    open_maps (maps, structure);
  if (maps->map == NULL)
    return GUARDD_PLACE_UNKNOWN;
  enum guardd_change_place place = maps->map->of (maps->map, inside);
  return is_spared (maps, inside, place, kind)   ? GUARDD_PLACE_FREE
         : is_ruined (maps, inside, place, kind) ? GUARDD_PLACE_RUINED
                                                 : place;
}

void
place_runs (struct guardd_observation *seen, const struct probe_views *views, struct view_source *before,
            const struct wire_run *runs, uint32_t n_runs, uint64_t factor)
{
  struct maps *maps = calloc (1, sizeof *maps);
  if (maps == NULL)
    return;
  *maps = (struct maps){ .seen = seen,
                         .views = views,
                         .before = before,
                         .runs = runs,
                         .n_runs = n_runs,
                         .noted_left = NOTED_MAX,
                         .open = GUARDD_STRUCTURES_MAX };
  for (uint32_t i = 0; i < n_runs; i++) {
    if (runs[i].kind >= GUARDD_CHANGE_CLASSES)
      continue;
    uint64_t counts = PIECE * (runs[i].kind == GUARDD_CHANGE_TO_ZERO ? 1 : factor);
    for (uint64_t at = 0; at < runs[i].length; at += PIECE)
      seen->changed[runs[i].kind][place_of (maps, runs[i].offset + at, runs[i].kind)] += counts;
  }
  close_maps (maps);
  free (maps);
  for (uint32_t i = 0; i < seen->n_structures && before->size > 0; i++)
    if (seen->structures[i].kind == GUARDD_STRUCTURE_BTRFS) {
      struct view then = views->of[i];
      then.source = before;
      btrfs_add_changes (seen, &views->of[i], &then);
    }
}
