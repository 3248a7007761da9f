/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pull-memory.h: what a pull reads into.
 *
 * A page's first use costs more than the reading does: where its use is known beforehand, a thread makes the
 * pages while QEMU is talked to.
 */
#pragma once

#include <gio/gio.h>

#define PULL_MEMORY_BYTES (8u << 20)

typedef struct PullMemory PullMemory;

/* expected: bytes that will be read, as far as that is known. */
PullMemory *pull_memory_new (guint64 expected, GError **error);
void pull_memory_free (PullMemory *memory);    /* NULL is fine */
guint8 *pull_memory_data (PullMemory *memory); /* PULL_MEMORY_BYTES; waits for the thread */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PullMemory, pull_memory_free)
