/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-reach.h"

/* 1,024 questions of 4 GiB, 20 to 40 ms; the monitor answers in 5 to 10, beside the mapping of which QEMU's
 * main loop does less meanwhile: measured, it was no gain at 2 TiB. */
#define WORTH_BYTES ((guint64)4 << 40)

static bool
by_bitmap (const CapturePlan *plan, const PlanDisk *disk)
{
  return plan->old_bitmap != NULL && disk->full_reason == NULL;
}

PullReach *
capture_reach_new (const CapturePlan *plan)
{
  guint64 bytes = 0;
  for (guint i = 0; i < plan->disks->len; i++) {
    const PlanDisk *disk = plan->disks->pdata[i];
    bytes += by_bitmap (plan, disk) ? disk->size : 0;
  }
  if (bytes < WORTH_BYTES)
    return NULL;
  PullReach *reach = pull_reach_new (plan->disks->len);
  for (guint i = 0; i < plan->disks->len; i++) {
    const PlanDisk *disk = plan->disks->pdata[i];
    if (by_bitmap (plan, disk))
      pull_reach_expect (reach, i, disk->dirty);
  }
  return reach;
}

static const QmpBitmap *
find_bitmap (GHashTable *nodes, const CapturePlan *plan, const PlanDisk *disk)
{
  const GPtrArray *bitmaps = g_hash_table_lookup (nodes, disk->node);
  for (guint i = 0; bitmaps != NULL && i < bitmaps->len; i++) {
    const QmpBitmap *bitmap = bitmaps->pdata[i];
    if (g_str_equal (bitmap->name, plan->old_bitmap))
      return bitmap;
  }
  return NULL;
}

void
capture_reach_ask (const CapturePlan *plan, PullReach *reach, QmpClient *client)
{
  while (pull_reach_wait (reach)) {
    g_autoptr (GHashTable) nodes = qmp_query_node_bitmaps (client, NULL);
    if (nodes == NULL)
      return;
    for (guint i = 0; i < plan->disks->len; i++) {
      const PlanDisk *disk = plan->disks->pdata[i];
      const QmpBitmap *bitmap = by_bitmap (plan, disk) ? find_bitmap (nodes, plan, disk) : NULL;
      if (bitmap != NULL)
        pull_reach_answer (reach, i, bitmap->count);
    }
  }
}
