/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XFS's log, walked but not replayed: records from its tail (or from where an earlier snapshot ended) to its
 * head, put together into transactions; only committed ones count.  Each block of 512 bytes begins with the
 * number of the cycle in which it was written, which is where head and holes are seen.
 * Positions are counted in blocks since the log's first cycle, so that they only grow.
 */
#include "bytes.h"
#include "xfs.h"

#define BASIC 512u
#define RECORD_MAGIC 0xfeedbabeu
#define RECORD_MAX (256u * 1024)
#define HEADER_COVERS (32u * 1024) /* bytes of data whose first words one header block keeps */
#define PER_HEADER (HEADER_COVERS / BASIC)
/* Behind it only what is newest counts, and headers of groups that change are in each of the last
 * checkpoints. */
#define LIVE_MAX (4u * 1024 * 1024 / BASIC)
#define SINCE_MAX (16u * 1024 * 1024 / BASIC)
#define BACK_MAX (2 * (RECORD_MAX / BASIC + 8))
#define PIECE 64u /* blocks read at once on the way back */

#define OP_HEADER 12u
#define OP_COMMIT 2u
#define OP_CONTINUES 4u
#define OP_CONTINUED 8u
#define OP_START 1u
#define OP_UNMOUNT 32u
#define OPEN_MAX 8u
#define TRANSACTION_MAX (16u * 1024 * 1024)

struct transaction {
  uint32_t id; /* 0: this slot is free */
  uint8_t *data;
  size_t length, room;
  uint32_t *lengths;
  uint32_t n_regions, room_regions;
};

struct xfs_log {
  struct xfs_items *items;
  uint64_t head;
  bool since_known; /* all from the earlier snapshot's head on was walked */
  struct transaction open[OPEN_MAX];
};

struct walk {
  struct xfs *fs;
  struct xfs_log *log;
  uint64_t size;   /* blocks */
  uint8_t *record; /* RECORD_MAX */
  uint8_t *header; /* its header blocks */
};

static bool
read_blocks (const struct xfs *fs, uint64_t position, uint32_t n, uint8_t *to)
{
  uint64_t size = fs->log_blocks;
  while (n > 0) {
    uint64_t at = position % size;
    uint32_t take = size - at < n ? (uint32_t)(size - at) : n;
    if (!view_read (fs->view, fs->log_start + at * BASIC, to, (size_t)take * BASIC))
      return false;
    to += (size_t)take * BASIC;
    position += take;
    n -= take;
  }
  return true;
}

static uint32_t
cycle_of (const uint8_t *block)
{
  return be32 (block) == RECORD_MAGIC ? be32 (block + 4) : be32 (block);
}

static bool
read_cycle (const struct xfs *fs, uint64_t block, uint32_t *cycle)
{
  uint8_t data[BASIC];
  if (!read_blocks (fs, block, 1, data))
    return false;
  *cycle = cycle_of (data);
  return true;
}

/* The position behind the newest block. */
static bool
find_head (const struct xfs *fs, uint64_t *head)
{
  uint32_t first, last, cycle;
  uint64_t low = 0, high = fs->log_blocks - 1;
  if (!read_cycle (fs, 0, &first) || !read_cycle (fs, high, &last) || first == 0)
    return false;
  if (first == last) {
    *head = ((uint64_t)first + 1) * fs->log_blocks;
    return true;
  }
  if (last != 0 && last != first - 1)
    return false;
  while (low + 1 < high) {
    uint64_t middle = low + (high - low) / 2;
    if (!read_cycle (fs, middle, &cycle))
      return false;
    if (cycle == first)
      low = middle;
    else
      high = middle;
  }
  *head = (uint64_t)first * fs->log_blocks + high;
  return true;
}

