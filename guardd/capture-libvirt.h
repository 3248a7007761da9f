/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-libvirt.h: the libvirt engine: libvirt's own backup job (pull mode) and checkpoints, for hosts
 * where commands for QEMU's monitor are refused or unwanted.
 *
 * libvirt lets only one such job have a guest, and whoever else wants one (migration, snapshot, save) waits
 * until it is over.  guardd's gives way: see capture-libvirt-watch.h.  Threads: blocking; on a worker.
 */
#pragma once

#include "capture.h"
#include "libvirt-workers.h"

/* As capture_qmp(); capture_libvirt_sweep() must have succeeded once on this QEMU process before. */
Snapshot *capture_libvirt (virDomainPtr domain, LibvirtCalls *calls, LibvirtWorkers *workers,
                           const CaptureRequest *request, bool *left, GError **error);

/* Ends what an earlier guardd (or a failed capture) left: a backup job of this pool's, its files, and
 * checkpoints but (with keep) that of the newest sealed snapshot.  Other people's stay. */
bool capture_libvirt_sweep (virDomainPtr domain, LibvirtCalls *calls, const Config *config, Pool *pool,
                            const char *domain_uuid, bool keep, GError **error);

/* After a failed capture of a guest that ran before: if it is stopped by an I/O error (the scratch's
 * filesystem was full), lets it go on. */
void capture_libvirt_resume (virDomainPtr domain, LibvirtCalls *calls, const char *name);
