/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What XFS's transactions change of groups' headers and btrees: buffer items, whose regions are runs of
 * pieces of 128 bytes.  The newest content of each piece is kept; of leaves of the free-space btrees also
 * every stretch that was written down as free.  A freed block is used again only once the transaction that
 * freed it is in the log, so a block that was freed and written anew between two snapshots is seen here,
 * though both maps have it in use.
 */
#include "bytes.h"
#include "xfs.h"

#include <stdlib.h>

#define PIECE 128u
#define BASIC 512u
#define ITEM_BUFFER 0x123cu
#define BUFFER_HEADER 20u
#define TRANSACTION_MAGIC 0x5452414eu
#define TYPE_SHIFT 11
#define TYPE_BTREE 4u
#define TYPE_AGF 5u
#define TYPE_AGI 7u
#define SLOTS_MAX (1u << 17) /* 8 MiB of pieces */
#define FREE_MAX (1u << 19)

struct piece {
  uint64_t number; /* its offset / PIECE, plus 1; 0: the slot is empty */
  uint8_t data[PIECE];
};

struct stretch {
  uint32_t group, start, end;
};

struct xfs_items {
  struct piece *slots; /* open addressing; power of two */
  uint32_t n_slots, used;
  struct stretch *free;
  uint32_t n_free, room;
  bool lost; /* more was freed than is kept: any block may have been free */
};

static struct piece *
find (struct piece *slots, uint32_t n_slots, uint64_t number)
{
  uint32_t at = (uint32_t)(number * 0x9e3779b97f4a7c15u >> 40) & (n_slots - 1);
  while (slots[at].number != 0 && slots[at].number != number)
    at = (at + 1) & (n_slots - 1);
  return &slots[at];
}

static bool
grow (struct xfs_items *items)
{
  uint32_t n_slots = items->n_slots ? items->n_slots * 2 : 256;
  struct piece *slots = n_slots <= SLOTS_MAX ? calloc (n_slots, sizeof *slots) : NULL;
  if (slots == NULL)
    return false;
  for (uint32_t i = 0; i < items->n_slots; i++)
    if (items->slots[i].number != 0)
      *find (slots, n_slots, items->slots[i].number) = items->slots[i];
  free (items->slots);
  items->slots = slots;
  items->n_slots = n_slots;
  return true;
}

static bool
keep (struct xfs_items *items, uint64_t number, const uint8_t *data)
{
  if (items->used * 2 >= items->n_slots && !grow (items))
    return false;
  struct piece *slot = find (items->slots, items->n_slots, number + 1);
  items->used += slot->number == 0;
  slot->number = number + 1;
  memcpy (slot->data, data, PIECE);
  return true;
}

static void
add_free (struct xfs_items *items, uint32_t group, uint32_t start, uint32_t length)
{
  if (items->n_free == items->room) {
    uint32_t room = items->room ? items->room * 2 : 256;
    struct stretch *more = room <= FREE_MAX ? realloc (items->free, room * sizeof *more) : NULL;
    if (more == NULL) {
      items->lost = true;
      return;
    }
    items->free = more;
    items->room = room;
  }
  items->free[items->n_free++] = (struct stretch){ group, start, start + length };
}

struct buffer {
  uint64_t offset; /* bytes, of its first */
  uint32_t length;
  const uint8_t *map;
  uint32_t words;
};

static bool
is_logged (const struct buffer *buffer, uint32_t piece)
{
  return piece / 32 < buffer->words && le32 (buffer->map + 4 * (piece / 32)) >> piece % 32 & 1;
}

/* Free stretches in the pieces of a leaf that were logged; both btrees of free space have the same records.
 */
static void
take_leaf (struct xfs_items *items, const struct xfs *fs, const struct buffer *buffer)
{
  uint8_t header[16], record[8];
  uint32_t first = fs->version_5 ? 56 : 16,
           group = (uint32_t)(buffer->offset / ((uint64_t)fs->group_blocks * fs->block));
  if (buffer->length < first || !view_read (fs->view, buffer->offset, header, sizeof header))
    return;
  xfs_items_apply (items, buffer->offset, header, sizeof header);
  bool is_leaf = be16 (header + 4) == 0
                 && (memcmp (header, "ABTB", 4) == 0 || memcmp (header, "AB3B", 4) == 0
                     || memcmp (header, "ABTC", 4) == 0 || memcmp (header, "AB3C", 4) == 0);
  uint32_t n = be16 (header + 6), most = (buffer->length - first) / 8;
  for (uint32_t i = 0; is_leaf && i < n && i < most; i++) {
    uint32_t at = first + 8 * i;
    if (!is_logged (buffer, at / PIECE))
      continue;
    const struct piece *slot = find (items->slots, items->n_slots, (buffer->offset + at) / PIECE + 1);
    if (slot->number == 0)
      continue;
    memcpy (record, slot->data + at % PIECE, sizeof record);
    if (be32 (record) < fs->group_blocks && be32 (record + 4) <= fs->group_blocks - be32 (record))
      add_free (items, group, be32 (record), be32 (record + 4));
  }
}

