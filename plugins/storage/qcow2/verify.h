/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify.h: image_verify of the storage contract.
 */
#pragma once

#include "../common/instance.h"

int verify_image (void *instance, const struct guardd_call *call, const char *directory, const char *disk,
                  const uint8_t *index_hash);
