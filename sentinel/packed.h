/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packed.h: files that are of high entropy because a program compressed them, by how they begin. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* data: 4096 bytes. */
bool packed_begins (const uint8_t *data);