/* The tail, by the newest record before the head. */
static bool
find_tail (const struct xfs *fs, uint64_t head, uint64_t *tail)
{
  uint8_t piece[PIECE * BASIC];
  for (uint32_t back = 0; back < BACK_MAX && back + PIECE <= fs->log_blocks && head > back + PIECE;
       back += PIECE) {
    uint64_t from = head - back - PIECE;
    if (!read_blocks (fs, from, PIECE, piece))
      return false;
    for (uint32_t i = PIECE; i-- > 0;) {
      const uint8_t *block = piece + i * BASIC;
      if (be32 (block) != RECORD_MAGIC || be32 (block + 4) != (from + i) / fs->log_blocks)
        continue;
      *tail = (uint64_t)be32 (block + 24) * fs->log_blocks + be32 (block + 28);
      return *tail <= head && head - *tail <= fs->log_blocks;
    }
  }
  return false;
}

/* --- transactions --- */

static struct transaction *
find_transaction (struct xfs_log *log, uint32_t id)
{
  for (uint32_t i = 0; i < OPEN_MAX; i++)
    if (log->open[i].id == id)
      return &log->open[i];
  return NULL;
}

static void
forget (struct transaction *transaction)
{
  transaction->id = 0;
  transaction->length = 0;
  transaction->n_regions = 0;
}

static bool
grow (void **memory, size_t needed, size_t unit, size_t most, size_t *room)
{
  size_t wanted = *room ? *room : 4096;
  while (wanted < needed)
    wanted *= 2;
  if (wanted > most)
    return false;
  if (wanted != *room) {
    void *more = realloc (*memory, wanted * unit);
    if (more == NULL)
      return false;
    *memory = more;
    *room = wanted;
  }
  return true;
}

static bool
add_region (struct transaction *to, const uint8_t *data, uint32_t length, bool continued)
{
  size_t room_regions = to->room_regions;
  void *bytes = to->data, *lengths = to->lengths;
  if (!grow (&bytes, to->length + length, 1, TRANSACTION_MAX, &to->room))
    return false;
  to->data = bytes;
  if (!grow (&lengths, to->n_regions + 1, sizeof *to->lengths, TRANSACTION_MAX / 16, &room_regions))
    return false;
  to->lengths = lengths;
  to->room_regions = (uint32_t)room_regions;
  if (length > 0)
    memcpy (to->data + to->length, data, length);
  to->length += length;
  if (continued && to->n_regions > 0)
    to->lengths[to->n_regions - 1] += length;
  else
    to->lengths[to->n_regions++] = length;
  return true;
}

static bool
take_op (struct walk *walk, const uint8_t *op, const uint8_t *data, uint32_t length, bool after)
{
  uint32_t id = be32 (op), flags = op[9];
  struct transaction *transaction = id ? find_transaction (walk->log, id) : NULL;
  if (flags & OP_UNMOUNT || id == 0)
    return true;
  if (flags & OP_START && transaction == NULL) {
    transaction = find_transaction (walk->log, 0);
    if (transaction == NULL)
      return false;
    transaction->id = id;
  }
  if (transaction == NULL)
    return true; /* it began before where the walk does */
  if (length > 0 && !add_region (transaction, data, length, flags & OP_CONTINUED))
    return false;
  if (!(flags & OP_COMMIT))
    return true;
  bool taken = xfs_items_take (walk->log->items, walk->fs, transaction->data, transaction->lengths,
                               transaction->n_regions, after);
  forget (transaction);
  return taken;
}

/* --- records --- */

/* Puts back the words whose places the cycle's numbers take; false: a block is another cycle's. */
static bool
restore_words (const struct walk *walk, uint64_t position, uint32_t n_header, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) {
    uint8_t *block = walk->record + (size_t)i * BASIC;
    uint32_t nth = i / PER_HEADER;
    if (be32 (block) != (position + n_header + i) / walk->size || nth >= n_header)
      return false;
    const uint8_t *words = walk->header + (size_t)nth * BASIC + (nth == 0 ? 44 : 4);
    memcpy (block, words + (size_t)(i % PER_HEADER) * 4, 4);
  }
  return true;
}

