/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "content.h"

#include <string.h>

#define PERIOD_MAX 64u /* bytes of what is repeated */
/* 2^7, 2^7.5: pairs of bytes of which one is equal */
#define ORDINARY 128u
#define HIGH 181u

/* Pairs of bytes that are equal, of CONTENT_PIECE². */
static uint64_t
collisions (const uint8_t *data)
{
  uint32_t counts[256] = { 0 };
  uint64_t sum = 0;
  for (uint32_t i = 0; i < CONTENT_PIECE; i++)
    counts[data[i]]++;
  for (uint32_t i = 0; i < 256; i++)
    sum += (uint64_t)counts[i] * counts[i];
  return sum;
}

bool
content_is_ordinary (const uint8_t data[CONTENT_PIECE])
{
  return collisions (data) > (uint64_t)CONTENT_PIECE * CONTENT_PIECE / ORDINARY;
}

bool
content_is_high (const uint8_t data[CONTENT_PIECE])
{
  return collisions (data) < (uint64_t)CONTENT_PIECE * CONTENT_PIECE / HIGH;
}

bool
content_is_repeated (const uint8_t data[CONTENT_PIECE])
{
  for (uint32_t period = 1; period <= PERIOD_MAX; period++)
    if (memcmp (data, data + period, CONTENT_PIECE - period) == 0)
      return true;
  return false;
}
