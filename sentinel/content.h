/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * content.h: what a piece of 4096 bytes looks like, by its collision entropy (Renyi's of order 2): that of
 * random bytes is 7.9 bits, of compressed ones 7.8; text and programs have less than 6.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CONTENT_PIECE 4096u

/* Text, programs, records: below 7 bits. */
bool content_is_ordinary (const uint8_t data[CONTENT_PIECE]);
/* Random, encrypted or compressed: 7.5 bits and more. */
bool content_is_high (const uint8_t data[CONTENT_PIECE]);
/* A few bytes over and over; zeros are that, too. */
bool content_is_repeated (const uint8_t data[CONTENT_PIECE]);
