/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool-verified.h"

#include <string.h>

typedef struct {
  guint8 index_hash[GUARDD_HASH_SIZE];
  bool chain;         /* all below it was good as well, */
  guint64 generation; /* in this one */
} Good;

struct PoolVerified {
  GHashTable *images; /* "number/disk": Good */
};

PoolVerified *
pool_verified_new (void)
{
  PoolVerified *verified = g_new0 (PoolVerified, 1);
  verified->images = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return verified;
}

void
pool_verified_free (PoolVerified *verified)
{
  if (verified == NULL)
    return;
  g_hash_table_unref (verified->images);
  g_free (verified);
}

static char *
image_key (guint64 number, const char *disk)
{
  return g_strdup_printf ("%" G_GUINT64_FORMAT "/%s", number, disk);
}

static Good *
find (const PoolVerified *verified, guint64 number, const char *disk)
{
  g_autofree char *key = image_key (number, disk);
  return verified ? g_hash_table_lookup (verified->images, key) : NULL;
}

void
pool_verified_add (PoolVerified *verified, guint64 number, const char *disk, const guint8 *index_hash)
{
  if (verified == NULL)
    return;
  Good *good = g_new0 (Good, 1);
  memcpy (good->index_hash, index_hash, GUARDD_HASH_SIZE);
  g_hash_table_replace (verified->images, image_key (number, disk), good);
}

bool
pool_verified_has (const PoolVerified *verified, guint64 number, const char *disk, const guint8 *index_hash)
{
  const Good *good = find (verified, number, disk);
  return good && memcmp (good->index_hash, index_hash, GUARDD_HASH_SIZE) == 0;
}

void
pool_verified_add_chain (PoolVerified *verified, guint64 number, const char *disk, guint64 generation)
{
  Good *good = find (verified, number, disk);
  if (good == NULL)
    return;
  good->chain = true;
  good->generation = generation;
}

bool
pool_verified_has_chain (const PoolVerified *verified, guint64 number, const char *disk, guint64 generation)
{
  const Good *good = find (verified, number, disk);
  return good && good->chain && good->generation == generation;
}
