/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jbd2's log, walked but not replayed: which blocks have a newer content in it, and where.
 * Only transactions with their commit block count.  Format: Documentation/filesystems/ext4/journal.rst.
 */
#include "bytes.h"
#include "ext.h"

#define MAGIC 0xc03b3998u
#define DESCRIPTOR 1u
#define COMMIT 2u
#define REVOKE 5u
#define INCOMPAT_64BIT 2u
#define INCOMPAT_ASYNC_COMMIT 4u
#define INCOMPAT_CSUM_V2 8u
#define INCOMPAT_CSUM_V3 16u
#define INCOMPAT_FAST_COMMIT 32u
#define TAG_ESCAPE 1u
#define TAG_SAME_UUID 2u
#define TAG_DELETED 4u
#define TAG_LAST 8u
#define SLOTS_MAX (1u << 18)
#define VERSIONS_MAX (1u << 18)
#define WINDOW_BLOCKS 16u
#define NEAR 4u /* blocks: a log of small transactions is read in windows, others by what is needed */
#define WALK_MAX (32u << 20) /* bytes; a guest that syncs all the time has a log of gigabytes behind it */

struct entry {
  uint64_t block; /* home; 0: the slot is empty (nobody journals block 0 of a filesystem that has a journal
                     with larger blocks than 1 KiB but as the superblock, which is not asked for) */
  uint32_t log;   /* where in the log */
  uint32_t sequence;
  bool escaped;
};

struct ext_journal {
  uint8_t i_block[60];
  uint32_t first, end, incompat; /* blocks of the log: [first, end) */
  struct entry *slots;           /* open addressing; power of two */
  uint32_t n_slots, used;
  struct entry *taken; /* the tags of the transaction that is walked */
  uint32_t n_taken, room;
  uint8_t *window; /* WINDOW_BLOCKS from window_log on */
  uint32_t window_log, window_n, last;
  uint64_t walked;              /* bytes */
  uint32_t tail, tail_sequence; /* the first transaction of the log; tail 0: it is clean */
  uint32_t next, sequence;      /* where the next transaction is going to be */
};

static bool
read_log (struct ext_journal *journal, struct ext *fs, uint32_t log, void *data, size_t length)
{
  uint64_t block = ext_map_block (fs, journal->i_block, log);
  return block != 0 && view_read (fs->view, block * fs->block_size, data, length);
}

/* For walking: a look at the next few blocks costs what one costs.  The window is freed with the journal,
 * which gcc 12's analyzer does not see. */
static const uint8_t *
read_window (struct ext_journal *journal, struct ext *fs, uint32_t log)
{
  if (log >= journal->window_log && log - journal->window_log < journal->window_n)
    return journal->window + (size_t)(log - journal->window_log) * fs->block_size;
  uint64_t block = ext_map_block (fs, journal->i_block, log);
  uint32_t n = log - journal->last <= NEAR ? WINDOW_BLOCKS : 1;
  if (n > journal->end - log)
    n = journal->end - log;
  if (n > 1 && ext_map_block (fs, journal->i_block, log + n - 1) != block + n - 1)
    n = 1;
  if (journal->window == NULL)
    journal->window = malloc ((size_t)WINDOW_BLOCKS * fs->block_size);
  journal->window_n = 0;
  journal->walked += (uint64_t)n * fs->block_size;
  if (journal->window == NULL || block == 0 || journal->walked > WALK_MAX
      || !view_read (fs->view, block * fs->block_size, journal->window, (size_t)n * fs->block_size))
    return NULL;
  journal->window_log = log;
  journal->window_n = n;
  journal->last = log + n - 1;
  return journal->window;
}

static struct entry *
find (struct entry *slots, uint32_t n_slots, uint64_t block)
{
  uint32_t at = (uint32_t)(block * 0x9e3779b97f4a7c15u >> 40) & (n_slots - 1);
  while (slots[at].block != 0 && slots[at].block != block)
    at = (at + 1) & (n_slots - 1);
  return &slots[at];
}

static bool
grow (struct ext_journal *journal)
{
  uint32_t n_slots = journal->n_slots ? journal->n_slots * 2 : 1024;
  if (n_slots > SLOTS_MAX)
    return false;
  struct entry *slots = calloc (n_slots, sizeof *slots);
  if (slots == NULL)
    return false;
  for (uint32_t i = 0; i < journal->n_slots; i++)
    if (journal->slots[i].block != 0)
      *find (slots, n_slots, journal->slots[i].block) = journal->slots[i];
  free (journal->slots);
  journal->slots = slots;
  journal->n_slots = n_slots;
  return true;
}

static bool
remember (struct ext_journal *journal, struct entry entry)
{
  if (entry.block == 0)
    return true;
  if (journal->used * 2 >= journal->n_slots && !grow (journal))
    return false;
  struct entry *slot = find (journal->slots, journal->n_slots, entry.block);
  journal->used += slot->block == 0;
  *slot = entry;
  return true;
}

