/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pull-reach.h"

/* A guest that writes all the time is dirtier by each answer: such a disk is mapped to its end. */
#define QUESTIONS_SPARE 8u

typedef struct {
  bool wanted, all;
  guint64 found, expected;
  guint64 before; /* found when the question was asked */
} Disk;

struct PullReach {
  GMutex lock;
  GCond changed;
  GArray *disks;   /* Disk; all under lock */
  guint questions; /* left */
  bool ended;
};

PullReach *
pull_reach_new (guint disks)
{
  PullReach *reach = g_new0 (PullReach, 1);
  g_mutex_init (&reach->lock);
  g_cond_init (&reach->changed);
  reach->disks = g_array_new (FALSE, TRUE, sizeof (Disk));
  g_array_set_size (reach->disks, disks);
  reach->questions = disks + QUESTIONS_SPARE;
  return reach;
}

void
pull_reach_free (PullReach *reach)
{
  if (reach == NULL)
    return;
  g_array_unref (reach->disks);
  g_cond_clear (&reach->changed);
  g_mutex_clear (&reach->lock);
  g_free (reach);
}

static Disk *
lock_disk (PullReach *reach, guint disk)
{
  g_mutex_lock (&reach->lock);
  return &g_array_index (reach->disks, Disk, disk);
}

static void
unlock (PullReach *reach)
{
  g_cond_signal (&reach->changed);
  g_mutex_unlock (&reach->lock);
}

void
pull_reach_expect (PullReach *reach, guint disk, guint64 bytes)
{
  Disk *entry = lock_disk (reach, disk);
  entry->wanted = true;
  entry->expected = bytes;
  unlock (reach);
}

void
pull_reach_found (PullReach *reach, guint disk, guint64 bytes)
{
  lock_disk (reach, disk)->found += bytes;
  unlock (reach);
}

bool
pull_reach_all (PullReach *reach, guint disk)
{
  bool all = lock_disk (reach, disk)->all;
  g_mutex_unlock (&reach->lock);
  return all;
}

void
pull_reach_mapped (PullReach *reach, guint disk)
{
  lock_disk (reach, disk)->wanted = false;
  unlock (reach);
}

void
pull_reach_end (PullReach *reach)
{
  if (reach == NULL)
    return;
  g_mutex_lock (&reach->lock);
  reach->ended = true;
  unlock (reach);
}

/* Lock held.  *any: there are disks that an answer might help later. */
static bool
is_worth_asking (const PullReach *reach, bool *any)
{
  bool worth = false;
  *any = false;
  for (guint i = 0; i < reach->disks->len; i++) {
    const Disk *disk = &g_array_index (reach->disks, Disk, i);
    bool open = disk->wanted && !disk->all;
    *any = *any || open;
    worth = worth || (open && disk->found >= disk->expected);
  }
  return worth;
}

bool
pull_reach_wait (PullReach *reach)
{
  bool any = true, worth = false;
  g_mutex_lock (&reach->lock);
  while (!reach->ended && reach->questions > 0 && !(worth = is_worth_asking (reach, &any)) && any)
    g_cond_wait (&reach->changed, &reach->lock);
  if (worth) {
    reach->questions--;
    for (guint i = 0; i < reach->disks->len; i++) {
      Disk *disk = &g_array_index (reach->disks, Disk, i);
      disk->before = disk->found;
    }
  }
  g_mutex_unlock (&reach->lock);
  return worth;
}

void
pull_reach_answer (PullReach *reach, guint disk, guint64 dirty_bytes)
{
  Disk *entry = lock_disk (reach, disk);
  entry->all = entry->all || dirty_bytes == entry->before; /* what is written later is not asked for */
  entry->expected = dirty_bytes;
  entry->wanted
      = entry->wanted && dirty_bytes >= entry->before; /* fewer: it is not the bitmap that is mapped */
  g_mutex_unlock (&reach->lock);
}
