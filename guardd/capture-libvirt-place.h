/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-libvirt-place.h: where a guest's QEMU may make a socket and files, and how much of it.
 */
#pragma once

#include "config.h"
#include "pool.h"

#include <libvirt/libvirt.h>

typedef struct LibvirtPlace LibvirtPlace;

/* In the directory that libvirt has for the running guest (/var/lib/libvirt/qemu/domain-ID-NAME): it belongs
 * to its QEMU's user, AppArmor's and SELinux's policies allow it, and it goes with the guest.  Scratch files
 * go to scratch_dir where there is one. */
LibvirtPlace *libvirt_place_new (const Config *config, Pool *pool, virDomainPtr domain,
                                 const char *domain_uuid, GError **error);
void libvirt_place_free (LibvirtPlace *place); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LibvirtPlace, libvirt_place_free)

/* Names that do not come again; `id` is the snapshot's.  g_free() */
char *libvirt_place_socket (const LibvirtPlace *place, const char *id);
char *libvirt_place_scratch (const LibvirtPlace *place, const char *id, const char *target);

/* Any thread: false when these files take up more than four fifths of what they may, or of what was free when
 * the place was made: beyond, the guest would be stopped by an I/O error. */
bool libvirt_place_check (const LibvirtPlace *place, char **files, GError **error);

/* Removes what is left of all jobs of this guest and pool. */
void libvirt_place_sweep (const LibvirtPlace *place);