/* *position is moved behind the record; false: the log ends here. */
static bool
take_record (struct walk *walk, uint64_t *position, uint64_t head, uint64_t since)
{
  const uint8_t *header = walk->header;
  if (!read_blocks (walk->fs, *position, 1, walk->header) || be32 (header) != RECORD_MAGIC
      || be32 (header + 4) != *position / walk->size)
    return false;
  uint32_t length = be32 (header + 12), ops = be32 (header + 40), size = be32 (header + 320), n_header = 1;
  if (be32 (header + 8) & 2 && size > HEADER_COVERS && size <= RECORD_MAX)
    n_header = (size + HEADER_COVERS - 1) / HEADER_COVERS;
  uint32_t n = (length + BASIC - 1) / BASIC;
  if (length > RECORD_MAX || n_header + n > head - *position
      || !read_blocks (walk->fs, *position + 1, n_header - 1, walk->header + BASIC)
      || !read_blocks (walk->fs, *position + n_header, n, walk->record)
      || !restore_words (walk, *position, n_header, n))
    return false;
  bool little = be32 (header + 300) == 1;
  for (uint32_t at = 0; little && ops > 0 && at + OP_HEADER <= length; ops--) {
    const uint8_t *op = walk->record + at;
    uint32_t op_length = be32 (op + 4);
    at += OP_HEADER;
    if (op_length > length - at)
      return false;
    if (!take_op (walk, op, walk->record + at, op_length, *position >= since))
      return false;
    at += op_length;
  }
  walk->fs->late = walk->fs->late || !little;
  *position += n_header + n;
  return true;
}

/* Where to begin when the tail is too far behind: at a record's first block. */
static bool
find_record (const struct xfs *fs, uint64_t *position, uint64_t head)
{
  uint8_t block[BASIC];
  for (uint32_t tries = 0; *position < head && tries < RECORD_MAX / BASIC + 8; tries++, ++*position)
    if (!read_blocks (fs, *position, 1, block))
      return false;
    else if (be32 (block) == RECORD_MAGIC)
      return true;
  return false;
}

static bool
walk_log (struct walk *walk, uint64_t since)
{
  struct xfs *fs = walk->fs;
  uint64_t head, tail;
  if (!find_head (fs, &head) || !find_tail (fs, head, &tail))
    return false;
  uint64_t position = tail;
  walk->log->since_known
      = since != 0 && since <= head && head - since <= SINCE_MAX && head - since < walk->size;
  if (walk->log->since_known && since < position)
    position = since;
  uint64_t most = walk->log->since_known ? SINCE_MAX : LIVE_MAX;
  if (head - position > most) {
    fs->late = true;
    position = head - most;
    if (!find_record (fs, &position, head))
      return false;
  }
  while (position < head && take_record (walk, &position, head, since))
    ;
  walk->log->since_known = walk->log->since_known && position >= since;
  walk->log->head = position;
  xfs_items_settle (walk->log->items);
  return true;
}

struct xfs_log *
xfs_log_read (struct xfs *fs, uint64_t since)
{
  struct xfs_log *log = calloc (1, sizeof *log);
  bytes_autofree uint8_t *record = malloc (RECORD_MAX), *header = malloc (RECORD_MAX / PER_HEADER);
  struct walk walk = { .fs = fs, .log = log, .size = fs->log_blocks, .record = record, .header = header };
  if (log)
    log->items = xfs_items_new ();
  if (log && log->items && record && header && fs->log_blocks > 2 * PIECE && walk_log (&walk, since))
    return log;
  fs->late = true;
  xfs_log_free (log);
  return NULL;
}

void
xfs_log_free (struct xfs_log *log)
{
  if (log == NULL)
    return;
  for (uint32_t i = 0; i < OPEN_MAX; i++) {
    free (log->open[i].data);
    free (log->open[i].lengths);
  }
  xfs_items_free (log->items);
  free (log);
}

uint64_t
xfs_head (const struct xfs *fs)
{
  return fs->log ? fs->log->head : 0;
}

bool
xfs_read (const struct xfs *fs, uint64_t offset, void *data, size_t length)
{
  if (!view_read (fs->view, offset, data, length))
    return false;
  if (fs->log)
    xfs_items_apply (fs->log->items, offset, data, length);
  return true;
}

enum xfs_was
xfs_was_free (const struct xfs *fs, uint32_t group, uint32_t block)
{
  if (fs->log == NULL || !fs->log->since_known)
    return XFS_WAS_UNKNOWN;
  return xfs_items_was_free (fs->log->items, group, block) ? XFS_WAS_FREE : XFS_WAS_KEPT;
}
