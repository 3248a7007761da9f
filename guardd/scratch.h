/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scratch.h: where QEMU puts the old content of clusters that the guest overwrites
 * while a capture is read: an empty qcow2 in memory, or in a file without a name.
 * Handed to QEMU as a descriptor, so that nothing stays on disk however guardd ends.
 *
 * What QEMU writes into it is never parsed by guardd.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct Scratch Scratch;

/* directory NULL: in memory (memfd), else O_TMPFILE there.  size: the disk's, bytes.  limit: bytes it may
 * take up before scratch_check() fails; well below what would hurt the host. */
Scratch *scratch_new (const char *directory, guint64 size, guint64 limit, GError **error);
/* One in memory becomes as new; false: it cannot.  size 0: it only gives its memory back. */
bool scratch_reset (Scratch *scratch, guint64 size, guint64 limit);
void scratch_free (Scratch *scratch);    /* nobody uses it any more; NULL is fine */
void scratch_leave (Scratch *scratch);   /* to a QEMU that may still use it; NULL is fine */
int scratch_fd (const Scratch *scratch); /* stays the scratch's */
/* False once more than the limit is taken up: end the capture before the guest can feel it. */
bool scratch_check (const Scratch *scratch, GError **error);

/* The cluster size for a disk: pure.  The guest is stopped while QEMU makes a bitmap of one bit per cluster,
 * so big disks get big clusters (16 x 4 TiB: 64k 320 ms, 2M 20 ms; measured on QEMU 7.2). */
guint scratch_cluster_bits (guint64 size);
