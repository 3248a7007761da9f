/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * modified.h: while a list is made, which of its files have been written to since an older list, and
 * promise by their names what they are: some of them, chosen at random.
 */
#pragma once

#include "inventory.h"

#define MODIFIED_MAX 500u /* of all filesystems together */

struct modified;

/* older: borrowed; NULL when it is no inventory. */
struct modified *modified_new (gzFile older);
void modified_free (struct modified *modified); /* NULL is fine */
/* A filesystem begins, in order of their devices; at most `most` of its files are chosen. */
void modified_begin (struct modified *modified, const char *device, size_t most);
/* Its next file, in the order of inventories. */
void modified_meet (struct modified *modified, const char *path, const struct inventory_file *file);
/* The paths that were chosen since modified_begin(); *n: how many.  Borrowed. */
char *const *modified_paths (const struct modified *modified, size_t *n);
