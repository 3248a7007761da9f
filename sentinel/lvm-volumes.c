/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The logical volumes of a group.  What people see and can remove is added.  Inside of it is looked only
 * where it is linear, on this physical volume alone, and no store of a snapshot's blocks; pieces of pools,
 * RAIDs and mirrors are no volumes of anybody's.  Format: lvm2, lib/format_text/import_vsn1.c.
 */
#include "bytes.h"
#include "lvm.h"

#include <stdio.h>

#define SEGMENTS_MAX 128u
#define VOLUMES_MAX 256u
#define STRINGS_MAX 512u /* of one volume: what its segments lie on is among the first */
#define LEVELS_MAX 6u    /* a thin volume, its pool, the pool's data, a RAID under it, an image of that */

struct volume {
  struct lvm_item item;
  bool visible, here;
  bool derived; /* a pool, a snapshot, or a snapshot's store: what is lost with it is another's, or a copy */
};

struct volumes {
  uint32_t n;
  struct volume of[VOLUMES_MAX];
};

static bool
same_id (const char *dashed, const char id[33])
{
  while (*id)
    if (*dashed == '-')
      dashed++;
    else if (*dashed++ != *id++)
      return false;
  return true;
}

/* The name that the volume group has for this volume, and where its extents start. */
static bool
find_self (struct lvm_text group, const struct pv *pv, char name[64], uint64_t *start)
{
  struct lvm_item volumes, volume;
  if (!lvm_find (group, "physical_volumes", &volumes))
    return false;
  while (lvm_next (&volumes.value, &volume)) {
    char id[64];
    lvm_string (volume.value, "id", id, sizeof id);
    if (!volume.is_section || !same_id (id, pv->id))
      continue;
    memcpy (name, volume.name, 64);
    *start = lvm_number (volume.value, "pe_start") * 512;
    return true;
  }
  return false;
}

/* Puts a volume's segments in order; false if any is not plain, or elsewhere. */
static bool
map_volume (const struct pv *pv, struct lvm_text volume, const char *self, uint64_t start, uint64_t extent,
            struct view *map)
{
  uint64_t n = lvm_number (volume, "segment_count");
  if (n == 0 || n > SEGMENTS_MAX)
    return false;
  for (uint64_t i = 1; i <= n; i++) {
    char name[32], type[16], stripe[64];
    struct lvm_item segment;
    uint64_t first;
    snprintf (name, sizeof name, "segment%u", (unsigned)i);
    if (!lvm_find (volume, name, &segment))
      return false;
    lvm_string (segment.value, "type", type, sizeof type);
    uint64_t count = lvm_number (segment.value, "extent_count");
    if (strcmp (type, "striped") || lvm_number (segment.value, "stripe_count") != 1
        || !lvm_stripe (segment.value, stripe, &first) || strcmp (stripe, self)
        || first > pv->view->length / extent || count > pv->view->length / extent
        || !view_append (map, pv->view, start + first * extent, count * extent))
      return false;
  }
  return true;
}

static bool
has_string (struct lvm_text section, const char *name, const char *wanted)
{
  struct lvm_item item;
  char value[64];
  if (!lvm_find (section, name, &item) || item.is_section)
    return false;
  while (lvm_quoted (&item.value, value, sizeof value))
    if (strcmp (value, wanted) == 0)
      return true;
  return false;
}

static struct volume *
find_volume (struct volumes *volumes, const char *name)
{
  for (uint32_t i = 0; i < volumes->n; i++)
    if (strcmp (volumes->of[i].item.name, name) == 0)
      return &volumes->of[i];
  return NULL;
}

/* Snapshots stand in the metadata as volumes that tie an origin to a store. */
static void
read_segment (struct volumes *volumes, struct volume *volume)
{
  struct lvm_item segment;
  char type[32], name[64];
  if (!lvm_find (volume->item.value, "segment1", &segment) || !segment.is_section)
    return;
  lvm_string (segment.value, "type", type, sizeof type);
  if (strcmp (type, "snapshot") == 0) {
    volume->visible = false;
    lvm_string (segment.value, "cow_store", name, sizeof name);
    struct volume *store = find_volume (volumes, name);
    if (store == NULL) {
      lvm_string (segment.value, "merging_store", name, sizeof name);
      store = find_volume (volumes, name);
    }
    if (store)
      store->derived = store->visible = true; /* under its name the snapshot is what people see */
  }
  lvm_string (segment.value, "origin", name, sizeof name);
  if (strcmp (type, "thin-pool") == 0 || strcmp (type, "cache-pool") == 0 || strcmp (type, "vdo-pool") == 0
      || (strcmp (type, "thin") == 0 && name[0]))
    volume->derived = true;
}

