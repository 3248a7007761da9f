/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nbd-export.h: a disk of a snapshot for those who speak NBD, read-only.
 *
 * Whatever the storage plugin keeps images in, and however long their chains are.  The peer may be in a
 * guest's hands: it can read this disk, and nothing else.  Protocol:
 * https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
 */
#pragma once

#include "storage.h"

typedef struct NbdExport NbdExport;

/* Serves every connection that `listener` gets, on threads of its own; the listener becomes its own, the
 * reader stays the caller's and must outlive it. */
NbdExport *nbd_export_start (int listener, StorageReader *reader);
/* Ends all connections and waits.  NULL is fine. */
void nbd_export_stop (NbdExport *served);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (NbdExport, nbd_export_stop)
