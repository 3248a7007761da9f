/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * suspicion.h: whether files should be listed although nothing was found, for what the blocks say means
 * nothing without their files: what is random came where filesystems are whose files nobody can follow by
 * their blocks (btrfs copies what is overwritten, XFS and NTFS do not tell a new file from another in its
 * place), and hardly more is in use for it; or files went from a btrfs, which does not say how many it has.
 * Pure.
 */
#pragma once

#include <guardd/detector.h>

typedef enum {
  SUSPICION_NONE,
  SUSPICION_ENCRYPTED, /* files are, perhaps */
  SUSPICION_GONE,      /* files are gone, or encrypted */
} Suspicion;

Suspicion suspicion_of (const struct guardd_judge_input *input);
