/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-libvirt-backup.h: one backup job of libvirt's, in pull mode, from its begin to its end.
 *
 * QEMU makes the socket and libvirt the scratch files, by name, with the rights that libvirt gives this
 * guest's QEMU: in the directory that libvirt has for the guest, or in scratch_dir.  Threads: one at a time
 * but for what says otherwise.
 */
#pragma once

#include "capture-plan.h"
#include "libvirt-call.h"

typedef struct LibvirtBackup LibvirtBackup;

/* What the exported bitmaps are called: another name for each capture, since a libvirtd that dies while it
 * begins a job leaves them in QEMU, where it cannot find them again.  g_free() */
char *libvirt_backup_bitmap (const CapturePlan *plan);

/* plan: in_bitmaps: the disk gets a place in the new checkpoint (new_bitmap); full_reason NULL: since
 * old_bitmap.  Borrowed. */
LibvirtBackup *libvirt_backup_new (CapturePlan *plan, LibvirtCalls *calls, virDomainPtr domain,
                                   GError **error);
void libvirt_backup_free (LibvirtBackup *backup); /* NULL is fine; it must have ended */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LibvirtBackup, libvirt_backup_free)

/* Everything up to connected NBD sockets in the plan.  *stall_us: of the whole call, of which the guest feels
 * a small part.  After a failure libvirt_backup_end() all the same. */
bool libvirt_backup_begin (LibvirtBackup *backup, guint64 *stall_us, gint64 *time_us, GError **error);

/* Any thread: false once the scratch takes up more than it may. */
bool libvirt_backup_check (const LibvirtBackup *backup, GError **error);

/* Any thread: has libvirt end the job, and does not wait for it. */
void libvirt_backup_abort (LibvirtBackup *backup);

/* Ends it and waits until libvirt has let go of it; repeatable. */
bool libvirt_backup_end (LibvirtBackup *backup, GError **error);

/* After a job was ended for somebody who seemed to wait for the guest: has that somebody taken it? */
bool libvirt_backup_was_wanted (LibvirtCalls *calls, virDomainPtr domain);

/* Ends a job that an earlier guardd left on this domain, for this pool, and removes its files. */
bool libvirt_backup_sweep (LibvirtCalls *calls, virDomainPtr domain, const Config *config, Pool *pool,
                           const char *domain_uuid, GError **error);