/* The runs of a buffer; regions: those behind its header. */
static bool
take_buffer (struct xfs_items *items, const struct xfs *fs, const struct buffer *buffer, const uint8_t *data,
             const uint32_t *lengths, uint32_t n_regions)
{
  uint32_t piece = 0, end = buffer->length / PIECE;
  for (uint32_t i = 0; i < n_regions; i++) {
    while (piece < end && !is_logged (buffer, piece))
      piece++;
    for (uint32_t at = 0; at + PIECE <= lengths[i] && piece < end && is_logged (buffer, piece);
         at += PIECE, piece++)
      if (!keep (items, buffer->offset / PIECE + piece, data + at))
        return false;
    data += lengths[i];
  }
  return true;
}

static bool
take_item (struct xfs_items *items, const struct xfs *fs, const uint8_t *data, const uint32_t *lengths,
           uint32_t n_regions, bool after)
{
  if (lengths[0] < BUFFER_HEADER || le16 (data) != ITEM_BUFFER)
    return true;
  uint32_t type = le16 (data + 4) >> TYPE_SHIFT;
  struct buffer buffer = { .offset = le64 (data + 8) * BASIC,
                           .length = le16 (data + 6) * BASIC,
                           .map = data + BUFFER_HEADER,
                           .words = le32 (data + 16) };
  if (buffer.words > (lengths[0] - BUFFER_HEADER) / 4)
    buffer.words = (lengths[0] - BUFFER_HEADER) / 4;
  if ((type != TYPE_BTREE && type != TYPE_AGF && type != TYPE_AGI) || buffer.offset >= fs->view->length)
    return true;
  if (!take_buffer (items, fs, &buffer, data + lengths[0], lengths + 1, n_regions - 1))
    return false;
  if (type == TYPE_BTREE && after && items->n_slots > 0)
    take_leaf (items, fs, &buffer);
  return true;
}

struct xfs_items *
xfs_items_new (void)
{
  return calloc (1, sizeof (struct xfs_items));
}

void
xfs_items_free (struct xfs_items *items)
{
  if (items == NULL)
    return;
  free (items->slots);
  free (items->free);
  free (items);
}

bool
xfs_items_take (struct xfs_items *items, const struct xfs *fs, const uint8_t *data, const uint32_t *lengths,
                uint32_t n_regions, bool after)
{
  /* The first region is the transaction's own header. */
  if (n_regions == 0 || lengths[0] < 4 || le32 (data) != TRANSACTION_MAGIC)
    return true;
  data += lengths[0];
  for (uint32_t i = 1; i < n_regions;) {
    uint32_t n = lengths[i] >= 4 ? le16 (data + 2) : 0;
    if (n == 0 || n > n_regions - i)
      return true;
    if (!take_item (items, fs, data, lengths + i, n, after))
      return false;
    for (uint32_t end = i + n; i < end; i++)
      data += lengths[i];
  }
  return true;
}

void
xfs_items_apply (const struct xfs_items *items, uint64_t offset, uint8_t *data, size_t length)
{
  for (uint64_t at = offset / PIECE * PIECE; items->n_slots > 0 && at < offset + length; at += PIECE) {
    const struct piece *slot = find (items->slots, items->n_slots, at / PIECE + 1);
    if (slot->number == 0)
      continue;
    uint64_t from = at < offset ? offset : at;
    uint64_t to = at + PIECE < offset + length ? at + PIECE : offset + length;
    memcpy (data + (from - offset), slot->data + (from - at), to - from);
  }
}

static int
compare (const void *a, const void *b)
{
  const struct stretch *left = a, *right = b;
  if (left->group != right->group)
    return left->group < right->group ? -1 : 1;
  return (left->start > right->start) - (left->start < right->start);
}

void
xfs_items_settle (struct xfs_items *items)
{
  uint32_t n = 0;
  if (items->n_free == 0)
    return;
  qsort (items->free, items->n_free, sizeof *items->free, compare);
  for (uint32_t i = 1; i < items->n_free; i++) {
    struct stretch *last = &items->free[n], *is = &items->free[i];
    if (is->group != last->group || is->start > last->end)
      items->free[++n] = *is;
    else if (is->end > last->end)
      last->end = is->end;
  }
  items->n_free = n + 1;
}

bool
xfs_items_was_free (const struct xfs_items *items, uint32_t group, uint32_t block)
{
  uint32_t low = 0, high = items->n_free;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const struct stretch *is = &items->free[middle];
    if (is->group < group || (is->group == group && is->end <= block))
      low = middle + 1;
    else
      high = middle;
  }
  return items->lost
         || (low < items->n_free && items->free[low].group == group && items->free[low].start <= block);
}