/* Whether a volume has a part on this physical volume, itself or through one that is known to. */
static bool
leads_here (struct volumes *volumes, const struct volume *volume, const char *self)
{
  struct lvm_text text = volume->item.value;
  char value[64];
  for (uint32_t i = 0; i < STRINGS_MAX && lvm_quoted (&text, value, sizeof value); i++) {
    const struct volume *other = find_volume (volumes, value);
    if (strcmp (value, self) == 0 || (other && other != volume && other->here))
      return true;
  }
  return false;
}

static void
read_volumes (struct volumes *volumes, struct lvm_text section, const char *self)
{
  while (volumes->n < VOLUMES_MAX && lvm_next (&section, &volumes->of[volumes->n].item))
    volumes->n += volumes->of[volumes->n].item.is_section;
  for (uint32_t i = 0; i < volumes->n; i++)
    volumes->of[i].visible = has_string (volumes->of[i].item.value, "status", "VISIBLE");
  for (uint32_t i = 0; i < volumes->n; i++)
    read_segment (volumes, &volumes->of[i]);
  for (uint32_t level = 0; level < LEVELS_MAX; level++)
    for (uint32_t i = 0; i < volumes->n; i++)
      if (!volumes->of[i].here)
        volumes->of[i].here = leads_here (volumes, &volumes->of[i], self);
}

static struct guardd_structure *
add_volume (struct probe *probe, const struct volume *volume, const struct view *map, const char *path)
{
  char id[64];
  struct guardd_structure *is = probe_add (probe, GUARDD_STRUCTURE_LV, map, path);
  if (is == NULL)
    return NULL;
  lvm_string (volume->item.value, "id", id, sizeof id);
  uint64_t digest = fnv (FNV_START, id, strlen (id));
  memcpy (is->uuid, &digest, sizeof digest);
  return is;
}

static void
probe_volume (struct probe *probe, const struct pv *pv, const struct volume *volume, bool mapped,
              struct view *map, const char *path)
{
  struct guardd_structure *is = add_volume (probe, volume, map, path);
  if (mapped && !volume->derived)
    probe_inside (probe, map, path);
  if (mapped || is == NULL)
    return;
  is->offset = view_on_disk (pv->view, 0);
  is->length = volume->here && !volume->derived ? pv->view->length : 0;
  is->flags |= GUARDD_STRUCTURE_OPAQUE;
}

/* Those that are here first: there may be more than can be told. */
static void
probe_where (struct probe *probe, const struct pv *pv, const struct volumes *volumes, const char *self,
             uint64_t start, uint64_t extent, bool here, const char *path)
{
  struct view *map = calloc (1, sizeof *map);
  for (uint32_t i = 0; i < volumes->n && map; i++) {
    const struct volume *volume = &volumes->of[i];
    if (!volume->visible || volume->here != here)
      continue;
    char inside[64];
    *map = (struct view){ .source = pv->view->source };
    bool mapped = here && map_volume (pv, volume->item.value, self, start, extent, map) && map->length > 0;
    if (!mapped)
      map->length = map->n_extents = 0;
    probe_path (inside, path, volume->item.name);
    probe_volume (probe, pv, volume, mapped, map, inside);
  }
  free (map);
}

void
lvm_probe_volumes (struct probe *probe, const struct pv *pv, struct lvm_text group, const char *path)
{
  char self[64];
  uint64_t start, extent = lvm_number (group, "extent_size") * 512;
  struct lvm_item section;
  bytes_autofree struct volumes *volumes = calloc (1, sizeof *volumes);
  if (volumes == NULL || extent == 0 || extent > pv->view->length || !find_self (group, pv, self, &start)
      || !lvm_find (group, "logical_volumes", &section))
    return;
  read_volumes (volumes, section.value, self);
  probe_where (probe, pv, volumes, self, start, extent, true, path);
  probe_where (probe, pv, volumes, self, start, extent, false, path);
}
