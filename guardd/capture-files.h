/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-files.h: what a guest needs beside its disks: definition, UEFI variables, TPM state.
 */
#pragma once

#include "domain.h"
#include "pool.h"

/* Adds "domain.xml", "nvram" and "tpm" (a tar archive of the state directory) to the draft, where the
 * domain has them, and says so in the manifest.  A file that cannot be read is a warning in the log: the
 * disks matter more. */
bool capture_files_add (PoolDraft *draft, Manifest *manifest, const Domain *domain, GError **error);

/* Puts nvram and TPM state of a snapshot back where the domain has them now, through no link.  What is
 * missing there is made: libvirt forgets both when a guest is undefined. */
bool capture_files_restore (Pool *pool, const Manifest *manifest, const Domain *domain, GError **error);
