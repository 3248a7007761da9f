/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guardd-sentinel: looks at one disk of one snapshot, once.  Started by guardd; see wire.h.
 */
#include "place.h"
#include "sandbox.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CPU_SECONDS 10

static bool
receive (void *data, size_t length)
{
  char *at = data;
  while (length > 0) {
    ssize_t n = read (WIRE_FD, at, length);
    if (n <= 0)
      return false;
    at += n;
    length -= (size_t)n;
  }
  return true;
}

static bool
transmit (const void *data, size_t length)
{
  const char *at = data;
  while (length > 0) {
    ssize_t n = write (WIRE_FD, at, length);
    if (n <= 0)
      return false;
    at += n;
    length -= (size_t)n;
  }
  return true;
}

static bool
read_view (enum wire_view view, uint64_t offset, void *data, size_t length)
{
  char *at = data;
  while (length > 0) {
    uint32_t piece = length < WIRE_LENGTH_MAX ? (uint32_t)length : WIRE_LENGTH_MAX;
    struct wire_request request = { .view = view, .length = piece, .offset = offset };
    if (!transmit (&request, sizeof request) || !receive (at, piece))
      return false;
    at += piece;
    offset += piece;
    length -= piece;
  }
  return true;
}

static bool
read_now (void *opaque, uint64_t offset, void *data, size_t length)
{
  return read_view (WIRE_NOW, offset, data, length);
}

static bool
read_before (void *opaque, uint64_t offset, void *data, size_t length)
{
  return read_view (WIRE_BEFORE, offset, data, length);
}

static uint64_t
now_us (void)
{
  struct timespec now;
  clock_gettime (CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int
main (void)
{
  struct wire_start start;
  static struct guardd_observation seen;
  struct view_source now = { .read = read_now, .budget = WIRE_BUDGET, .budget_calls = WIRE_BUDGET_CALLS };
  struct view_source before
      = { .read = read_before, .budget = WIRE_BUDGET, .budget_calls = WIRE_BUDGET_CALLS };
  if (!sandbox_enter (WIRE_FD, CPU_SECONDS))
    return 2;
  if (!receive (&start, sizeof start) || start.version != WIRE_VERSION || start.n_runs > WIRE_RUNS_MAX)
    return 2;
  struct wire_run *runs = calloc (start.n_runs + 1, sizeof *runs);
  if (runs == NULL || !receive (runs, start.n_runs * sizeof *runs))
    return 2;
  uint64_t started = now_us ();
  now.size = start.size;
  before.size = start.size_before;
  struct probe_views *views = calloc (1, sizeof *views);
  if (views == NULL)
    return 2;
  probe_disk (&seen, &now, views);
  if (now.starved)
    return 2; /* what looks damaged may only not have been read: blind is the word for it */
  place_runs (&seen, views, &before, runs, start.n_runs, start.factor);
  seen.read_bytes = now.read_bytes + before.read_bytes;
  seen.elapsed_us = now_us () - started;
  struct wire_request report = { .view = WIRE_REPORT, .length = sizeof seen };
  return transmit (&report, sizeof report) && transmit (&seen, sizeof seen) ? 0 : 2;
}
