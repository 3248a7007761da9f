/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bytes.h: numbers and digests from bytes on disk, at any alignment.
 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_READER(name, type, convert)                                                                    \
  static inline type name (const void *at)                                                                   \
  {                                                                                                          \
    type value;                                                                                              \
    memcpy (&value, at, sizeof value);                                                                       \
    return convert (value);                                                                                  \
  }
BYTES_READER (le16, uint16_t, le16toh)
BYTES_READER (le32, uint32_t, le32toh)
BYTES_READER (le64, uint64_t, le64toh)
BYTES_READER (be16, uint16_t, be16toh)
BYTES_READER (be32, uint32_t, be32toh)
BYTES_READER (be64, uint64_t, be64toh)

#define FNV_START 0xcbf29ce484222325u
/* FNV-1a, 64 bits (draft-eastlake-fnv): tells a change, proves nothing. */
static inline uint64_t
fnv (uint64_t hash, const void *data, size_t length)
{
  const uint8_t *bytes = data;
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

static inline int
bytes_are_zero (const void *data, size_t length)
{
  const uint8_t *bytes = data;
  return length == 0 || (bytes[0] == 0 && memcmp (bytes, bytes + 1, length - 1) == 0);
}

static inline void
bytes_free (void *memory)
{
  free (*(void **)memory);
}
#define bytes_autofree __attribute__ ((cleanup (bytes_free)))
