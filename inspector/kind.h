/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kind.h: whether a file is what its name says.  A table of what such files begin with, and nothing that
 * parses them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define KIND_HEAD 512u /* bytes of a file's beginning that are enough */

/* Its ending promises something that can be seen. */
bool kind_is_promised (const char *path);
/* Kept, or nothing was promised: an image is an image, though it may be another kind of image. */
bool kind_is_kept (const char *path, const unsigned char *head, size_t length);
