/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sandbox.h: what a process gives up before it reads the first byte of a guest. */
#pragma once

#include <stdbool.h>

/* Closes standard input and output, and all descriptors after `last`; no privileges, no files, no network, no
 * new processes; memory and processor time are limited; every system call but reading, writing, memory and
 * exit kills. False with a message on standard error. */
bool sandbox_enter (int last, unsigned cpu_seconds);
