/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image-size.h: what an image that no QEMU has open looks like.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The size a guest sees, by qemu-img; blocks up to a minute, works beside a QEMU that starts. */
bool image_size (const char *path, const char *format, guint64 *bytes, GError **error);