/* The inode number 8, by the copy in the superblock or from the first inode table. */
static bool
find_inode (struct ext *fs, uint8_t i_block[60])
{
  if (fs->super[0xfd] == 1) {
    memcpy (i_block, fs->super + 0x10c, 60);
    return true;
  }
  uint8_t descriptor[64] = { 0 }, inode[128];
  uint64_t at = (uint64_t)(fs->first_block + 1) * fs->block_size;
  if (!view_read (fs->view, at, descriptor, fs->descriptor_size < 64 ? 32 : 64))
    return false;
  uint64_t table = le32 (descriptor + 8);
  if (fs->descriptor_size >= 64)
    table |= (uint64_t)le32 (descriptor + 0x28) << 32;
  if (table >= fs->blocks
      || !view_read (fs->view, table * fs->block_size + 7ull * fs->inode_size, inode, sizeof inode))
    return false;
  memcpy (i_block, inode + 40, 60);
  return true;
}

static uint32_t
next (const struct ext_journal *journal, uint32_t log)
{
  return log + 1 >= journal->end ? journal->first : log + 1;
}

static size_t
tag_size (const struct ext_journal *journal)
{
  if (journal->incompat & INCOMPAT_CSUM_V3)
    return 16;
  return (journal->incompat & INCOMPAT_64BIT ? 12 : 8) + (journal->incompat & INCOMPAT_CSUM_V2 ? 2 : 0);
}

/* Freed with the journal: gcc 12's analyzer takes it for lost. */
static bool
take (struct ext_journal *journal, struct entry entry)
{
  if (journal->taken == NULL || journal->n_taken == journal->room) {
    uint32_t room = journal->room ? journal->room * 2 : 256;
    struct entry *more = room <= VERSIONS_MAX ? realloc (journal->taken, room * sizeof *more) : NULL;
    if (more == NULL)
      return false;
    journal->taken = more;
    journal->room = room;
  }
  journal->taken[journal->n_taken++] = entry;
  return true;
}

/* Takes the tags of a descriptor block.  *log: the descriptor's place; becomes that of the block after its
 * data. */
static bool
take_tags (struct ext_journal *journal, const struct ext *fs, const uint8_t *block, uint32_t sequence,
           uint32_t *log)
{
  bool v3 = journal->incompat & INCOMPAT_CSUM_V3;
  size_t size = tag_size (journal), at = 12;
  size_t end = fs->block_size - (journal->incompat & (INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3) ? 4 : 0);
  uint32_t flags = 0;
  *log = next (journal, *log);
  while (!(flags & TAG_LAST) && at + size <= end) {
    const uint8_t *tag = block + at;
    uint64_t home = be32 (tag);
    flags = v3 ? be32 (tag + 4) : be16 (tag + 6);
    if (journal->incompat & INCOMPAT_64BIT)
      home |= (uint64_t)be32 (tag + 8) << 32;
    struct entry entry = { home, *log, sequence, flags & TAG_ESCAPE };
    if (!(flags & TAG_DELETED) && !take (journal, entry))
      return false;
    at += size + (flags & TAG_SAME_UUID ? 0 : 16);
    *log = next (journal, *log);
  }
  return true;
}

/* What is in place counts from here on; block 0 of the log is its superblock. */
static bool
take_revokes (struct ext_journal *journal, const struct ext *fs, const uint8_t *block, uint32_t sequence)
{
  uint32_t end = be32 (block + 12), size = journal->incompat & INCOMPAT_64BIT ? 8 : 4;
  for (uint32_t at = 16; at + size <= end && end <= fs->block_size; at += size) {
    struct entry entry = { size == 8 ? be64 (block + at) : be32 (block + at), 0, sequence, false };
    if (!take (journal, entry))
      return false;
  }
  return true;
}

/* One transaction, whose tags are in journal->taken then; false: it ends the log.  *log is moved behind its
 * commit block. */
static bool
walk_transaction (struct ext_journal *journal, struct ext *fs, uint32_t sequence, uint32_t *log)
{
  journal->n_taken = 0;
  for (uint32_t steps = journal->end - journal->first; steps > 0; steps--) {
    const uint8_t *block = read_window (journal, fs, *log);
    if (block == NULL)
      fs->approximate = true;
    if (block == NULL || be32 (block) != MAGIC || be32 (block + 8) != sequence)
      return false;
    bool ok = true;
    switch (be32 (block + 4)) {
    case DESCRIPTOR:
      ok = take_tags (journal, fs, block, sequence, log);
      break;
    case REVOKE:
      ok = take_revokes (journal, fs, block, sequence);
      *log = next (journal, *log);
      break;
    case COMMIT:
      *log = next (journal, *log);
      return true;
    default:
      return false;
    }
    if (!ok) {
      fs->approximate = true;
      return false;
    }
  }
  return false;
}

