/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * instance.h: one pool of guardd's whose images are thin volumes.
 *
 *   POOL/<uuid>/base-00000001/vda.idx    the blocks of a baseline
 *   POOL/<uuid>/00000002/vda.idx         what changed since the image that it stands on
 *                        vda.lv          "vg0/guardd-…", for people: where the content is
 *
 * Each volume has the whole content of its image.
 */
#pragma once

#include "../common/instance.h"
#include "pool.h"

typedef struct {
  Instance files; /* first: common/ is given it */
  ThinPool *pool;
} ThinInstance;

/* In an overlay's index an entry's offset is not 0 unless the block is zero; in a volume block 0 lies at 0.
 */
static inline guint64
entry_offset (guint64 block)
{
  return (block + 1) * GUARDD_BLOCK_SIZE;
}
