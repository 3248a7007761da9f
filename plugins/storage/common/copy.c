/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>

#define RUN_MAX ((guint64)64 << 20)

static int
copy_by_hand (const CopyRun *run, const struct guardd_call *call)
{
  g_autofree guint8 *data = g_malloc (GUARDD_BLOCK_SIZE);
  for (guint64 done = 0; done < run->length;) {
    ssize_t n = pread (run->from, data, MIN (GUARDD_BLOCK_SIZE, run->length - done),
                       (off_t)(run->from_offset + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail (call, n < 0 ? errno : EIO, "%s: cannot read what is merged into it", run->to_path);
    for (ssize_t out = 0; out < n;) {
      ssize_t m
          = pwrite (run->to, data + out, (size_t)(n - out), (off_t)(run->to_offset + done) + (off_t)out);
      if (m < 0 && errno == EINTR)
        continue;
      if (m <= 0)
        return fail (call, m < 0 ? errno : EIO, "%s: cannot write", run->to_path);
      out += m;
    }
    done += (guint64)n;
  }
  return 0;
}

int
copy_run_flush (CopyRun *run, const struct guardd_call *call)
{
  while (run->length > 0) {
    off_t from = (off_t)run->from_offset, to = (off_t)run->to_offset;
    ssize_t n = copy_file_range (run->from, &from, run->to, &to, run->length, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      /* Not on this filesystem, or not between these files: by hand; that says what is really wrong. */
      int result = copy_by_hand (run, call);
      run->length = 0;
      return result;
    }
    run->from_offset += (guint64)n;
    run->to_offset += (guint64)n;
    run->length -= (guint64)n;
  }
  return 0;
}

int
copy_run_add (CopyRun *run, const struct guardd_call *call, int from, guint64 from_offset, guint64 to_offset)
{
  bool adjacent = run->length > 0 && run->from == from && run->from_offset + run->length == from_offset
                  && run->to_offset + run->length == to_offset && run->length < RUN_MAX;
  if (!adjacent) {
    if (copy_run_flush (run, call) < 0)
      return -1;
    run->from = from;
    run->from_offset = from_offset;
    run->to_offset = to_offset;
  }
  run->length += GUARDD_BLOCK_SIZE;
  return 0;
}

int
copy_zero (const struct guardd_call *call, int to, const char *path, guint64 offset, guint64 length)
{
  if (fallocate (to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) == 0)
    return 0;
  static const guint8 zeros[4096];
  for (guint64 done = 0; done < length;) {
    ssize_t n = pwrite (to, zeros, MIN (sizeof zeros, length - done), (off_t)(offset + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail (call, n < 0 ? errno : EIO, "%s: cannot write", path);
    done += (guint64)n;
  }
  return 0;
}