/* False: there is more than is walked; the older part of a log alone is worse than nothing. */
static bool
walk (struct ext_journal *journal, struct ext *fs, uint32_t start, uint32_t sequence)
{
  journal->next = start;
  journal->sequence = sequence;
  while (walk_transaction (journal, fs, sequence, &start)) {
    for (uint32_t i = 0; i < journal->n_taken; i++) {
      const struct entry *entry = &journal->taken[i];
      bool known
          = journal->n_slots && find (journal->slots, journal->n_slots, entry->block)->block == entry->block;
      if ((entry->log != 0 || known) && !remember (journal, *entry))
        fs->approximate = true;
    }
    journal->next = start;
    journal->sequence = ++sequence;
  }
  return !fs->approximate;
}

struct ext_journal *
ext_journal_read (struct ext *fs, bool *failed)
{
  uint8_t super[1024];
  struct ext_journal *journal = calloc (1, sizeof *journal);
  *failed = true;
  if (journal == NULL || !find_inode (fs, journal->i_block) || !read_log (journal, fs, 0, super, sizeof super)
      || be32 (super) != MAGIC || be32 (super + 12) != fs->block_size) {
    free (journal);
    return NULL;
  }
  journal->incompat = be32 (super + 4) == 4 ? be32 (super + 40) : 0;
  journal->first = be32 (super + 20);
  journal->end = be32 (super + 16);
  /* Fast commits lie behind the log proper and are not followed. */
  if (journal->incompat & INCOMPAT_FAST_COMMIT) {
    uint32_t fast = be32 (super + 84) ? be32 (super + 84) : 256;
    journal->end = fast < journal->end ? journal->end - fast : 0;
  }
  *failed = (journal->incompat & (INCOMPAT_FAST_COMMIT | INCOMPAT_ASYNC_COMMIT)) != 0;
  if (journal->first == 0 || journal->first >= journal->end) {
    *failed = true;
    ext_journal_free (journal);
    return NULL;
  }
  uint32_t start = be32 (super + 28), head = be32 (super + 0x58);
  /* A clean one goes on where it ended (kernel 6.4), or at its beginning. */
  journal->next = head >= journal->first && head < journal->end ? head : journal->first;
  journal->sequence = journal->tail_sequence = be32 (super + 24);
  journal->tail = start;
  if (start == 0)
    return journal;
  if (start < journal->first || start >= journal->end || !walk (journal, fs, start, journal->sequence)) {
    *failed = true;
    ext_journal_free (journal);
    return NULL;
  }
  return journal;
}

void
ext_journal_free (struct ext_journal *journal)
{
  if (journal == NULL)
    return;
  free (journal->slots);
  free (journal->taken);
  free (journal->window);
  free (journal);
}

uint32_t
ext_journal_blocks (const struct ext_journal *journal)
{
  return journal ? journal->end : 0;
}

/* What followed a transaction; *sequence becomes that of the first that there is not.  False: it was refused.
 */
static bool
tell_since (struct ext *fs, uint32_t log, uint32_t *sequence,
            bool (*version) (void *opaque, uint64_t block, const void *data), void *opaque)
{
  struct ext_journal *journal = fs->journal;
  bytes_autofree uint8_t *data = malloc (fs->block_size);
  for (; data && walk_transaction (journal, fs, *sequence, &log); (*sequence)++)
    for (uint32_t i = 0; i < journal->n_taken; i++)
      if (journal->taken[i].log != 0 && version (opaque, journal->taken[i].block, NULL)
          && (!read_log (journal, fs, journal->taken[i].log, data, fs->block_size)
              || !version (opaque, journal->taken[i].block, data)))
        return false;
  return data != NULL;
}

/* After a clean log jbd2 goes on with its number where it was frozen, and with the one after that where it
 * was mounted again; an unmount skips one as well.  Where it goes on in the log only newer kernels say
 * beforehand, but its tail does later.  Where nothing is found after a clean log, that may be for looking
 * elsewhere. */
bool
ext_journal_since (struct ext *fs, const struct ext_journal *before,
                   bool (*version) (void *opaque, uint64_t block, const void *data), void *opaque)
{
  struct ext_journal *journal = fs->journal;
  if (journal == NULL || before == NULL)
    return false;
  uint32_t log = before->next, first = before->sequence, sequence = first;
  bool was_clean = before->tail == 0;
  if (was_clean && journal->sequence == first)
    return true;
  if (was_clean && journal->tail != 0 && journal->tail_sequence == first)
    log = journal->tail;
  journal->walked = 0;
  bool told = tell_since (fs, log, &sequence, version, opaque);
  if (told && was_clean && sequence == first) {
    sequence = ++first;
    told = tell_since (fs, log, &sequence, version, opaque);
  }
  return told && !(was_clean && sequence == first)
         && (sequence == journal->sequence || (journal->tail == 0 && sequence + 1 == journal->sequence));
}

bool
ext_journal_block (struct ext_journal *journal, struct ext *fs, uint64_t block, void *data)
{
  if (journal->n_slots == 0 || block == 0)
    return false;
  const struct entry *entry = find (journal->slots, journal->n_slots, block);
  if (entry->block != block || entry->log == 0 || !read_log (journal, fs, entry->log, data, fs->block_size))
    return false;
  if (entry->escaped)
    memcpy (data, (const uint8_t[]){ 0xc0, 0x3b, 0x39, 0x98 }, 4);
  return true;
}
