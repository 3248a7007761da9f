/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * maintain.h: maintain_* , image_remove and recover of the storage contract.
 *
 * What is prepared lies in DOMAIN/.maintain/:
 *
 *   00000042.vda.qcow2  00000042.vda.idx    take the place of 00000042/vda.*: a union of several overlays
 *   00000042.vda.head   00000042.vda.idx    a new first page (other backing file) and its index: data stays
 * where it is base-00000001.vda.fold  ….idx           names the snapshot whose view is copied into the base
 * in place
 *
 * Every step of the commit can be done again: files are renamed, first pages and base blocks are written with
 * the same content, and what is read for it is removed only after the commit.
 */
#pragma once

#include "instance.h"

#define MAINTAIN_DIRECTORY ".maintain"

int maintain_prepare (void *instance, const struct guardd_call *call, const char *domain,
                      const struct guardd_member *members, size_t n_members, struct guardd_change **changes,
                      size_t *n_changes);
int maintain_commit (void *instance, const struct guardd_call *call, const char *domain,
                     const struct guardd_member *members, size_t n_members);
int maintain_abort (void *instance, const struct guardd_call *call, const char *domain);
int maintain_remove (void *instance, const struct guardd_call *call, const char *directory, const char *disk);
int maintain_recover (void *instance, const struct guardd_call *call, const char *domain,
                      const struct guardd_member *members, size_t n_members);

/* Removes bases (and unfinished ones) on which no member's image stands; with `removing` false members that
 * are to go do not count. */
int maintain_remove_bases (const Instance *instance, const struct guardd_call *call, const char *domain,
                           const struct guardd_member *members, size_t n_members, bool removing);
