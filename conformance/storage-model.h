/* SPDX-License-Identifier: GPL-2.0-or-later */
/* storage-model.h: what the images of a storage plugin must hold, kept in memory. */
#pragma once

#include "check.h"

#include <guardd/storage.h>

#define MODEL_DOMAIN "11111111-2222-3333-4444-555555555555"
#define MODEL_DISK "vda"
#define MODEL_BLOCKS 96u /* at most */

/* One image: each block is filled with one byte (0: zero), as far as the disk went when it was written. */
typedef struct {
  guint number;
  guint64 size; /* bytes */
  guint8 fill[MODEL_BLOCKS];
  guint32 filled[MODEL_BLOCKS]; /* bytes */
  struct guardd_image_info info;
  char *directory; /* "DOMAIN/00000007" */
  bool gone;
} ModelImage;

typedef struct {
  const struct guardd_storage_ops *ops;
  void *instance;
  char *pool;
  GPtrArray *images; /* ModelImage, oldest first */
  GRand *random;
} Model;

guint64 model_blocks (const ModelImage *image);
/* SHA-256 of a block as it stands in an image, padded. */
void model_hash (const ModelImage *image, guint64 block, guint8 *hash);
void model_block (const ModelImage *image, guint64 block, guint8 *data);
/* Writes, seals and remembers one on top of `parent` (NULL: a baseline); NULL: something failed, and was
 * said. */
ModelImage *model_add (Model *model, const ModelImage *parent, guint64 size, guint writes);
/* Everything that can be read of it is as it must be; else the first difference; g_free(). */
char *model_compare (const Model *model, const ModelImage *image);
char *model_compare_reader (const Model *model, const ModelImage *image, void *reader);
/* The difference of two images, as the plugin has it. */
char *model_compare_diff (const Model *model, const ModelImage *from, const ModelImage *to);
char *model_directory (const Model *model, const char *name);
